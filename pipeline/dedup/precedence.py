"""Which document of a cluster of duplicates stays."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
import polars as pl
from numpy.typing import NDArray

LONGEST = 1 << 40
"""More characters than any text has: a preferred source comes before any length."""


def survival_order(rows: pl.DataFrame, preferred: Sequence[str]) -> NDArray[np.int64]:
    """Return the place of each document in the order of survival: the smallest survives.

    The most preferred source comes first, then the longest text; of equal places the smallest
    ``doc_id`` is meant to survive, which is the first one where rows are sorted by it.
    """
    order = -rows["text"].str.len_chars().cast(pl.Int64).to_numpy()
    if preferred:
        places = [_place(source, preferred) for source in rows["source"]]
        order = order + LONGEST * np.array(places, dtype=np.int64)
    return order


def preference(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what places of the order of survival say of the source alone."""
    return (order - 1) // LONGEST


def _place(source: str, preferred: Sequence[str]) -> int:
    """Return the first glob that a source matches; beyond the last when there is none."""
    places = (place for place, glob in enumerate(preferred) if fnmatchcase(source, glob))
    return next(places, len(preferred))
