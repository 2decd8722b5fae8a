"""Which rows go into which forward pass of which step, and how they become tensors."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.dataset.chat import IGNORED
from pipeline.settings import TrainSettings

Step = list[list[int]]
"""The micro batches of a step, each a list of row numbers."""


def plan_steps(lengths: Sequence[int], settings: TrainSettings) -> list[Step]:
    """Lay out a whole run in advance: the state of a run is then its step number.

    In each epoch rows of similar length share a micro batch (little padding), and the micro
    batches are shuffled, so a step mixes lengths. The last epoch may be a part of one; the last
    step may be smaller.

    Args:
        lengths: tokens of each row.
        settings: batch_size, micro_batch_size, epochs, max_steps and seed.

    Returns:
        The steps in order; at least one when there are rows.
    """
    size = min(settings.micro_batch_size, settings.batch_size)
    an_epoch = math.ceil(len(lengths) / size)
    a_step = math.ceil(settings.batch_size / size)
    wanted = max(1, round(settings.epochs * an_epoch)) if lengths else 0
    if settings.max_steps:
        wanted = min(wanted, settings.max_steps * a_step)
    batches: Step = []
    epoch = 0
    while len(batches) < wanted:
        random = np.random.default_rng([settings.seed, epoch])
        shuffled = random.permutation(len(lengths))  # which rows of equal length meet
        ordered = sorted(shuffled.tolist(), key=lambda row: lengths[row])
        parts = [ordered[start : start + size] for start in range(0, len(ordered), size)]
        batches += [parts[number] for number in random.permutation(len(parts))]
        epoch += 1
    del batches[wanted:]
    return [batches[start : start + a_step] for start in range(0, len(batches), a_step)]


def by_length(lengths: Sequence[int], size: int) -> Step:
    """Return all row numbers in batches of similar length, for a pass without training."""
    ordered = sorted(range(len(lengths)), key=lambda row: (lengths[row], row))
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def learning_rate(step: int, total: int, settings: TrainSettings) -> float:
    """Return the rate of a step (counted from 0): linear warm-up, then cosine decay to zero.

    The first step after the warm-up has the full rate, and the last one more than none.
    """
    warmup = math.ceil(settings.warmup_share * total)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def collate(batch: Mapping[str, list[list[int]]], pad: int, device: Any) -> tuple[Any, Any]:
    """Pad rows on the right into tensors of token ids and labels, shape (rows, tokens).

    Causal attention never looks right, so the padding needs no attention mask (which would cost
    the fast kernel), and its label is "ignored" whatever its id: padding with the end-of-turn
    token masks no end-of-turn token.
    """
    import torch

    width = max(map(len, batch["input_ids"]))

    def padded(rows: list[list[int]], value: int) -> Any:
        return torch.tensor([row + [value] * (width - len(row)) for row in rows], device=device)

    return padded(batch["input_ids"], pad), padded(batch["labels"], IGNORED)
