"""Checkpoints of a training run: everything a killed run needs to go on bit for bit.

A checkpoint is a folder ``step-000010``, written as a sibling and renamed, with the adapter, the
best adapter so far, the moments of the optimizer and the random state in safetensors, and the
history in JSON. Once it stands, older ones go.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.train.loop.optimizers import optimizer_state, restore_optimizer
from pipeline.train.torch_processes import set_random_state


@dataclass(slots=True)
class History:
    """What has happened so far in a run."""

    fingerprint: str
    """Digest of base, template, settings and rows; a checkpoint of another run is not used."""
    step: int = 0
    """Finished steps."""
    train_loss: list[tuple[int, float]] = field(default_factory=list)
    validation_loss: list[tuple[int, float]] = field(default_factory=list)
    learning_rate: list[tuple[int, float]] = field(default_factory=list)
    gradient_norm: list[tuple[int, float]] = field(default_factory=list)
    step_speed: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    best_loss: float = float("inf")
    """Lowest validation loss so far, at ``best_step``."""
    gain_loss: float = float("inf")
    """Loss that the next gain is counted from."""
    evaluations_without_gain: int = 0
    stopped_early: bool = False
    tokens: int = 0
    """Tokens that went through training steps, without padding."""
    seconds: float = 0.0
    """Time in training steps."""
    peak_memory_bytes: int = 0
    room: int = 0
    """Tokens of a pass, padding included, at most: half of one that there was no memory for; 0: as
    many as the settings say."""


def save_checkpoint(
    work: Path,
    history: History,
    parameters: dict[str, Any],
    optimizer: Any,
    best: dict[str, Any],
    random: dict[str, Any],
) -> None:
    """Write the state of a run after a step."""
    from safetensors.torch import save_file

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
    """Put the newest checkpoint of this very run into parameters, optimizer and random state.

    Returns:
        Its history and the tensors of the best step, or None when there is no such checkpoint.
    """
    import torch
    from safetensors.torch import load_file

    for file in sorted(work.glob("step-*/history.json"), reverse=True):
        folder = file.parent
        stored: dict[str, Any] = json.loads(file.read_text("utf-8"))
        if stored["fingerprint"] != fingerprint:
            continue
        for key, value in stored.items():
            if isinstance(value, list):  # a curve
                stored[key] = [(step, point) for step, point in value]
        adapter = load_file(folder / "adapter.safetensors")
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(adapter[name])
        restore_optimizer(optimizer, parameters, load_file(folder / "optimizer.safetensors"))
        random = load_file(folder / "random.safetensors")
        set_random_state(random, rank)
        best = load_file(folder / "best.safetensors")
        return History(**stored), best
    return None


def _detached(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
