"""Words and shingles: what two texts have in common when they say the same thing."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import xxhash
from numpy.typing import NDArray

WORD = re.compile(r"[^\W_]*\d+(?:[.,:]\d+)+|[^\W_]+")
"""A run of letters and digits; ``4.2.1``, ``10:30`` and ``1,250`` stay in one piece."""

NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
"""A word that is only a number; ``a17`` is a name and none."""

UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
"""Kana and Han: written without spaces, so that each sign counts as a word."""

BASE = np.uint64(0x9E3779B97F4A7C15)
"""Odd base of the rolling hash (2^64 over the golden ratio)."""


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, without accents and punctuation."""
    if text.isascii():
        folded = text.lower()
    else:
        decomposed = unicodedata.normalize("NFKD", text.casefold())
        folded = "".join(sign for sign in decomposed if unicodedata.category(sign) != "Mn")
        folded = UNSPACED.sub(r" \g<0> ", folded)
    return WORD.findall(folded)


def shingles(text: str, ngram: int) -> NDArray[np.uint64]:
    """Return the set of word n-grams of a text as sorted distinct 64-bit hashes.

    Normalised as datatrove does before its MinHash (lower case, no accents, no punctuation, all
    numbers one token), so that a changed date or page number does not hide a copy. A text
    shorter than ``ngram`` words is one shingle; one without any words is the hash of itself.

    The hash of an n-gram is ``sum(hash(word_i) * BASE^(n-1-i)) mod 2^64``: two different
    n-grams of a corpus of 10^6 distinct ones share a hash with p = 3e-8.

    Returns:
        uint64 array, at least one element.
    """
    hashes = [_hash("0" if NUMBER.fullmatch(word) else word) for word in words(text)]
    if not hashes:
        return np.array([_hash(" ".join(text.split()))], dtype=np.uint64)
    tokens = np.array(hashes, dtype=np.uint64)
    width = min(ngram, len(tokens))
    rolled: NDArray[np.uint64] = np.zeros(len(tokens) - width + 1, dtype=np.uint64)
    for offset in range(width):
        rolled = rolled * BASE + tokens[offset : offset + len(rolled)]
    return np.unique(rolled)


def jaccard(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """Return the Jaccard similarity, intersection over union, of two sets of shingles."""
    if len(one) > len(other):
        one, other = other, one
    places = np.minimum(np.searchsorted(other, one), len(other) - 1)
    common = int(np.count_nonzero(other[places] == one))
    return common / (len(one) + len(other) - common)


def same_text(text: str) -> str:
    """Return the text in the form in which exact duplicates are equal: case, white space."""
    return " ".join(text.casefold().split())


@lru_cache(maxsize=1 << 18)
def _hash(word: str) -> int:
    return xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))


def contains(stream: Sequence[str], part: Sequence[str]) -> bool:
    """Tell whether the words of ``part`` occur one after another in ``stream``."""
    return f" {' '.join(part)} " in f" {' '.join(stream)} "
