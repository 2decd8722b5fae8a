"""How each code point counts when texts are compared: tables for the kernel.

The tables say, code point by code point, what :func:`pipeline.text.words.words` and
:func:`pipeline.text.words.same_text` say of a whole string, so that the kernel can read bytes.
"""

import itertools
import sys
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.text.words import UNSPACED as UNSPACED_SIGNS

SEPARATOR, LETTER, DIGIT, UNSPACED, JOINT, BEYOND = range(6)
"""What a folded sign does to a word: it ends it, goes on with it, is a digit, is a word by itself
(kana, Han), or joins two runs of digits (``.``, ``,`` and ``:``). BEYOND marks a byte that only
begins a sign beyond ASCII."""
BASE = 0x9E3779B97F4A7C15  # odd factor of hashes (2^64 over the golden ratio)
MIX = (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)  # multipliers of MurmurHash3's 64-bit finalizer
START = 0xCBF29CE484222325  # of the hash of a word: FNV-1a's offset basis (RFC 9923)
WRAP = 1 << 64
SPACE = 1  # mark of white space in the table for exact copies
# Where Unicode 17 has signs; what lies beyond is a separator.
_PLANES = (range(0x33480), range(0xE0000, 0xE0200))
_UNTOUCHED = ("Cn", "Co", "Cs")  # categories: not assigned, private, halves of pairs
# Blocks without case and decomposition, left out of the slow way.
_IDEOGRAPHS = (range(0x3400, 0x4DC0), range(0x4E00, 0xA000))


class Folding(NamedTuple):
    """What each code point becomes: ``codes[start[c] : start[c] + length[c]]``."""

    start: NDArray[np.int32]  # by code point
    length: NDArray[np.uint8]  # by code point; 0: it vanishes
    codes: NDArray[np.uint32]  # folded code points
    kinds: NDArray[np.uint8]  # kind of each folded code point
    byte_kinds: NDArray[np.uint8]  # kind of each byte: of ASCII its sign's, else BEYOND
    byte_signs: NDArray[np.uint64]
    """By byte: of a letter the 64 random bits of the folded sign (:func:`sign_of`), else START."""
    byte_masks: NDArray[np.uint64]  # all bits of a letter, which goes on with a word; else none


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
    # Each code point stands for itself; what folds to something else stands behind them all.
    start = np.arange(sys.maxunicode + 1, dtype=np.int32)
    length = np.ones(sys.maxunicode + 1, dtype=np.uint8)
    kinds = np.zeros(sys.maxunicode + 1, dtype=np.uint8)
    folded_codes: list[int] = []
    folded_kinds: list[int] = []
    for code in itertools.chain(*_PLANES):
        sign = chr(code)
        if unicodedata.category(sign) in _UNTOUCHED:
            continue
        folded = sign if any(code in block for block in _IDEOGRAPHS) else fold(sign)
        if folded == sign:
            kinds[code] = kind_of(sign)
            continue
        start[code] = len(start) + len(folded_codes)
        length[code] = len(folded)
        folded_codes += map(ord, folded)
        folded_kinds += map(kind_of, folded)
    all_codes = np.append(np.arange(len(start)), folded_codes).astype(np.uint32)
    all_kinds = np.append(kinds, folded_kinds).astype(np.uint8)
    ascii_codes = all_codes[start[:128]]
    byte_kinds = np.full(256, BEYOND, dtype=np.uint8)
    byte_kinds[:128] = all_kinds[start[:128]]
    letter = byte_kinds == LETTER
    byte_signs = np.full(256, START, dtype=np.uint64)
    byte_signs[letter] = [sign_of(code) for code in ascii_codes[letter[:128]].tolist()]
    byte_masks = np.where(letter, WRAP - 1, 0).astype(np.uint64)
    return Folding(start, length, all_codes, all_kinds, byte_kinds, byte_signs, byte_masks)


def sign_of(code: int) -> int:
    """Return the 64 random bits of a code point: MurmurHash3's 64-bit finalizer (Appleby)."""
    value = code * BASE % WRAP
    for multiplier in MIX:
        value = (value ^ value >> 33) * multiplier % WRAP
    return value ^ value >> 33
