"""How close `tuneloop plan` is: peak memory planned and measured, four methods on three shapes.

The embedded model and two of its tokenizer with random weights: one twice and a half as wide, and
one with three times the words. Each method trains in a fresh process, through
train.loop.trainer.train, on rows made of what is in the repository, in the environment of a
training. Measured is VmHWM of /proc/self/status, the largest resident set so far. Linux only.

    python -m tests.benchmarks.plan_accuracy [METHOD ...] [--shapes NAME ...]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipeline.settings import ModelSettings
from pipeline.train.models.base_model import resolve_model
from pipeline.train.peak_memory import FEW_PRIMITIVES

METHODS = ("lora", "qlora", "full", "distilled")
DISTILLED = "distilled"
"""LoRA with a teacher beside it: the base model itself, of the same size."""
ROWS, STEPS = 8, 2
MODELS = Path(".pytest_cache/d/models")

SHAPES: dict[str, dict[str, Any]] = {
    "embedded": {},
    "wide": {
        "model_type": "llama", "hidden_size": 1536, "intermediate_size": 6144,
        "num_hidden_layers": 6, "num_attention_heads": 24, "num_key_value_heads": 8,
        "vocab_size": 49_152, "tie_word_embeddings": False,
    },
    "words": {
        "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864,
        "num_hidden_layers": 8, "num_attention_heads": 14, "num_key_value_heads": 2,
        "vocab_size": 151_936, "tie_word_embeddings": True,
    },
}  # fmt: skip
"""Configurations: Llama's with a head of its own, Qwen2.5-0.5B's with a third of its layers."""


def main() -> None:
    """Print a line a shape and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*", default=METHODS)
    parser.add_argument("--shapes", nargs="*", default=list(SHAPES))
    asked = parser.parse_args()
    print(f"{'shape':<9} {'method':<10} {'plan':>6} {'measured':>9} {'ratio':>6}   MB, items")
    for name in asked.shapes:
        base = make_base(name)
        for method in asked.methods:
            found = measure(method, base, str(MODELS))
            items = {item: round(size / 1e6) for item, size in found["items"].items()}
            plan, peak = sum(items.values()), round(found["peak"] / 1e6)
            print(
                f"{name:<9} {method:<10} {plan:>6} {peak:>9} {plan / peak:>6.2f}   "
                f"{', '.join(f'{item} {size}' for item, size in items.items())}; "
                f"{found['batch']}; resident before loading {found['start'] / 1e6:.0f}",
                flush=True,
            )


def make_base(name: str) -> str:
    """Return what ``model.base_model`` says of a shape; random weights are written for it."""
    if not SHAPES[name]:
        return name
    return str(write_base(SHAPES[name], MODELS / name))


def write_base(shape: dict[str, Any], folder: Path, device: str = "cpu") -> Path:
    """Write a base model of random weights, made on a device, with the embedded one's tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    embedded = resolve_model(ModelSettings(), MODELS)
    config = AutoConfig.for_model(**shape, eos_token_id=2)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="4GB")
    for file in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(embedded.path / file, folder / file)
    shutil.copy(embedded.path / "chat_template.jinja", folder / "chat_template.jinja")
    return folder


def measure(method: str, base: str, models: str, threads: int = 0) -> dict[str, Any]:
    """Train in a fresh process; return estimate, items and peak in bytes."""
    with tempfile.TemporaryDirectory() as work:
        settings = {"method": method, "max_steps": STEPS, "batch_size": 4, "evaluations": 1}
        if method == DISTILLED:
            settings["method"] = "lora"
        given = {
            "distilled": method == DISTILLED,
            "settings": settings,
            "base": base,
            "models": models,
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
    batch = largest_batch(passes, long, trained, packing=bool(settings.packing))
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
        main()
