"""Slices: how many texts one call of a runner works on, and what it signs of them."""

from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.core.progress import advance
from pipeline.core.runner import Runner
from pipeline.dedup.arrays import SAMPLED
from pipeline.dedup.buckets import Buckets, opened_buckets
from pipeline.dedup.minhash import Signed, bands_for, sign_slice
from pipeline.settings import DedupSettings

SLICE_BYTES = 2 * 2**20  # bytes of text that one call works on: a thousand calls for 2 GB
SLICE_ROWS = 1 << 16  # texts of one call at most


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


def empty_buckets(
    texts: pl.Series, settings: DedupSettings, stack: ExitStack
) -> tuple[Buckets, Buckets]:
    """Return buckets for the bands of texts and for the samples of their shingles."""
    count, _ = bands_for(settings)
    sampled = int(texts.str.len_bytes().sum()) // (6 * SAMPLED)  # a word is six bytes
    keys = (len(texts) * count, sampled)
    first, second = (stack.enter_context(opened_buckets(len(texts), need)) for need in keys)
    return first, second


def signed_slices(
    texts: pl.Series, settings: DedupSettings, runner: Runner
) -> Iterator[tuple[int, int, Signed]]:
    """Yield the signatures of texts slice by slice, with the rows where each begins and ends."""
    bounds = slices(texts)
    calls = ((texts[begin:end], settings) for begin, end in bounds)
    for (begin, end), signed in zip(bounds, runner.each(sign_slice, calls), strict=True):
        yield begin, end, signed
        advance(end, len(texts), "documents")
