"""Containment: texts that a longer one holds."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.core.runner import Runner
from pipeline.dedup.arrays import Duplicates, gather
from pipeline.dedup.index import Index
from pipeline.dedup.minhash import contained_slice
from pipeline.dedup.precedence import preference
from pipeline.dedup.sharing import Samples
from pipeline.settings import DedupSettings

CANDIDATE = 0.45
"""Share of a sample from which two texts are compared. A copy with a word in twenty changed has
0.77 of the shingles, and a sample of seven at least half of that but for one in 200."""

PAIRS = 256  # pairs of one call
FIRST = np.iinfo(np.int64).min  # place of accepted texts in the order of survival


class Corpus(NamedTuple):
    """Texts, and behind them those that were accepted before."""

    own: pl.Series
    order: NDArray[np.int64]
    accepted: Index

    def texts(self, rows: NDArray[np.int64]) -> pl.Series:
        """Return the texts of rows."""
        return gather(self.own, self.accepted.texts, rows)

    def ranks(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the place of rows in the order of survival."""
        ranks: NDArray[np.int64] = np.append(self.order, FIRST)[np.minimum(rows, len(self.own))]
        return ranks


def drop_contained(
    corpus: Corpus, samples: Samples, result: Duplicates, settings: DedupSettings, runner: Runner
) -> None:
    """Let each text that stays go for one that holds it.

    Of two that hold each other, the later one in the order of survival goes. The earlier one goes
    when it alone is held (its marks make it longer), and never when it was accepted before or is
    of a preferred source.
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


def _last(survivor: NDArray[np.int64], row: int) -> int:
    """Return the row that stays at the end of a chain of survivors."""
    while survivor[row] != row:
        row = survivor[row]
    return row
