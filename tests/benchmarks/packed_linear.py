"""Packed linear layers beside torch's own: a step of decoding with the embedded model.

    .venv/bin/python -m tests.benchmarks.packed_linear

Milliseconds of one step behind 100 tokens in the cache, for some numbers of rows: the median of 20
steps. In float32, whatever the processor.
"""

import statistics
import time
from pathlib import Path
from typing import Any

from flows.engine import environment
from pipeline.settings import ModelSettings

MODELS = Path(__file__).parents[2] / ".pytest_cache" / "d" / "models"
CACHED, STEPS = 100, 20
ROWS = (1, 6, 12, 24)


def main() -> None:
    """Print a line for each number of rows."""
    environment.prepare(MODELS)
    import torch

    from pipeline.train.cpu.packed import pack_linears
    from pipeline.train.models.base_model import load_model, resolve_model
    from pipeline.train.models.device import configure_torch

    configure_torch(ModelSettings())
    base = resolve_model(ModelSettings(), MODELS)
    plain = {rows: _step(load_model(base.path, dtype=torch.float32), rows) for rows in ROWS}
    model = pack_linears(load_model(base.path, dtype=torch.float32))
    print("rows  plain ms  packed ms  times")
    for rows in ROWS:
        found = _step(model, rows)
        print(f"{rows:>4} {plain[rows]:>9.0f} {found:>10.0f} {plain[rows] / found:>6.2f}")


def _step(model: Any, rows: int) -> float:
    import torch

    seconds = []
    with torch.inference_mode():
        ids = torch.randint(0, 40_000, (rows, CACHED))
        cache = model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
        for _ in range(STEPS):
            began = time.perf_counter()
            model(input_ids=ids[:, :1], past_key_values=cache, use_cache=True)
            seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds)


if __name__ == "__main__":
    main()
