"""Which rows go into which forward pass of which step, and how they become tensors."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.settings import TrainSettings
from pipeline.text.chat import IGNORED

Step = list[list[int]]  # the micro batches of a step, each a list of row numbers
ALIKE = 4  # rows of similar length that stay together when an epoch is shuffled
PIECE = 128  # supervised tokens whose logits are held at once, behind a frozen head
GPU_PIECE = 1024  # the same on a GPU, which reads a head of a gigabyte for each piece
FILLER = 0  # token in padded places
MAX_PADDING = 0.125  # share of a pass of several rows that may be padding
CPU_PASS = {"micro_batch_size": 8, "micro_batch_tokens": 1024}
GPU_TOKENS = 8192
"""Tokens of a pass on a GPU, halved where there is no memory for them: from 8,192 on an A100 gains
no more a token (Qwen's table of LoRA: 1,707 tokens a second at 256, 3,151 at 2,048, 3,077 here)."""


def sized(settings: TrainSettings, device: str = "cpu") -> TrainSettings:
    """Return the settings with the limits of a pass on a device in the place of empty ones.

    A GPU is given as many rows as there are in a step, and as many tokens as keep it busy.
    """
    on_gpu = {"micro_batch_size": settings.batch_size, "micro_batch_tokens": GPU_TOKENS}
    limits = on_gpu if device == "cuda" else CPU_PASS
    empty = {name: value for name, value in limits.items() if getattr(settings, name) is None}
    return settings.model_copy(update=empty)


def pack_room(settings: TrainSettings, device: str = "cpu") -> int:
    """Return how many tokens of rows are packed together: on a GPU what a pass may have."""
    limits = sized(settings, device)
    assert limits.micro_batch_size and limits.micro_batch_tokens, "sized"
    room = min(limits.micro_batch_tokens, limits.micro_batch_size * settings.max_tokens)
    return max(room, settings.max_tokens) if device == "cuda" else settings.max_tokens


def plan_steps(lengths: Sequence[int], settings: TrainSettings, device: str = "cpu") -> list[Step]:
    """Lay out a whole run in advance: the state of a run is then its step number.

    In each epoch :data:`ALIKE` rows of similar length stay together, and these groups are shuffled.
    The rows of a step, by length, share a pass as long as micro_batch_size, micro_batch_tokens and
    :data:`MAX_PADDING` allow. The last epoch may be a part of one, the last step smaller.
    """
    if settings.packing:
        return _plan_packed(lengths, settings, pack_room(settings, device))
    settings = sized(settings, device)
    assert settings.micro_batch_size and settings.micro_batch_tokens, "sized"
    # No process is without rows, unless a step has too few of them.
    size = min(settings.micro_batch_size, math.ceil(settings.batch_size / settings.processes))
    wanted = max(1, round(settings.epochs * len(lengths))) if lengths else 0
    if settings.max_steps:
        wanted = min(wanted, settings.max_steps * settings.batch_size)
    order: list[int] = []
    epoch = 0
    while len(order) < wanted:
        random = np.random.default_rng([settings.seed, epoch])
        shuffled = random.permutation(len(lengths))  # which rows of equal length meet
        ordered = sorted(shuffled.tolist(), key=lambda row: lengths[row])
        groups = [ordered[start : start + ALIKE] for start in range(0, len(ordered), ALIKE)]
        order += [row for number in random.permutation(len(groups)) for row in groups[number]]
        epoch += 1
    del order[wanted:]
    return [
        passes(
            order[start : start + settings.batch_size], lengths, size, settings.micro_batch_tokens
        )
        for start in range(0, len(order), settings.batch_size)
    ]


def passes(rows: Iterable[int], lengths: Sequence[int], size: int, room: int) -> Step:
    """Put rows into passes of so many rows and tokens (with padding) at most, the short first."""
    found: Step = []
    held = 0
    for row in sorted(rows, key=lambda row: lengths[row]):
        if found and len(found[-1]) < size:
            padded = (len(found[-1]) + 1) * lengths[row]
            empty = padded - held - lengths[row]
            if padded <= room and empty <= MAX_PADDING * padded:
                found[-1].append(row)
                held += lengths[row]
                continue
        found.append([row])
        held = lengths[row]
    return found


def _plan_packed(lengths: Sequence[int], settings: TrainSettings, room: int) -> list[Step]:
    an_epoch = math.ceil(len(lengths) / settings.batch_size)
    wanted = max(1, round(settings.epochs * an_epoch)) if lengths else 0
    wanted = min(wanted, settings.max_steps or wanted)
    steps: list[Step] = []
    epoch = 0
    while len(steps) < wanted:
        rows = np.random.default_rng([settings.seed, epoch]).permutation(len(lengths)).tolist()
        for start in range(0, len(rows), settings.batch_size):
            of_step = rows[start : start + settings.batch_size]
            share = math.ceil(sum(lengths[row] for row in of_step) / settings.processes)
            steps.append(first_fit(of_step, lengths, min(room, share)))  # a pack for each process
        epoch += 1
    return steps[:wanted]


def first_fit(rows: Sequence[int], lengths: Sequence[int], room: int) -> Step:
    """Put rows into packs of ``room`` tokens, the longest first, each where it fits first."""
    packs: Step = []
    left: list[int] = []
    for row in sorted(rows, key=lambda row: (-lengths[row], row)):
        fits = (number for number, space in enumerate(left) if lengths[row] <= space)
        number = next(fits, len(packs))
        if number == len(packs):
            packs.append([])
            left.append(room)
        packs[number].append(row)
        left[number] -= lengths[row]
    return packs


def pass_size(rows: Sequence[int], lengths: Sequence[int], *, packing: bool) -> int:
    """Return the tokens of a pass, padding included."""
    found = [lengths[row] for row in rows]
    return sum(found) if packing else len(rows) * max(found)


def cut(rows: list[int], lengths: Sequence[int], room: int, *, packing: bool) -> Step:
    """Halve a pass until its parts have no more tokens than that, or one row each; 0: no limit."""
    if not room or len(rows) == 1 or pass_size(rows, lengths, packing=packing) <= room:
        return [rows]
    halves = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    return [part for half in halves for part in cut(half, lengths, room, packing=packing)]


def learning_rate(full: float, step: int, total: int, settings: TrainSettings) -> float:
    """Return the rate of a step (from 0): linear warm-up to full, cosine decay to zero."""
    warmup = math.ceil(settings.warmup_share * total)
    if step < warmup:
        return full * (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    return full * 0.5 * (1 + math.cos(math.pi * done))


def collate(batch: Mapping[str, list[list[int]]], device: Any) -> tuple[Any, Any]:
    """Pad rows on the right into tensors of token ids and labels, shape (rows, tokens).

    Causal attention never looks right, so padding needs no mask (which would cost the fast kernel),
    and any token that every model knows will do.
    """
    import torch

    width = max(map(len, batch["input_ids"]))

    def padded(rows: list[list[int]], value: int) -> Any:
        return torch.tensor([row + [value] * (width - len(row)) for row in rows], device=device)

    return padded(batch["input_ids"], FILLER), padded(batch["labels"], IGNORED)


def pack(batch: Mapping[str, list[list[int]]], device: Any) -> tuple[Any, ...]:
    """Join rows into one of token ids, labels and positions, shape (1, tokens), without padding.

    The positions start again at each row, by which transformers 5.23 keeps rows apart, given no
    mask and no cache. The first token of a row is predicted by nothing, so its label is ignored.
    """
    import torch

    ids = [token for row in batch["input_ids"] for token in row]
    labels = [label for row in batch["labels"] for label in [IGNORED, *row[1:]]]
    positions = [position for row in batch["input_ids"] for position in range(len(row))]
    packed: Any = [torch.tensor([values], device=device) for values in (ids, labels, positions)]
    packed[2].lengths = [len(row) for row in batch["input_ids"]]  # see gpu/varlen.py
    return tuple(packed)
