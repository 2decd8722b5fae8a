"""Slices: how many texts one call of a runner works on."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

SLICE_BYTES = 2 * 2**20
"""Bytes of text that one call works on: a thousand calls for 2 GB."""

SLICE_ROWS = 1 << 16
"""Texts of one call at most."""


def slices(texts: pl.Series) -> list[tuple[int, int]]:
    """Return ranges of rows of about SLICE_BYTES each."""
    return ranges(np.cumsum(texts.str.len_bytes().to_numpy(), dtype=np.int64))


def ranges(ends: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cut items, of which the bytes up to each are given, into ranges of about SLICE_BYTES."""
    ranges = []
    begin = 0
    while begin < len(ends):
        size = ends[begin - 1] if begin else 0
        end = int(np.searchsorted(ends, size + SLICE_BYTES, side="right"))
        end = min(max(end, begin + 1), begin + SLICE_ROWS, len(ends))
        ranges.append((begin, end))
        begin = end
    return ranges
