"""Repetition of n-grams, of words and of characters."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio (Knuth, TAOCP 6.4): odd, bits well spread. Two different n-grams of
one text share a 64-bit hash about once in 10^13 texts of 1,000 words."""


class _Repeated(NamedTuple):
    """Where the n-grams of a size are that occur more than once, from left to right."""

    places: NDArray[np.int64]
    first: NDArray[np.int64]
    """For each place that of the first n-gram that is the same."""
    hashes: NDArray[np.uint64]


class Ngrams:
    """The n-grams of a sequence of words."""

    def __init__(self, tokens: Sequence[str]) -> None:
        numbers: defaultdict[str, int] = defaultdict(count().__next__)
        codes = np.fromiter(map(numbers.__getitem__, tokens), np.int64, len(tokens))
        lengths = np.fromiter(map(len, numbers), np.int64, len(numbers))
        self._mixed = _mixed(codes.astype(np.uint64))
        self._ends = np.zeros(len(codes) + 1, np.int64)
        np.cumsum(lengths[codes], out=self._ends[1:])
        self._characters = int(self._ends[-1])
        self._found: dict[int, _Repeated] = {}

    def top_share(self, size: int) -> float:
        """Return the share of characters in the most frequent n-gram (Gopher).

        Of equally frequent ones the longest counts; when none occurs twice, 0.
        """
        first = self._repeated(size).first
        if not len(first):
            return 0.0
        counts = np.bincount(first)
        most = int(counts.max())
        longest = int(self._lengths(size)[np.flatnonzero(counts == most)].max())
        return most * longest / self._characters

    def covered_share(self, size: int) -> float:
        """Return the share of characters that lie in any n-gram that occurs before.

        No less than :meth:`repeated_share` of this size, which takes some of these n-grams, and
        of any larger size: n-grams that are the same consist of shorter ones that are.
        """
        places, first, _ = self._repeated(size)
        again = places[places != first]
        if not len(again):
            return 0.0
        starts = again.copy()
        np.maximum(again[1:], again[:-1] + size, out=starts[1:])
        return int((self._ends[again + size] - self._ends[starts]).sum()) / self._characters

    def repeated_share(self, size: int) -> float:
        """Return the share of characters in n-grams that occur before, each character once.

        Gopher's measure as datatrove takes it: from left to right, a repeated n-gram counts and
        is stepped over, any other is remembered.
        """
        places, first, _ = self._repeated(size)
        if not len(places):
            return 0.0
        again = places != first
        lengths = self._lengths(size)
        stepped_over = np.zeros(len(self._mixed) + size, dtype=bool)
        remembered: set[int] = set()
        characters = free = 0
        for place, gram in zip(places[again].tolist(), first[again].tolist(), strict=True):
            if place < free:
                continue
            if gram in remembered or not stepped_over[gram]:
                characters += int(lengths[place])
                stepped_over[place + 1 : place + size] = True
                free = place + size
            else:
                remembered.add(gram)
        return characters / self._characters

    def _repeated(self, size: int) -> _Repeated:
        if size not in self._found:
            if size - 1 in self._found:
                # Where a shorter n-gram occurs once, a longer one does: most places drop out early.
                places, _, hashes = self._found[size - 1]
                inside = places <= len(self._mixed) - size
                places = places[inside]
                hashes = hashes[inside] * _MULTIPLIER + self._mixed[places + size - 1]
            else:
                hashes = _rolled(self._mixed, size)
                places = np.arange(len(hashes))
            self._found[size] = _more_than_once(places, hashes)
        return self._found[size]

    def _lengths(self, size: int) -> NDArray[np.int64]:
        return self._ends[size:] - self._ends[:-size]


def character_share(text: str, size: int) -> float:
    """Return the share of the most frequent character n-grams among all.

    The measure of the ROOTS corpus (Laurencon et al. 2022), as Data-Juicer takes it: of the
    distinct n-grams that repeat, the most frequent, as many as the root of all distinct ones.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    if len(codes) < size:
        return 0.0
    _, counts = np.unique(_rolled(_mixed(codes.astype(np.uint64)), size), return_counts=True)
    repeated = int((counts > 1).sum())
    top = min(int(len(counts) ** 0.5), repeated)
    return float(np.sort(counts)[len(counts) - top :].sum() / counts.sum()) if top else 0.0


def _more_than_once(places: NDArray[np.int64], hashes: NDArray[np.uint64]) -> _Repeated:
    """Keep the n-grams whose hash occurs more than once.

    Args:
        places: Ascending.
        hashes: Of the n-grams at these places.
    """
    order = hashes.argsort(kind="stable")
    ordered = hashes[order]
    same = np.zeros(len(order) + 1, dtype=bool)  # whether a hash is that before it; an end
    np.equal(ordered[1:], ordered[:-1], out=same[1:-1])
    repeated = np.flatnonzero(same[:-1] | same[1:])
    order = order[repeated]
    starts = ~same[repeated]
    first = order[starts][starts.cumsum() - 1]
    back = order.argsort()
    kept = order[back]
    return _Repeated(places[kept], places[first[back]], hashes[kept])


def _mixed(codes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = (codes + np.uint64(1)) * _MULTIPLIER
    return mixed ^ (mixed >> np.uint64(32))


def _rolled(mixed: NDArray[np.uint64], size: int) -> NDArray[np.uint64]:
    hashes: NDArray[np.uint64]
    count = max(0, len(mixed) - size + 1)
    hashes = np.zeros(count, dtype=np.uint64)
    for shift in range(size):
        hashes = hashes * _MULTIPLIER + mixed[shift : shift + count]
    return hashes
