"""Containment: texts that a longer one holds.

A sample of the shingles that depends on the shingles alone (one in eight, by a bit mask of the
hash: FracMinHash; Irber et al. 2022, sourmash) takes the same shingles of every text, so that the
share of a short text that a long one holds can be read off the samples of both.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from pipeline.core.runner import Runner
from pipeline.dedup.arrays import Duplicates, Flags, Hashes, Rows, gather
from pipeline.dedup.buckets import MOST, Buckets
from pipeline.dedup.index import Index
from pipeline.dedup.minhash import contained_slice
from pipeline.dedup.precedence import preference
from pipeline.settings import DedupSettings

FEWEST = 2  # a smaller sample estimates nothing
CANDIDATE = 0.45
"""Share of a sample from which two texts are compared. A copy with a word in twenty changed has
0.77 of the shingles, and a sample of seven at least half of that but for one in 200."""
PAIRS = 256  # pairs of one call
FIRST = np.iinfo(np.int64).min  # place of accepted texts in the order of survival


class Corpus(NamedTuple):
    """Texts, and behind them those that were accepted before."""

    own: pl.Series
    order: Rows
    accepted: Index

    def texts(self, rows: Rows) -> pl.Series:
        """Return the texts of rows."""
        return gather(self.own, self.accepted.texts, rows)

    def ranks(self, rows: Rows) -> Rows:
        """Return the place of rows in the order of survival."""
        return np.asarray(np.append(self.order, FIRST)[np.minimum(rows, len(self.own))])


class Shared(NamedTuple):
    """How many shingles of the sample pairs of texts share; arrays by pair, each there once."""

    pairs: Rows  # the first row, and in the lower 32 bits the other
    counts: Rows


def shared_in(entries: Hashes, mask: np.uint64, alive: Flags) -> tuple[Shared, Rows]:
    """Return the pairs of texts that share sampled shingles in one partition of the buckets.

    Beside them: distinct shingles of each row there. ``alive`` tells by row whether it counts.
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
    found: list[Rows] = [np.empty(0, dtype=np.int64)]
    for step in range(1, min(MOST, len(keys))):
        same = (keys[step:] == keys[:-step]) & ((step == 1) | (group[step:] <= MOST))
        found.append(_packed(rows[:-step][same], rows[step:][same]))
    return Shared(*np.unique_counts(np.concatenate(found))), sizes


def _packed(one: Rows, other: Rows) -> Rows:
    # Rows have 32 bits at most, as in buckets.links.
    return (one << 32) | other


class Samples:
    """The samples of texts, and what they share with each other and with accepted ones."""

    def __init__(self, buckets: Buckets, rows: int, accepted: Index) -> None:
        """Take empty buckets for a number of rows; accepted texts count on from the last row."""
        self._buckets, self._rows, self._accepted = buckets, rows, accepted
        self._before: list[Shared] = []

    def add(self, sample: Hashes, rows: Rows) -> None:
        """Add sampled shingles and the row of each."""
        self._buckets.add(sample, rows)
        if len(self._accepted):
            packed = np.unique(np.stack([sample, rows.astype(np.uint64)]), axis=1)
            found = self._accepted.shared(packed[0], packed[1].astype(np.int64))
            pairs = _packed(found[:, 0], found[:, 1] + self._rows)
            self._before.append(Shared(*np.unique_counts(pairs)))

    def pairs(self, alive: Flags, share: float, runner: Runner) -> Rows:
        """Return pairs of living texts (n x 2) of which one holds a share of the other's sample."""
        calls = ((entries, mask, alive) for entries, mask in self._buckets.parts())
        sizes: Rows = np.zeros(len(alive), dtype=np.int64)
        parts = []
        for shared, counts in runner.each(shared_in, calls):
            sizes += counts
            parts.append(shared)
        for pairs, counts in self._before:
            living = alive[pairs >> 32]
            parts.append(Shared(pairs[living], counts[living]))
        sizes = np.concatenate([sizes, self._accepted.sizes()])
        every, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
        names, place = np.unique(every, return_inverse=True)
        total = np.bincount(place, weights=counts, minlength=len(names))
        pairs = np.stack([names >> 32, names & 0xFFFFFFFF], axis=1)
        smaller = sizes[pairs].min(axis=1, initial=1 << 62)
        return np.asarray(pairs[(smaller >= FEWEST) & (total >= share * smaller)])


def drop_contained(
    corpus: Corpus, samples: Samples, result: Duplicates, settings: DedupSettings, runner: Runner
) -> None:
    """Let each text that stays go for one that holds it.

    Of two that hold each other, the later one in the order of survival goes. The earlier one goes
    when it alone is held (its marks make it longer), unless accepted or of a preferred source.
    """
    rows = len(corpus.own)
    pairs = samples.pairs(result.survivor == np.arange(rows), CANDIDATE, runner)
    ranks = corpus.ranks(pairs)
    turned = (ranks[:, 0] < ranks[:, 1]) | (
        (ranks[:, 0] == ranks[:, 1]) & (pairs[:, 0] < pairs[:, 1])
    )
    pairs = np.where(turned[:, None], pairs[:, ::-1], pairs)  # the later one first
    calls = (
        (corpus.texts(pairs[begin : begin + PAIRS].ravel()), settings)
        for begin in range(0, len(pairs), PAIRS)
    )
    shares = np.concatenate([np.empty((0, 2)), *runner.each(contained_slice, calls)])
    equals = np.equal(*preference(corpus.ranks(pairs)).T)
    held = shares >= settings.containment
    turned = ~held[:, 0] & held[:, 1] & equals
    pairs = np.where(turned[:, None], pairs[:, ::-1], pairs)
    share = np.where(turned, shares[:, 1], shares[:, 0])
    due = np.flatnonzero(held[:, 0] | turned)
    survivor = np.arange(rows + len(corpus.accepted))
    for place in due[np.lexsort((pairs[due, 1], pairs[due, 0], -share[due]))]:
        gone, holder = pairs[place, 0], _last(survivor, pairs[place, 1])
        if survivor[gone] == gone and holder != gone:
            survivor[gone] = holder
            result.contained[gone] = True
            result.similarity[gone] = share[place]
    for row in np.flatnonzero(result.survivor != survivor[result.survivor]):
        result.survivor[row] = _last(survivor, result.survivor[row])


def _last(survivor: Rows, row: int) -> int:
    """Return the row that stays at the end of a chain of survivors."""
    while survivor[row] != row:
        row = survivor[row]
    return row
