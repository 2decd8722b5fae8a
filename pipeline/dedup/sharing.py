"""Shared shingles: which texts share how much, estimated from a sample of their shingles.

MinHash finds texts that are alike as a whole; a page inside a longer one is not. A sample by the
value of the hash (FracMinHash; Irber et al. 2022, sourmash) takes the same shingles of every text,
so that the share of a short text that a long one holds can be read off the samples of both.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.runner import Runner
from pipeline.dedup.buckets import MOST, Buckets
from pipeline.dedup.index import Index

FEWEST = 2  # a smaller sample estimates nothing


class Shared(NamedTuple):
    """Pairs of texts that share shingles of the sample; arrays by pair."""

    pairs: NDArray[np.int64]  # rows, n x 2, each pair once
    counts: NDArray[np.int64]  # shingles of the sample that both have


def shared_in(
    entries: NDArray[np.uint64], mask: np.uint64, alive: NDArray[np.bool_]
) -> tuple[Shared, NDArray[np.int64]]:
    """Return the pairs of texts that share sampled shingles in one partition of the buckets.

    ``alive`` tells by row whether a text counts. Beside the pairs: the number of distinct shingles
    of each row in this partition.
    """
    ordered = np.unique(entries)
    rows = (ordered & mask).astype(np.int64)
    ordered, rows = ordered[alive[rows]], rows[alive[rows]]
    sizes = np.bincount(rows, minlength=len(alive))
    keys = ordered & ~mask
    starts = np.flatnonzero(np.diff(keys, prepend=~keys[:1]))
    lengths = np.diff(np.append(starts, len(keys)))
    group = np.repeat(lengths, lengths)
    several = group > 1
    keys, rows, group = keys[several], rows[several], group[several]
    found = []
    for step in range(1, min(MOST, len(keys))):
        same = (keys[step:] == keys[:-step]) & ((step == 1) | (group[step:] <= MOST))
        found.append(np.stack([rows[:-step][same], rows[step:][same]], axis=1))
    return counted(found), sizes


def counted(found: Iterable[NDArray[np.int64]]) -> Shared:
    """Return how often each pair of rows (n x 2) occurs."""
    pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *found])
    return merged([Shared(pairs, np.ones(len(pairs), dtype=np.int64))])


def merged(parts: Iterable[Shared]) -> Shared:
    """Return the sum of counts by pair."""
    parts = list(parts)
    pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *(part.pairs for part in parts)])
    counts = np.concatenate([np.empty(0, dtype=np.int64), *(part.counts for part in parts)])
    # Rows have 32 bits at most, as in buckets.links.
    packed = (pairs[:, 0] << 32) | pairs[:, 1]
    names, place = np.unique(packed, return_inverse=True)
    total = np.bincount(place, weights=counts, minlength=len(names)).astype(np.int64)
    return Shared(np.stack([names >> 32, names & 0xFFFFFFFF], axis=1), total)


class Samples:
    """The samples of texts, and what they share with each other and with accepted ones."""

    def __init__(self, buckets: Buckets, rows: int, accepted: Index) -> None:
        """Take empty buckets for a number of rows; accepted texts count on from the last row."""
        self._buckets, self._rows, self._accepted = buckets, rows, accepted
        self._before: list[Shared] = []

    def add(self, sample: NDArray[np.uint64], rows: NDArray[np.int64]) -> None:
        """Add sampled shingles and the row of each."""
        self._buckets.add(sample, rows)
        if len(self._accepted):
            packed = np.unique(np.stack([sample, rows.astype(np.uint64)]), axis=1)
            found = self._accepted.shared(packed[0], packed[1].astype(np.int64))
            self._before.append(counted([found + np.array([0, self._rows])]))

    def pairs(self, alive: NDArray[np.bool_], share: float, runner: Runner) -> NDArray[np.int64]:
        """Return the pairs of texts (n x 2) of which one holds about a share of the other's sample.

        ``alive`` tells by row of the texts that were added whether it counts.
        """
        calls = ((entries, mask, alive) for entries, mask in self._buckets.parts())
        sizes: NDArray[np.int64] = np.zeros(len(alive), dtype=np.int64)
        parts = []
        for shared, counts in runner.each(shared_in, calls):
            sizes += counts
            parts.append(shared)
        for pairs, counts in self._before:
            living = alive[pairs[:, 0]]
            parts.append(Shared(pairs[living], counts[living]))
        sizes = np.concatenate([sizes, self._accepted.sizes()])
        shared = merged(parts)
        smaller = sizes[shared.pairs].min(axis=1, initial=1 << 62)
        enough = (smaller >= FEWEST) & (shared.counts >= share * smaller)
        chosen: NDArray[np.int64] = shared.pairs[enough]
        return chosen
