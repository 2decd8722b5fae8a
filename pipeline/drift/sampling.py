"""Rows of a snapshot drawn by a hash of their id, and the champion's loss on them."""

from collections.abc import Callable
from typing import Any

import polars as pl

from pipeline.core.cache import short_id

LOSS_ROWS = 64
"""Rows that are measured of each snapshot: 64 losses of sd 0.5 give their mean to +-0.12 nats."""

MAX_TOKENS = 128
"""Tokens of a row that are read: 64 rows then take a few seconds on two cores."""


def shuffle(texts: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Order rows by a salted hash of their id, whatever their order was."""
    lot = pl.Series([short_id(str(seed), key) for key in texts["id"]], dtype=pl.String)
    return texts[lot.arg_sort()]


def sample(texts: pl.DataFrame, seed: int, size: int) -> pl.DataFrame:
    """Draw ``size`` rows, or all, by a salted hash of their id; sorted by id.

    The draw does not depend on the order of the rows, and adding rows exchanges few of it.
    """
    return shuffle(texts, seed)[:size].sort("id")


def sample_losses(
    texts: pl.DataFrame, seed: int, model: Callable[[], tuple[Any, Any]]
) -> dict[str, float | None]:
    """Return the nats a token of a sample of documents and of pairs under a model, by id.

    Args:
        texts: ``id``, ``kind`` and ``text``; both kinds are sampled alike, :data:`LOSS_ROWS` each.
        seed: of the sample.
        model: loads model and tokenizer; not asked when there is nothing to measure.

    Returns:
        None for a text below two tokens.
    """
    from pipeline.evaluate.retention.general import general_loss

    kinds = ("document", "pair")
    drawn = pl.concat([sample(texts.filter(kind=kind), seed, LOSS_ROWS) for kind in kinds])
    if not drawn.height:
        return {}
    measured = general_loss(drawn["text"].to_list(), *model(), MAX_TOKENS)
    losses = [loss if tokens else None for loss, tokens in measured]
    return dict(zip(drawn["id"], losses, strict=True))
