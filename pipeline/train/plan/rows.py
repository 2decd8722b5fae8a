"""The largest forward pass of a training, from its settings or from its rows."""

from collections.abc import Iterable, Sequence

from pipeline.settings import TrainSettings
from pipeline.train.plan.activations import Batch

SUPERVISED_SHARE = 1 / 3
"""Trained tokens among all when no rows are known: questions with their context, and answers."""


def full_batch(settings: TrainSettings, share: float = SUPERVISED_SHARE) -> Batch:
    """Return the largest pass there can be: every row as long as train.max_tokens allows."""
    if settings.packing:
        return Batch(1, settings.max_tokens, round(share * settings.max_tokens), masked=True)
    tokens = settings.max_tokens
    room = max(1, settings.micro_batch_tokens // tokens)
    rows = min(settings.micro_batch_size, settings.batch_size, room)
    return Batch(rows, tokens, round(share * rows * tokens))


def largest_batch(
    passes: Iterable[Sequence[int]],
    lengths: Sequence[int],
    supervised: Sequence[int],
    *,
    packing: bool = False,
) -> Batch:
    """Return the pass with the most tokens, padding included.

    Args:
        passes: row numbers of each pass.
        lengths: tokens of each row.
        supervised: trained tokens of each row.
        packing: the rows of a pass are joined into one.
    """

    def of(rows: Sequence[int]) -> Batch:
        long, trained = [lengths[row] for row in rows], sum(supervised[row] for row in rows)
        if packing:
            return Batch(1, sum(long), trained, masked=True)
        return Batch(len(rows), max(long), trained)

    return max(map(of, passes), key=lambda batch: (batch.size, batch.supervised))
