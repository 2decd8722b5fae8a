"""How each code point counts when texts are compared: tables for the kernel.

The tables say, code point by code point, what :func:`pipeline.dedup.shingles.words` and
:func:`pipeline.dedup.shingles.same_text` say of a whole string, so that the kernel can read bytes.
"""

import sys
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.dedup.shingles import UNSPACED as UNSPACED_SIGNS

SEPARATOR, LETTER, DIGIT, UNSPACED, JOINT, BEYOND = range(6)
"""What a folded sign does to a word: it ends it, goes on with it, is a digit, is a word by itself
(kana, Han), or joins two runs of digits (``.``, ``,`` and ``:``). BEYOND marks a byte that only
begins a sign beyond ASCII."""

SPACE = 1
"""Mark of white space in the table for exact copies."""

_PLANES = (range(0x33480), range(0xE0000, 0xE0200))
"""Code points that Unicode 17 assigns, private use left out; those beyond are separators."""

_IDEOGRAPHS = (range(0x3400, 0x4DC0), range(0x4E00, 0xA000))
"""Blocks without case and decomposition, left out of the slow way."""


class Folding(NamedTuple):
    """What each code point becomes: ``codes[start[c] : start[c] + length[c]]``."""

    start: NDArray[np.int32]
    """By code point."""
    length: NDArray[np.uint8]
    """By code point; 0: it vanishes."""
    codes: NDArray[np.uint32]
    """Folded code points."""
    kinds: NDArray[np.uint8]
    """Kind of each folded code point."""


@lru_cache(maxsize=1)
def word_folding() -> Folding:
    """Return the folding of words: NFKD after case folding, without marks (Mn)."""

    def fold(sign: str) -> str:
        decomposed = unicodedata.normalize("NFKD", sign.casefold())
        return "".join(part for part in decomposed if unicodedata.category(part) != "Mn")

    return _table(fold, _word_kind)


@lru_cache(maxsize=1)
def copy_folding() -> Folding:
    """Return the folding of exact copies: case only, white space marked."""
    return _table(str.casefold, lambda sign: SPACE if sign.isspace() else 0)


def _word_kind(sign: str) -> int:
    if sign in ".,:":
        return JOINT
    if not sign.isalnum():
        return SEPARATOR
    if UNSPACED_SIGNS.match(sign):
        return UNSPACED
    return DIGIT if sign.isdecimal() else LETTER


def _table(fold: Callable[[str], str], kind_of: Callable[[str], int]) -> Folding:
    start = np.zeros(sys.maxunicode + 1, dtype=np.int32)
    length = np.ones(sys.maxunicode + 1, dtype=np.uint8)
    codes: list[int] = [0]  # of what is not assigned: a separator
    kinds: list[int] = [0]
    for plane in _PLANES:
        for code in plane:
            if 0xD800 <= code < 0xE000:
                continue  # halves of surrogate pairs are not in UTF-8
            sign = chr(code)
            folded = sign if any(code in block for block in _IDEOGRAPHS) else fold(sign)
            start[code] = len(codes)
            length[code] = len(folded)
            codes += map(ord, folded)
            kinds += map(kind_of, folded)
    return Folding(start, length, np.array(codes, dtype=np.uint32), np.array(kinds, dtype=np.uint8))
