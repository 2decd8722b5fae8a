"""Training speed, memory and loss beside TRL: the same rows, tokens, steps and rates, one machine.

    make bench                                            # or:
    .venv/bin/python -m tests.benchmarks.training_speed --steps 8 --repeats 1

LoRA of rank 16, alpha 32, on all linear layers of the embedded model. Each arm is a process of
its own, run one after the other; with --repeats the arms take turns. All take the same rows in
the same steps (packed ones as TRL mixes its packs). TRL gets prompt and completion as text and
completion_only_loss: SmolLM2's template has no generation markers, so its assistant_only_loss
raises. That the trained tokens are the same, end-of-turn included, is checked; a difference
stops the arm.

- tokens/s: tokens of the rows, without padding, over the time in steps, the first step left out.
- peak memory: VmHWM of the arm's process, interpreter and libraries included.
- validation loss: nats a supervised token, one scorer for all adapters (a plain forward pass a
  row, bfloat16 weights; QLoRA's on its own 4-bit base).
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.train.models.base_model import BaseModel, load_tokenizer, resolve_model
from pipeline.train.peak_memory import FEW_PRIMITIVES
from tests.benchmarks.rows import benchmark_rows
from tests.benchmarks.training_trl import DEFAULTS, TRL_ARMS, trl
from tests.benchmarks.training_work import MODEL, SETTINGS, Clock, Measured, Work, plan_work

ROOT = Path(__file__).parents[2]
MODELS = ROOT / ".pytest_cache" / "d" / "models"
OUR_ARMS = {"tuneloop lora": "lora", "tuneloop qlora": "qlora"}
ARMS = (*TRL_ARMS, *OUR_ARMS)


def ours(base: BaseModel, work: Work, output: Path) -> Measured:
    """Train with pipeline.train.loop.trainer; no validation pass falls between two steps."""
    from pipeline.core.progress import listening
    from pipeline.train.loop.trainer import train

    clock = Clock(
        [sum(work.lengths[row] for rows in step for row in rows) for step in work.steps], []
    )

    def listen(done: int, total: int, unit: str) -> None:
        if unit == "steps":
            clock.tick()

    with tempfile.TemporaryDirectory() as folder, listening(listen):
        train(work.examples, base, work.settings, MODEL, Path(folder), output)
    return clock.measured(work.timed)


def score(base: BaseModel, adapters: dict[str, Path]) -> dict[str, float]:
    """Return the validation loss of each adapter, and of the base without one."""
    import torch
    from peft import PeftModel
    from torch.nn.functional import cross_entropy

    from pipeline.text.chat import IGNORED
    from pipeline.train.batch.rows import tokenize
    from pipeline.train.models.adapter import load_base

    tokenizer = load_tokenizer(base.path)
    rows = tokenize(benchmark_rows(), tokenizer, SETTINGS.max_tokens).validation
    losses = {}
    for name, folder in {"base": None, **adapters}.items():
        model = load_base(base, MODEL, quantized="qlora" in name)
        if folder is not None:
            model = PeftModel.from_pretrained(model, folder)
        model.eval()
        summed, count = [], 0
        with torch.no_grad():
            for row in rows:
                labels = torch.tensor(row["labels"][1:])
                ids = torch.tensor([row["input_ids"]])
                logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
                loss = cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
                summed.append(loss.item())
                count += int((labels != IGNORED).sum())
        losses[name] = math.fsum(summed) / count
    return losses


def table(results: dict[str, list[Measured]], losses: dict[str, list[float]], base: float) -> str:
    """Lay the arms out side by side; the best repeat counts for speed, the mean for loss."""
    best = max(
        (max(m.tokens_per_second for m in results[arm]) for arm in OUR_ARMS if arm in results),
        default=math.nan,
    )
    lines = [
        f"{'arm':<16} {'tokens/s':>9} {'(range)':>13} {'peak GB':>8} {'steps':>6} {'tokens':>8} "
        f"{'validation loss':>16} {'best of ours is':>16}"
    ]
    for arm, runs in results.items():
        rates = [run.tokens_per_second for run in runs]
        memory = max(run.peak_memory_bytes for run in runs) / 1e9
        loss = sum(losses[arm]) / len(losses[arm])
        spread = f"{min(rates):.0f}-{max(rates):.0f}"
        lines.append(
            f"{arm:<16} {max(rates):>9.0f} {spread:>13} {memory:>8.2f} {runs[0].steps:>6} "
            f"{runs[0].tokens:>8,} {loss:>16.4f} {best / max(rates):>14.2f} x"
        )
    lines.append(f"the base model's validation loss: {base:.4f}")
    return "\n".join(lines)


def main() -> None:
    """Run the arms one after the other, each in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8, help="optimizer steps of 16 rows")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--base-model", default="embedded", help="or a folder")
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--score", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    from flows.engine import environment

    environment.prepare(MODELS)  # offline and silent, before torch or transformers is imported
    if options.arm or options.score:
        settings = MODEL.model_copy(update={"base_model": options.base_model})
        base = resolve_model(settings, MODELS)
        found: Any
        if options.arm:
            found = asdict(_train(options.arm, base, options.steps, options.output))
        else:
            found = score(base, {Path(path).name: Path(path) for path in options.score})
        print(json.dumps(found))
        return
    model = ["--base-model", options.base_model]
    with tempfile.TemporaryDirectory() as folder:
        results: dict[str, list[Measured]] = {arm: [] for arm in options.arms}
        losses: dict[str, list[float]] = {arm: [] for arm in options.arms}
        for repeat in range(options.repeats):
            outputs = {arm: Path(folder) / str(repeat) / arm for arm in options.arms}
            for arm, output in outputs.items():
                words = ["--arm", arm, "--steps", str(options.steps), "--output", str(output)]
                measured = Measured(**_call(*words, *model))
                results[arm].append(measured)
                print(f"{arm}: {measured.tokens_per_second:.0f} tokens/s", file=sys.stderr)
            scores = _call("--score", *map(str, outputs.values()), *model)
            for arm in options.arms:
                losses[arm].append(scores[arm])
    print(table(results, losses, scores["base"]))
    if options.json:
        numbers = {arm: [asdict(run) for run in runs] for arm, runs in results.items()}
        options.json.write_text(json.dumps({"arms": numbers, "validation_loss": losses}, indent=1))


def _train(arm: str, base: BaseModel, steps: int, output: Path) -> Measured:
    method = OUR_ARMS.get(arm, "lora")
    work = plan_work(base, SETTINGS.model_copy(update={"method": method, "max_steps": steps}))
    if arm in OUR_ARMS:
        return ours(base, work, output)
    changes = TRL_ARMS[arm]
    return trl(base, changes, work, output, shuffled=changes is DEFAULTS)


def _call(*words: str) -> dict[str, Any]:
    """Run this file in a process of its own and return the JSON of its last line.

    Ours get the environment in which pipeline.train.launch trains.
    """
    own = FEW_PRIMITIVES if any(arm in words for arm in OUR_ARMS) else {}
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.training_speed", *words],
        cwd=ROOT,
        env=own | os.environ,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
