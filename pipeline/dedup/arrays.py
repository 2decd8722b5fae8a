"""Named arrays that the compiled functions take and give."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.dedup.folding import Folding

Rows = NDArray[np.int64]  # numbers of rows, places and counts
Hashes = NDArray[np.uint64]
Shares = NDArray[np.float64]  # similarities among them
Flags = NDArray[np.bool_]
SAMPLED = 8  # one shingle of so many is in the sample of a text: seven of a text of 60 words


class Texts(NamedTuple):
    """Texts as their UTF-8 bytes, one behind the other."""

    data: NDArray[np.uint8]
    offsets: Rows  # where each begins in ``data``, and the end of the last


class Hashing(NamedTuple):
    """All that the shingles and the signature of a text depend on."""

    ngram: int  # words of a shingle
    words: Folding
    copies: Folding
    factors: NDArray[np.uint32]  # of the permutations
    summands: NDArray[np.uint32]


class Limits(NamedTuple):
    """When two texts are duplicates, and when that is too much of a good thing."""

    threshold: float  # Jaccard similarity that joins two texts
    agreeing: int  # places in which their signatures must be equal to be compared at all
    near_from: float  # similarity from which a text of another cluster is noted
    cluster_size: int  # distinct texts that a cluster may have


class Duplicates(NamedTuple):
    """What stays for each text; arrays by row."""

    survivor: Rows  # the row that stays for it; -1 in a cluster above the limit
    similarity: Shares
    """Jaccard similarity with the survivor; below the threshold when only others link the two. Of
    a contained text the share of its words that the survivor has."""
    exact: Flags  # whether it is a better row but for case and white space
    contained: Flags  # whether it goes for a longer text that holds it
    nearest: Rows  # the most similar row of another cluster, -1: none close
    nearest_similarity: Shares


def all_distinct(rows: int) -> Duplicates:
    """Return the finding that each row stays."""
    return Duplicates(
        survivor=np.arange(rows),
        similarity=np.ones(rows),
        exact=np.zeros(rows, dtype=bool),
        contained=np.zeros(rows, dtype=bool),
        nearest=np.full(rows, -1),
        nearest_similarity=np.zeros(rows),
    )


def gather(own: pl.Series, others: Callable[[Rows], pl.Series], rows: Rows) -> pl.Series:
    """Return values by row, of which those behind the end of ``own`` are others'."""
    beyond = rows >= len(own)
    if not beyond.any():
        return own.gather(rows)
    order = np.argsort(beyond, kind="stable")  # own ones first
    values = pl.concat([own.gather(rows[~beyond]), others(rows[beyond] - len(own))])
    return values.gather(np.argsort(order))


def utf8(texts: pl.Series) -> Texts:
    """Return the bytes of texts without a copy of them."""
    column = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, places, content = column.buffers()
    offsets = np.frombuffer(places, dtype=np.int64)[column.offset : column.offset + len(texts) + 1]
    return Texts(np.frombuffer(content or b"", dtype=np.uint8), offsets)
