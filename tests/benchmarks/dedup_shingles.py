"""Word 5-grams: what the arms of the deduplication benchmark hash, and what decides the truth.

The arms that leave the shingles to their user get those of words between white space, the
quickest in Python and those of rensa's own benchmark. The other tools cut words their own way.
"""

import re
from collections.abc import Callable

NGRAM = 5
"""Words a shingle (FineWeb, and the default of text-dedup and datatrove)."""
NUM_PERM = 128
"""Permutations of a signature, as in the benchmarks of datasketch and rensa."""
THRESHOLD = 0.8
"""Jaccard similarity from which two passages are duplicates."""

WORD = re.compile(r"\w+")
NAME_PART = re.compile(r"[^\W_]+")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")

WORDS: tuple[Callable[[str], list[str]], ...] = (
    lambda text: text.lower().split(),
    lambda text: WORD.findall(text.lower()),
    lambda text: NAME_PART.findall(NUMBER.sub("0", text.lower())),
)
"""What a word is: all between white space; letters, digits and underscores (text-dedup); letters
and digits with every number alike (datatrove, tuneloop)."""


def shingle_list(text: str, way: int = 0) -> list[str]:
    """Return the word 5-grams of a text in order; a shorter text is one shingle."""
    words = WORDS[way](text)
    if len(words) < NGRAM:
        return [" ".join(words)]
    return list(map(" ".join, zip(words, words[1:], words[2:], words[3:], words[4:], strict=False)))


def jaccards(one: str, other: str) -> list[float]:
    """Return the true Jaccard similarity of two texts for each of :data:`WORDS`."""
    found = []
    for way in range(len(WORDS)):
        first, second = set(shingle_list(one, way)), set(shingle_list(other, way))
        found.append(jaccard(len(first), len(second), len(first & second)))
    return found


def jaccard(one: int, other: int, common: int) -> float:
    """Return intersection over union from the sizes of two sets and of their intersection."""
    return common / (one + other - common)
