"""Families of texts: those that share so much that they belong in one split.

What is no duplicate may still give an answer away: a page of the same template, another edition
of a section. So the bond of a split is looser than that of removal.
"""

from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.sparse import coo_array, csc_array, csr_array

from pipeline.core.runner import LOCAL
from pipeline.dedup.arrays import Rows, Shares
from pipeline.dedup.buckets import components, entries, row_mask
from pipeline.dedup.minhash import shingle_slice, slices

BONDS = (0.25, 0.35, 0.5, 0.65, 0.8)
"""Shares of the shingles of the smaller text that the other has as well, from which two are one
family: the first that leaves no family too large."""
LARGEST = 0.5
"""Share of the texts that one family may have: of 317 pages that javadoc writes about the uses of
a class, 289 share a quarter."""
FEWEST = 3  # families: one for each split
NOTED = 0.05  # share from which a pair is noted at all
SHINGLES = 1 << 24  # shingles that are looked at; of a corpus with more, one in two, in four ...
COMPARISONS = 1 << 27
"""Pairs of texts by shingle; of shingles that are in so many texts that there would be more, only
neighbouring texts count, which a template chains all the same."""
BLOCK = 1024  # texts that are compared with all others at a time


class Families(NamedTuple):
    """Which texts belong together."""

    family: Rows  # by text: the first text of its family
    bond: float  # share that ties two texts; one of :data:`BONDS`
    pairs: Rows  # texts that share something, n x 2
    shares: Shares  # by pair: the share of the smaller one's shingles that both have

    def closest(self, part: Rows) -> float:
        """Return the largest share between texts of different parts (by text); 0: none is large."""
        apart = part[self.pairs[:, 0]] != part[self.pairs[:, 1]]
        return float(self.shares[apart].max(initial=0.0))


def find_families(texts: pl.Series) -> Families:
    """Return the families of texts: what chains of bonds connect.

    The bond rises while a family holds more than :data:`LARGEST` of the texts, or fewer than three
    are left. Numbers are all alike to a shingle: pages of a template are tied whatever their facts.
    """
    rows = len(texts)
    pairs, shares = _sharing(texts)
    for bond in BONDS:
        members, begins = components(pairs[shares >= bond], rows)
        family = np.arange(rows)
        family[members] = np.repeat(members[begins[:-1]], np.diff(begins))
        sizes = np.bincount(family, minlength=rows)
        if sizes.max(initial=0) <= LARGEST * rows and np.count_nonzero(sizes) >= FEWEST:
            break
    return Families(family, bond, pairs, shares)


def _sharing(texts: pl.Series) -> tuple[Rows, Shares]:
    """Return the pairs of texts (n x 2) that share shingles, and the share of the smaller one."""
    shingles, sizes = _shingles(texts)
    spread = shingles.sum(axis=0)  # texts of each shingle
    order = np.argsort(spread, kind="stable")
    alone = sizes.sum() - shingles.nnz
    cost = alone + np.cumsum(spread[order].astype(np.float64) ** 2)
    rare = np.zeros(len(spread), dtype=np.bool_)
    rare[order[cost <= COMPARISONS]] = True
    chains = _chained(shingles[:, ~rare].tocsc())
    by_text = shingles[:, rare]
    by_shingle = by_text.T.tocsr()
    pairs, shares = [np.empty((0, 2), dtype=np.int64)], [np.empty(0)]
    for begin in range(0, len(texts), BLOCK):
        block = slice(begin, begin + BLOCK)
        shared = coo_array(by_text[block] @ by_shingle + chains[block])
        one, two = shared.coords[0] + begin, shared.coords[1]
        share = shared.data / np.minimum(sizes[one], sizes[two])
        chosen = (share >= NOTED) & (one < two)
        pairs.append(np.stack([one, two], axis=1)[chosen])
        shares.append(share[chosen])
    return np.concatenate(pairs), np.concatenate(shares)


def _chained(shingles: csc_array) -> csr_array:
    """Return how many shingles each text shares with the next one that has them."""
    begins = np.zeros(len(shingles.indices) + 1, dtype=np.bool_)
    begins[shingles.indptr] = True  # where the texts of the next shingle begin
    same = ~begins[1:-1]
    own, other = shingles.indices[:-1][same], shingles.indices[1:][same]
    shape = (shingles.shape[0], shingles.shape[0])
    return coo_array((np.ones(len(own), dtype=np.int32), (own, other)), shape=shape).tocsr()


def _shingles(texts: pl.Series) -> tuple[csr_array, Rows]:
    """Return which text (row) has which shingle (column) of several, and how many each has."""
    words = int(texts.str.len_bytes().sum()) // 6
    one_in = 1
    while words > one_in * SHINGLES:
        one_in *= 2
    mask = row_mask(len(texts))
    bounds = slices(texts)
    calls = ((texts[begin:end], one_in) for begin, end in bounds)
    parts, sizes = [], []
    for (begin, end), (found, counts) in zip(bounds, LOCAL.each(shingle_slice, calls), strict=True):
        own = np.repeat(np.arange(begin, end), counts)
        parts.append(np.unique(entries(found, own, mask)))  # of repetitions one
        own = (parts[-1] & mask).astype(np.int64) - begin
        sizes.append(np.bincount(own, minlength=end - begin))
    every = np.concatenate(parts)
    parts.clear()
    every.sort()
    same = (every[1:] ^ every[:-1]) <= mask
    first = np.append(True, ~same)
    several = ~first | np.append(same, False)
    column = np.cumsum(first[several], dtype=np.int32) - 1
    rows = (every[several] & mask).astype(np.int32)
    shape = (len(texts), int(column[-1]) + 1 if len(column) else 0)
    return csr_array((np.ones(len(rows), np.int32), (rows, column)), shape), np.concatenate(sizes)
