"""Which learning rate suits a method: validation loss before and after a few steps, side by side.

    python -m tests.benchmarks.method_rates lora=1e-3 lora=3e-3 full=1e-4

Each run: the embedded model, 48 short rows of gold and seed tasks, 12 steps of 4 rows, and 12
other rows for validation. Losses compare, seconds do not: they include whatever else the machine
does. For choosing the presets in pipeline/train/methods/table.py.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from flows.engine import environment
from pipeline.core.cache import short_id
from pipeline.core.outcome import table
from pipeline.settings import ModelSettings, TrainSettings
from schemas.pairs import Examples

ROOT = Path(__file__).parents[2]
LONGEST = 400
"""Characters of a row: a hundred tokens, so that a run takes seconds."""


def rows(count=60, validation=12):
    """The first rows of both files that are short enough, every fifth for validation."""
    pairs = []
    for line in (ROOT / "data/gold/gold.jsonl").read_text("utf-8").splitlines()[::3]:
        row = json.loads(line)
        pairs.append((row["question"], row["answer"]))
    for line in (ROOT / "data/seeds/seed_tasks.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        pairs.append((f"{row['instruction']}\n\n{row['input']}".strip(), row["output"].strip()))
    short = [pair for pair in pairs if sum(map(len, pair)) <= LONGEST][:count]
    every = count // validation
    return table(
        Examples,
        [
            {
                "pair_id": short_id(question), "doc_id": "", "cluster_id": short_id(question),
                "split": "validation" if number % every == 0 else "train",
                "origin": "human", "status": "accepted",
                "messages": [
                    {"role": "user", "content": question},
                    {"role": "assistant", "content": answer},
                ],
            }
            for number, (question, answer) in enumerate(short)
        ],
    )  # fmt: skip


def measure(base, examples, method, rate):
    """Train once and return the numbers as JSON values."""
    from pipeline.train.loop.trainer import train
    from pipeline.train.methods import resolved

    settings = resolved(
        TrainSettings(
            method=method, learning_rate=rate, epochs=1, batch_size=4, micro_batch_size=4,
            evaluations=2, checkpoint_steps=99, patience=9,
        )
    )  # fmt: skip
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        result = train(examples, base, settings, ModelSettings(), path / "work", path / "output")
        stored = sum(file.stat().st_size for file in (path / "output").iterdir())
    losses = [loss for _, loss in result.validation_loss]
    return {
        "method": method, "learning_rate": settings.learning_rate, "steps": result.steps,
        "trainable": result.trainable_parameters, "stored_bytes": stored,
        "before": losses[0], "after": losses[-1], "lowest": min(losses),
        "tokens_per_second": result.tokens_per_second,
        "seconds": time.perf_counter() - started,
    }  # fmt: skip


def main():
    """Measure each METHOD[=RATE] of the command line and print a row of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="METHOD[=RATE]", help="all with their presets")
    parser.add_argument("--models", type=Path, default=ROOT / "data/home/models")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    environment.prepare(Path(tempfile.mkdtemp(prefix="method-rates-")))
    from pipeline.train.methods import METHODS
    from pipeline.train.models.base_model import resolve_model

    base, examples = resolve_model(ModelSettings(), args.models), rows()
    if not args.json:
        print(f"{'method':<10} {'rate':>8} {'trained':>12} {'MB':>6} {'before':>7} {'after':>7}"
              f" {'tok/s':>6} {'s':>5}", flush=True)  # fmt: skip
    for run in args.runs or METHODS:
        method, _, rate = run.partition("=")
        found = measure(base, examples, method, float(rate) if rate else None)
        if args.json:
            print(json.dumps(found), flush=True)
            continue
        speed, size = found["tokens_per_second"], found["stored_bytes"] / 1e6
        print(f"{method:<10} {found['learning_rate']:>8.0e} {found['trainable']:>12,}"
              f" {size:>6.1f} {found['before']:>7.4f} {found['after']:>7.4f}"
              f" {speed:>6.0f} {found['seconds']:>5.0f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
