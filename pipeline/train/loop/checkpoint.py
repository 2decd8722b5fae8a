"""Checkpoints of a training run: everything a killed run needs to go on bit for bit.

A checkpoint is a folder ``step-000010``, written as a sibling and renamed, with the adapter, the
best adapter so far, the optimizer's moments, the random state, and the history. Then older ones go.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from pipeline.train.loop.optimizers import optimizer_state, restore_optimizer
from pipeline.train.models.adapter import put
from pipeline.train.torch_processes import set_random_state

Curve = list[tuple[int, float]]  # a value of each step that it was measured at


@dataclass(slots=True, kw_only=True)
class Measured:
    """What a run has measured; part of its history, and of its result."""

    train_loss: Curve = field(default_factory=list)  # nats a supervised token, before the update
    validation_loss: Curve = field(default_factory=list)  # after so many finished steps, from 0
    learning_rate: Curve = field(default_factory=list)  # of the update; with LoRA+, that of A
    gradient_norm: Curve = field(default_factory=list)
    step_speed: Curve = field(default_factory=list)  # tokens without padding a second
    best_step: int = 0  # finished steps of the adapter that is kept
    stopped_early: bool = False
    peak_memory_bytes: int = 0  # of this process so far (CPU), or of the tensors on the GPU


@dataclass(slots=True, kw_only=True)
class History(Measured):
    """What has happened so far in a run."""

    fingerprint: str  # of base, template, settings, rows: another run's checkpoint is not used
    step: int = 0
    best_loss: float = float("inf")  # lowest validation loss so far, at `best_step`
    gain_loss: float = float("inf")  # loss that the next gain is counted from
    evaluations_without_gain: int = 0
    tokens: int = 0  # without padding, and in training steps alone, like the seconds
    seconds: float = 0.0
    room: int = 0  # tokens of a pass at most: half of one that there was no memory for; 0: no limit


def save_checkpoint(
    work: Path, history: History, parameters: dict[str, Any], optimizer: Any, best: dict[str, Any],
    random: dict[str, Any],
) -> None:  # fmt: skip
    """Write the state of a run after a step."""
    folder = work / f"step-{history.step:06d}"
    temporary = work / f".{folder.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file(_detached(parameters), temporary / "adapter.safetensors")
    save_file(_detached(best), temporary / "best.safetensors")
    save_file(optimizer_state(optimizer, parameters), temporary / "optimizer.safetensors")
    save_file(random, temporary / "random.safetensors")
    (temporary / "history.json").write_text(json.dumps(asdict(history)), "utf-8")
    for file in temporary.iterdir():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    for other in work.glob("step-*"):
        if other != folder:
            (other / "history.json").unlink(missing_ok=True)  # first: now it is no checkpoint
            shutil.rmtree(other)


def load_checkpoint(
    work: Path, fingerprint: str, parameters: dict[str, Any], optimizer: Any, rank: int = 0
) -> tuple[History, dict[str, Any]] | None:
    """Put the newest checkpoint of this very run back; return history and best tensors, or None."""
    for file in sorted(work.glob("step-*/history.json"), reverse=True):
        folder = file.parent
        stored: dict[str, Any] = json.loads(file.read_text("utf-8"))
        if stored["fingerprint"] != fingerprint:
            continue
        for key, value in stored.items():
            if isinstance(value, list):  # a curve
                stored[key] = [(step, point) for step, point in value]
        put(load_file(folder / "adapter.safetensors"), parameters)
        restore_optimizer(optimizer, parameters, load_file(folder / "optimizer.safetensors"))
        set_random_state(load_file(folder / "random.safetensors"), rank)
        return History(**stored), load_file(folder / "best.safetensors")
    return None


def _detached(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
