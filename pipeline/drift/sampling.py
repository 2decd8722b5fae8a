"""Rows of a snapshot drawn by a hash of their id, and the champion's loss on them."""

from collections.abc import Sequence
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


def row_losses(model: Any, tokenizer: Any, texts: Sequence[str]) -> list[float | None]:
    """Return the nats a token of each text under a model, in their order; None below two tokens."""
    from pipeline.evaluate.retention.general import general_loss

    measured = general_loss(texts, model, tokenizer, MAX_TOKENS)
    return [loss if tokens else None for loss, tokens in measured]
