"""Repetition of n-grams, of words or of characters."""

from collections.abc import Sequence
from math import isqrt

import numpy as np
from numpy.typing import NDArray


class Ngrams:
    """The n-grams of a sequence of words, or of the characters of a text."""

    def __init__(self, tokens: Sequence[str]) -> None:
        numbers = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
        codes = np.fromiter(map(numbers.__getitem__, tokens), np.int64, len(tokens))
        self._codes: dict[int, NDArray[np.int64]] = {1: codes}
        self._ends: NDArray[np.int64] = np.cumsum([0, *map(len, tokens)])
        self._characters = int(self._ends[-1])

    def top_share(self, size: int) -> float:
        """Return the share of characters in the most frequent n-gram (Gopher).

        Of equally frequent ones the longest counts; when none occurs twice, 0.
        """
        codes = self._coded(size)
        counts = np.bincount(codes)
        most = int(counts.max(initial=0))
        if most < 2:
            return 0.0
        return most * int(self._lengths(size)[counts[codes] == most].max()) / self._characters

    def repeated_share(self, size: int) -> float:
        """Return the share of characters in n-grams that occur before, each character once.

        Gopher's measure as datatrove takes it: from left to right, a repeated n-gram counts and
        is stepped over, any other is remembered.
        """
        codes = self._coded(size)
        if np.bincount(codes).max(initial=0) < 2:
            return 0.0
        lengths = self._lengths(size)
        seen: set[int] = set()
        characters = free = 0
        for place, code in enumerate(codes.tolist()):
            if place < free:
                continue
            if code in seen:
                characters += int(lengths[place])
                free = place + size
            else:
                seen.add(code)
        return characters / self._characters

    def most_frequent_share(self, size: int) -> float:
        """Return the share of the most frequent n-grams among all.

        The measure of the ROOTS corpus (Laurencon et al. 2022), as Data-Juicer takes it: of the
        distinct n-grams that repeat, the most frequent, as many as the root of all distinct ones.
        """
        counts = np.sort(np.bincount(self._coded(size)))[::-1]
        top = min(isqrt(len(counts)), int((counts > 1).sum()))
        return float(counts[:top].sum() / counts.sum()) if top else 0.0

    def _coded(self, size: int) -> NDArray[np.int64]:
        """Return for each n-gram a number that all that are the same have in common."""
        known = self._codes.get(size)
        if known is not None:
            return known
        half = size // 2
        first, second = self._coded(half), self._coded(size - half)
        first, second = first[: max(0, len(second) - half)], second[half:]
        pairs = first * (second.max(initial=0) + 1) + second
        codes: NDArray[np.int64] = np.unique(pairs, return_inverse=True)[1]
        self._codes[size] = codes
        return codes

    def _lengths(self, size: int) -> NDArray[np.int64]:
        return self._ends[size:] - self._ends[:-size]
