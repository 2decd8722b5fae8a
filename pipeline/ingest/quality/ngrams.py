"""Repetition of n-grams, of words and of characters."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio (Knuth, TAOCP 6.4): odd, bits well spread. Two different n-grams of
one text share a 64-bit hash about once in 10^13 texts of 1,000 words."""


class Ngrams:
    """The n-grams of a sequence of words."""

    def __init__(self, tokens: Sequence[str]) -> None:
        # Another number in each process, but what is counted is which are equal.
        self._codes = _mixed(np.fromiter(map(hash, tokens), np.int64, len(tokens)).view(np.uint64))
        lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
        self._ends = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
        self._characters = int(self._ends[-1])
        self._found: dict[int, _Repeated] = {}

    def top_share(self, size: int) -> float:
        """Return the share of characters in the most frequent n-gram (Gopher).

        Of equally frequent ones the longest counts; when none occurs twice, 0.
        """
        first = self._repeated(size).first
        if not len(first):
            return 0.0
        places, counts = np.unique(first, return_counts=True)
        most = int(counts.max())
        longest = int(self._lengths(size)[places[counts == most]].max())
        return most * longest / self._characters

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
        stepped_over = np.zeros(len(self._codes) + size, dtype=bool)
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

    def _repeated(self, size: int) -> "_Repeated":
        """Return the n-grams that occur more than once."""
        if size not in self._found:
            if size - 1 in self._found:
                # Where a shorter n-gram occurs once, a longer one does: most places drop out early.
                shorter = self._found[size - 1]
                inside = shorter.places <= len(self._codes) - size
                places = shorter.places[inside]
                hashes = shorter.hashes[inside] * _MULTIPLIER + self._codes[places + (size - 1)]
            else:
                hashes = _rolled(self._codes, size)
                places = np.arange(len(hashes))
            self._found[size] = _repeated(places, hashes)
        return self._found[size]

    def _lengths(self, size: int) -> NDArray[np.int64]:
        return self._ends[size:] - self._ends[:-size]


class _Repeated(NamedTuple):
    """Places of the n-grams that occur more than once, in order."""

    places: NDArray[np.int64]
    first: NDArray[np.int64]
    """The place of the first one that is equal."""
    hashes: NDArray[np.uint64]


def _repeated(places: NDArray[np.int64], hashes: NDArray[np.uint64]) -> _Repeated:
    # numpy.unique gives the same; on arrays as short as these it takes twice the time.
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    equal = np.zeros(len(order) + 1, dtype=bool)  # to the one before, up to the end
    equal[1:-1] = ordered[1:] == ordered[:-1]
    begins = np.maximum.accumulate(np.where(equal[:-1], 0, np.arange(len(order))))
    repeated = np.flatnonzero(equal[:-1] | equal[1:])
    found = order[repeated]
    by_place = np.argsort(found, kind="stable")
    found = found[by_place]
    first = order[begins[repeated]][by_place]
    return _Repeated(places[found], places[first], hashes[found])


def character_share(text: str, size: int) -> float:
    """Return the share of the most frequent character n-grams among all.

    The measure of the ROOTS corpus (Laurencon et al. 2022), as Data-Juicer takes it: of the
    distinct n-grams that repeat, the most frequent, as many as the root of all distinct ones.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    if len(codes) < size:
        return 0.0
    hashes = _rolled(_mixed(codes.astype(np.uint64)), size)
    _, counts = np.unique(hashes, return_counts=True)
    repeated = int((counts > 1).sum())
    top = min(int(len(counts) ** 0.5), repeated)
    return float(np.sort(counts)[len(counts) - top :].sum() / counts.sum()) if top else 0.0


def _mixed(codes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = (codes + np.uint64(1)) * _MULTIPLIER
    mixed ^= mixed >> np.uint64(32)
    return mixed


def _rolled(codes: NDArray[np.uint64], size: int) -> NDArray[np.uint64]:
    count = max(0, len(codes) - size + 1)
    hashes: NDArray[np.uint64] = np.zeros(count, dtype=np.uint64)
    for shift in range(size):
        hashes = hashes * _MULTIPLIER + codes[shift : shift + count]
    return hashes
