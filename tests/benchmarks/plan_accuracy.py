"""How close `tuneloop plan` is: peak memory estimated and measured, on the embedded model.

Each method trains in a fresh process, through train.loop.trainer.train, on rows made of what
is in the repository, in the environment of a training. Measured is VmHWM of
/proc/self/status, the largest resident set so far.
Linux only. Run: python -m tests.benchmarks.plan_accuracy [METHOD ...] (one more: distilled)
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipeline.train.peak_memory import FEW_PRIMITIVES

METHODS = ("full", "lora", "qlora")
DISTILLED = "distilled"
"""LoRA with a teacher beside it: the base model itself, of the same size."""
ROWS, STEPS = 8, 2


def main(methods: list[str]) -> None:
    """Print a line a method."""
    print(
        f"{'method':<10} {'estimate':>9} {'measured':>9} {'error':>7}   MB, items of the estimate"
    )
    for method in methods:
        found = measure(method)
        estimate = sum(found["items"].values())
        error = estimate / found["peak"] - 1
        items = ", ".join(f"{name} {size / 1e6:.0f}" for name, size in found["items"].items())
        print(
            f"{method:<10} {estimate / 1e6:>9.0f} {found['peak'] / 1e6:>9.0f} {error:>+7.1%}"
            f"   {items}; {found['batch']}; resident before loading {found['start'] / 1e6:.0f}",
            flush=True,
        )


def measure(
    method: str, base: str = "embedded", models: str | None = None, threads: int = 0
) -> dict[str, Any]:
    """Train in a fresh process; return estimate, items and peak in bytes."""
    with tempfile.TemporaryDirectory() as work:
        settings = {"method": method, "max_steps": STEPS, "batch_size": 4, "evaluations": 1}
        if method == DISTILLED:
            settings["method"] = "lora"
        given = {
            "distilled": method == DISTILLED,
            "settings": settings,
            "base": base,
            "models": models or "data/home/models",
            "threads": threads,
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.plan_accuracy", "--child"],
            input=json.dumps(given | {"work": work}),
            stdout=subprocess.PIPE, text=True, check=True, env=FEW_PRIMITIVES | os.environ,
        )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def child() -> None:
    """Train as told on stdin, and print what was estimated and measured."""
    given = json.load(sys.stdin)
    from flows.engine import environment

    environment.prepare(Path(given["work"]))
    import bitsandbytes  # noqa: F401
    import datasets  # noqa: F401
    import peft  # noqa: F401
    import torch
    from transformers import LlamaForCausalLM  # noqa: F401

    from pipeline.settings import ModelSettings, TrainSettings
    from pipeline.train.batch.batches import plan_steps
    from pipeline.train.batch.rows import lengths, supervised, tokenize
    from pipeline.train.loop.trainer import train
    from pipeline.train.methods import resolved
    from pipeline.train.models.base_model import load_tokenizer, resolve_model
    from pipeline.train.plan.activations import largest_batch
    from pipeline.train.plan.memory import memory
    from pipeline.train.plan.shapes import read_folder
    from tests.benchmarks.rows import benchmark_rows

    settings = resolved(TrainSettings(**given["settings"]))
    model_settings = ModelSettings(base_model=given["base"], threads=given["threads"])
    base = resolve_model(model_settings, Path(given["models"]))
    if given["distilled"]:
        settings = settings.model_copy(update={"distill_model": base.path})
    everything = benchmark_rows()
    examples = (
        everything.filter(split="train")
        .head(ROWS)
        .vstack(everything.filter(split="validation").head(ROWS // 2))
    )
    rows = tokenize(examples, load_tokenizer(base.path), settings.max_tokens)
    long = lengths(rows.train)
    passes = [part for step in plan_steps(long, settings) for part in step]
    trained = [supervised(labels) for labels in rows.train["labels"]]
    batch = largest_batch(passes, long, trained, packing=settings.packing)
    shape = read_folder(base.path)
    start = resident("VmHWM")
    work = Path(given["work"])
    train(examples, base, settings, model_settings, work / "work", work / "out")
    value = torch.finfo(_compute_dtype()).bits // 8
    items = memory(shape, settings, batch, "cpu", value)
    sys.stdout.write(
        json.dumps(
            {
                "items": {item.name: item.bytes for item in items},
                "batch": str(batch), "start": start, "peak": resident("VmHWM"),
            }
        )
    )  # fmt: skip


def _compute_dtype() -> Any:
    from pipeline.train.models.device import compute_dtype

    return compute_dtype("cpu")


def resident(field: str) -> int:
    """Return a size of this process from /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {field} in /proc/self/status")


if __name__ == "__main__":
    if sys.argv[1:] == ["--child"]:
        child()
    else:
        main(sys.argv[1:] or list(METHODS))
