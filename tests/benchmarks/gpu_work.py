"""What the arms of the GPU benchmark share: shapes, rows, steps, plans, and what TRL is told."""

import random
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from pipeline.core.cache import short_id
from pipeline.core.outcome import table
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.text.chat_template import prompt_ids
from pipeline.train.methods import resolved
from pipeline.train.models.base_model import BaseModel, load_tokenizer, resolve_model
from pipeline.train.models.device import choose_device, compute_dtype
from pipeline.train.plan.activations import Batch, activation_bytes, largest_batch
from pipeline.train.plan.catalogue import CATALOGUE
from pipeline.train.plan.estimate import decided, flops_per_token
from pipeline.train.plan.hardware import training_machine
from pipeline.train.plan.memory import memory
from pipeline.train.plan.shapes import read_folder
from schemas.pairs import Examples
from tests.benchmarks import method_rates
from tests.benchmarks.plan_accuracy import MODELS
from tests.benchmarks.training_work import Work, plan_work

PLACE = ModelSettings()
DEVICE = choose_device(PLACE)
WARM, TIMED = 2, 5  # steps; the one behind them ends with a checkpoint and is not timed
FREE_SHARE = 0.7  # of what weights leave on a card, for what a pass of TRL keeps


def card() -> int:
    """Return the memory of the card, in bytes; 0 without one."""
    return torch.cuda.get_device_properties(0).total_memory if DEVICE == "cuda" else 0


@dataclass(frozen=True)
class Shape:
    """How large everything is."""

    config: dict[str, Any]  # of the base model, whose weights are random
    rows: dict[str, tuple[int, int, int]]  # fewest and most tokens of a row, and rows a step
    matrix: int  # width of the matrices that are multiplied
    copied: int  # bytes
    asked: int  # rows of the evaluation
    new_tokens: int
    batches: tuple[int, ...]  # sizes that transformers' generate may choose from
    learned: str  # base of parity and methods, which do not suit random weights; empty: these


_QWEN = CATALOGUE["qwen2.5-7b"].config
_SMALL = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 49_152,
}  # fmt: skip
SHAPES = {
    "7b": Shape(
        _QWEN, {"S": (60, 130, 32), "M": (200, 700, 16), "L": (2000, 4000, 4)},
        8192, 2**30, 200, 96, (24, 64, 200), "embedded",
    ),
    "tiny": Shape(
        _QWEN | _SMALL, {"S": (60, 80, 4), "M": (80, 120, 4), "L": (150, 200, 2)},
        256, 2**20, 4, 4, (2, 4), "",
    ),
}  # fmt: skip
OURS: dict[str, dict[str, Any]] = {
    "tuneloop": {},
    "tuneloop, padded": {"packing": False},
    "tuneloop, in 4 bits": {"dequantize": "each_time"},
}
"""What each arm of ours changes in the settings."""
TRL = ("trl packed", "trl packed, Liger", "trl tuned", "trl defaults")


@dataclass(frozen=True)
class Job:
    """What an arm is told: a shape, a folder, and what only some arms need."""

    shape: Shape
    work: Path
    told: dict[str, Any]

    def base(self, *, learned: bool = False) -> BaseModel:
        """Return the base of random weights, or the one that has learned something."""
        name = (learned and self.shape.learned) or str(self.work / "base")
        return resolve_model(PLACE.model_copy(update={"base_model": name}), MODELS)

    def training(self, rows: str, method: str, **changes: Any) -> Work:
        """Return the steps of a training."""
        (low, high, batch), steps = self.shape.rows[rows], WARM + TIMED + 1
        settings = TrainSettings(
            method=cast(Any, method), rank=16, alpha=32, dropout=0.0, learning_rate=2e-4,
            batch_size=batch, max_tokens=high, max_steps=steps, evaluations=1,
            checkpoint_steps=1000, **changes,
        )  # fmt: skip
        base = self.base()
        examples = make_rows(base, low, high, batch * steps)
        return plan_work(base, settings, examples, slice(WARM, WARM + TIMED), DEVICE)

    def asked(self) -> Any:
        """Return the rows of the evaluation."""
        return make_rows(self.base(), *self.shape.rows["M"][:2], self.shape.asked)


