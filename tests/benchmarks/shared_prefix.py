"""What it saves to compute once the tokens that all rows of a forward pass begin with.

    .venv/bin/python -m tests.benchmarks.shared_prefix

LoRA of rank 16 on the embedded model, forward and backward; rows begin alike with 30 tokens (the
system prompt of SmolLM2's template and the turn's opening) and go on with tokens of their own, of
which a third is supervised. Tokens a second count those of the rows, shared or not. The loss of
both ways is shown, since it has to be the same.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows.engine import environment
from pipeline.settings import ModelSettings, TrainSettings

MODELS = Path(__file__).parents[2] / ".pytest_cache" / "d" / "models"
SHAPES = ((4, 69), (8, 69), (16, 69), (4, 270))
SHARED = 30
REPEATS = 3


def main() -> None:
    """Print a line for each shape."""
    environment.prepare(MODELS)
    import torch

    from pipeline.text.chat import IGNORED
    from pipeline.train.batch.loss import supervised_loss
    from pipeline.train.methods import METHODS, resolved
    from pipeline.train.models.adapter import attach_adapter, load_base
    from pipeline.train.models.base_model import resolve_model
    from pipeline.train.models.device import configure_torch

    configure_torch(ModelSettings())
    base = resolve_model(ModelSettings(), MODELS)
    settings = resolved(TrainSettings(method="lora", rank=16))
    model = load_base(base, ModelSettings(), quantized=False)
    model = attach_adapter(model, METHODS["lora"], settings).train()
    print(f"{'rows x tokens':>14} {'tokens/s':>9} {'shared':>7} {'times':>6}   loss, shared")
    for rows, tokens in SHAPES:
        torch.manual_seed(0)
        ids = torch.randint(0, 40_000, (rows, tokens))
        ids[:, :SHARED] = ids[:1, :SHARED]
        labels = ids.clone()
        labels[:, : -tokens // 3] = IGNORED
        found = [
            _measure(supervised_loss(model, ids, labels, share_prefix=share), ids, labels)
            for share in (False, True)
        ]
        (plain, loss), (shared, loss_shared) = found
        size = rows * tokens
        print(
            f"{rows:>7} x {tokens:<4} {size / plain:>9.0f} {size / shared:>7.0f} "
            f"{plain / shared:>6.2f}   {loss:.4f}, {loss_shared:.4f}"
        )


def _measure(loss: Callable[..., Any], ids: Any, labels: Any) -> tuple[float, float]:
    """Return the seconds of the fastest pass forth and back, and the loss."""
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        found = loss(ids, labels)
        found.backward()
        seconds.append(time.perf_counter() - began)
    return min(seconds), float(found.item())


if __name__ == "__main__":
    main()
