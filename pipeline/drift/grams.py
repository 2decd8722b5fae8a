"""Texts as hashed bags of words, pairs of words and character n-grams, with the way back.

Each gram has a 64-bit number that depends on its text alone; its bucket in the matrix is the
remainder. All texts are one long array, so that nothing loops over grams in Python.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.drift.features import words

MAX_WORDS = 2_000
"""Words read of a text: a book is told from a page by its shape."""

MAX_CHARACTERS = 4_000
"""Characters read of a text for its character n-grams."""

CHARACTERS = 4
"""Length of a character n-gram: parts of words, and marks with what stands beside them."""

_MIX = np.uint64(0x9E3779B97F4A7C15)

Keys = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Grams:
    """Each occurrence of a gram of one level: its text's row, its number, its position."""

    level: str
    """``word`` (words and pairs of words) or ``character``."""
    rows: NDArray[np.int64]
    keys: Keys
    starts: NDArray[np.int64]
    """First word or character in :attr:`units`."""
    lengths: NDArray[np.int64]
    """Words, or characters."""
    units: Sequence[str]
    """All words, or all characters, of all texts."""

    def text(self, occurrence: int) -> str:
        """Return the gram of an occurrence as it is read; a number is ``<number>``."""
        start = int(self.starts[occurrence])
        units = self.units[start : start + int(self.lengths[occurrence])]
        if self.level == "character":
            return "".join(units)
        return " ".join("<number>" if unit == "0" else unit for unit in units)

    def presence(self, buckets: int, texts: int) -> sparse.csr_matrix:
        """Return texts by buckets, 1 where a text has a gram of the bucket."""
        places = np.unique(self.rows * buckets + (self.keys % np.uint64(buckets)).astype(np.int64))
        shape = (texts, buckets)
        ones = np.ones(len(places), dtype=np.float32)
        return sparse.csr_matrix((ones, (places // buckets, places % buckets)), shape=shape)


def word_grams(texts: Sequence[str]) -> Grams:
    """Return words and pairs of neighbouring words, by :func:`pipeline.drift.features.words`."""
    found = [words(text)[:MAX_WORDS] for text in texts]
    units = [word for one in found for word in one]
    numbers = {word: _number(word) for word in set(units)}
    single = np.fromiter((numbers[word] for word in units), dtype=np.uint64, count=len(units))
    rows = np.repeat(np.arange(len(found)), [len(one) for one in found])
    pairs = np.flatnonzero(rows[1:] == rows[:-1])
    double = (single[pairs] * _MIX) ^ (single[pairs + 1] + (_MIX >> np.uint64(7)))
    return Grams(
        level="word",
        rows=np.concatenate([rows, rows[pairs]]),
        keys=np.concatenate([_scramble(single), _scramble(double)]),
        starts=np.concatenate([np.arange(len(units)), pairs]),
        lengths=np.repeat([1, 2], [len(units), len(pairs)]),
        units=units,
    )


def character_grams(texts: Sequence[str]) -> Grams:
    """Return runs of :data:`CHARACTERS` characters in lower case; white space is one space."""
    found = [" ".join(text[:MAX_CHARACTERS].lower().split()) for text in texts]
    joined = "".join(found)
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    rows = np.repeat(np.arange(len(found)), [len(one) for one in found])
    size = max(0, len(codes) - CHARACTERS + 1)
    keys: Keys = np.zeros(size, dtype=np.uint64)
    for offset in range(CHARACTERS):
        keys = keys * np.uint64(0x110000) + codes[offset : offset + size]
    inside = np.flatnonzero(rows[:size] == rows[len(rows) - size :]) if size else np.arange(0)
    return Grams(
        level="character",
        rows=rows[inside],
        keys=_scramble(keys[inside]),
        starts=inside,
        lengths=np.full(len(inside), CHARACTERS),
        units=joined,
    )


def _number(word: str) -> int:
    data = word.encode("utf-8", "surrogatepass")
    return zlib.crc32(data) << 32 | zlib.adler32(data)


def _scramble(keys: Keys) -> Keys:
    """Spread the bits, so that the remainder depends on all of them."""
    mixed = (keys ^ (keys >> np.uint64(31))) * _MIX
    return mixed ^ (mixed >> np.uint64(29))