def make_rows(base: BaseModel, low: int, high: int, count: int) -> Any:
    """Return examples of so many tokens, a third of them supervised, of words of one token."""
    tokenizer, dice = load_tokenizer(base.path), random.Random(low)
    text = (method_rates.ROOT / "data/seeds/seed_tasks.jsonl").read_text("utf-8")
    words = sorted(set(re.findall(r"\b[a-z]{2,}\b", text)))
    words = [word for word in words if len(tokenizer.tokenize(f"{word} {word}")) == 2]
    frame = len(prompt_ids(tokenizer, [{"role": "user", "content": ""}]))
    rows = []
    for number in range(count):
        tokens, name = dice.randint(low, high), short_id(f"{low} {number}")
        sizes = {"user": tokens - tokens // 3 - frame, "assistant": tokens // 3 - 1}
        turns = [
            {"role": role, "content": " ".join(dice.choices(words, k=size))}
            for role, size in sizes.items()
        ]
        rows.append(
            {"pair_id": name, "doc_id": "", "cluster_id": name, "split": "train", "origin": "human",
             "status": "accepted", "messages": turns}
        )  # fmt: skip
    return table(Examples, rows).sort("pair_id")


def planned(path: Path, work: Work, rows: int = 0) -> int:
    """Return the bytes that `tuneloop plan` counts for the largest pass, or some rows of it.

    On a GPU those of tensors, as torch counts them: without its allocator and the CUDA context.
    """
    passes = (part for step in work.steps for part in step)
    packed = bool(work.settings.packing)
    # Rows that are packed on a GPU attend alone: no mask is kept.
    largest = largest_batch(passes, work.lengths, work.trained, packing=packed)
    batch = replace(largest, masked=False)
    if rows:
        batch = replace(batch, rows=rows, supervised=batch.supervised * rows // batch.rows)
    shape = read_folder(path)
    settings = resolved(work.settings, shape.hidden)
    settings = decided(shape, settings, training_machine(DEVICE))
    items = memory(
        shape, settings, batch, "gpu" if card() else "cpu", compute_dtype(DEVICE).itemsize
    )
    beside = ("allocator", "runtime") if card() else ()
    return sum(item.bytes for item in items if item.name not in beside)


def flops(path: Path, work: Work) -> float:
    """Return the floating-point operations of training on a token, as `tuneloop plan` counts."""
    shape, rows = read_folder(path), len(work.lengths)
    typical = Batch(1, sum(work.lengths) // rows, sum(work.trained) // rows)
    return flops_per_token(shape, resolved(work.settings, shape.hidden), typical)


def pass_tokens(path: Path, work: Work) -> int:
    """Return the tokens of a pass for which there is memory where LoRA is PEFT's, in float32.

    Logits are not counted: TRL 1.16 makes them in chunks.
    """
    if not card():
        return 2 * max(work.lengths)
    shape = read_folder(path)
    apart = resolved(work.settings.model_copy(update={"dropout": 0.1}), shape.hidden)
    each = activation_bytes(shape, apart, Batch(1, 1024, 341), 2) / 1024
    return int(FREE_SHARE * (card() - 2 * shape.parameters) / each)


def trl_changes(arm: str, work: Work, room: int) -> dict[str, Any]:
    """Return what an arm of TRL changes in SFTConfig, for passes of so many tokens."""
    batch, tokens = work.settings.batch_size, work.settings.max_tokens
    dtype = str(compute_dtype(DEVICE)).removeprefix("torch.")
    found = {"gradient_checkpointing": False, "model_init_kwargs": {"dtype": dtype}}
    fitting = (n for n in range(batch, 0, -1) if batch % n == 0 and n * max(work.lengths) <= room)
    size = next(fitting, 1)
    passes = batch // size
    if arm == "trl defaults":
        size, found = min(8, batch), {}
        passes = batch // size
    if "packed" in arm:
        a_step = batch * sum(work.lengths) // len(work.lengths)
        size, tokens = 1, max(tokens, min(room, a_step))
        passes = max(1, round(a_step / tokens))
        found |= {"packing": True, "use_liger_kernel": "Liger" in arm}
    return found | {
        "bf16": dtype == "bfloat16", "max_length": tokens,
        "per_device_train_batch_size": size, "gradient_accumulation_steps": passes,
    }  # fmt: skip
