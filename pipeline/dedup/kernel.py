"""Words, shingles and signatures straight from UTF-8 bytes, compiled by numba.

A text of a megabyte becomes shingle hashes without one string being made, and without the
interpreter's lock, so that threads share the work. What the functions compute is defined by
:mod:`pipeline.dedup.shingles`, whose readable form the tests compare them with.
"""

from typing import TYPE_CHECKING, Any, TypeVar

import numba as nb
import numpy as np

from pipeline.dedup import folding as tables
from pipeline.dedup.folding import (
    BEYOND,
    DIGIT,
    JOINT,
    LETTER,
    SEPARATOR,
    SPACE,
    UNSPACED,
    Folding,
)

F = TypeVar("F")
if TYPE_CHECKING:  # numba has no types

    def compiled(function: F) -> F:
        """Return the function, compiled when it is first called."""
else:
    compiled = nb.njit(cache=True, nogil=True, boundscheck=False)

_START = np.uint64(0xCBF29CE484222325)
"""Offset basis of FNV-1a (Fowler, Noll, Vo; RFC 9923)."""
_PRIME = np.uint64(0x00000100000001B3)
"""FNV's prime for 64 bits."""
_PRIME_2 = np.uint64(0x9FB21C651E98DF25)
"""Odd multiplier of the second half of a copy's key, a polynomial of its signs."""
_MIX_1, _MIX_2 = np.uint64(tables.MIX[0]), np.uint64(tables.MIX[1])
BASE = np.uint64(tables.BASE)
"""Odd base of the rolling hash of an n-gram."""
_1 = np.uint64(1)
_33 = np.uint64(33)
_63 = np.uint64(63)
_32 = np.uint64(32)

SHORT = 1 << 16
"""Bytes of a text up to which the room for its n-grams is not counted: a megabyte is enough."""

Array = Any
"""A numpy array; numba checks their types when it compiles."""
Scalar = Any
"""A number of numpy or of Python: they are one in compiled code."""


@compiled
def _mix(value: Scalar) -> Scalar:
    """Return MurmurHash3's 64-bit finalizer of a value."""
    value = np.uint64(value)
    value = (value ^ (value >> _33)) * _MIX_1
    value = (value ^ (value >> _33)) * _MIX_2
    return value ^ (value >> _33)


@compiled
def sign_of(code: Scalar) -> Scalar:
    """Return the 64 random bits of a code point."""
    return _mix(np.uint64(code) * BASE)


@compiled
def _decode(data: Array, at: Scalar) -> tuple[Scalar, Scalar]:
    """Return the code point that begins at a byte above 127, and the place behind it."""
    first = np.int64(data[at])
    if first < 0xE0:
        return ((first & 0x1F) << 6) | (np.int64(data[at + 1]) & 0x3F), at + 2
    if first < 0xF0:
        return (
            ((first & 0x0F) << 12)
            | ((np.int64(data[at + 1]) & 0x3F) << 6)
            | (np.int64(data[at + 2]) & 0x3F)
        ), at + 3
    return (
        ((first & 0x07) << 18)
        | ((np.int64(data[at + 1]) & 0x3F) << 12)
        | ((np.int64(data[at + 2]) & 0x3F) << 6)
        | (np.int64(data[at + 3]) & 0x3F)
    ), at + 4


@compiled
def copy_key(data: Array, at: int, stop: int, folding: Folding) -> tuple[Scalar, Scalar]:
    """Return 128 bits that are equal for texts which differ in case and white space only.

    Args:
        data: uint8, UTF-8 bytes.
        at: first byte of the text.
        stop: byte behind its last one.
        folding: of :func:`pipeline.dedup.folding.copy_folding`.
    """
    start, length, codes, kinds, _, _ = folding
    one, two = _START, _MIX_2
    begun = gap = False
    while at < stop:
        code = np.int64(data[at])
        if code < 128:
            at += 1
        else:
            code, at = _decode(data, at)
        place = start[code]
        for step in range(place, place + length[code]):
            if kinds[step] == SPACE:
                gap = begun
                continue
            if gap:
                one = (one ^ np.uint64(32)) * _PRIME
                two = two * _PRIME_2 + np.uint64(32)
                gap = False
            folded = np.uint64(codes[step])
            one = (one ^ folded) * _PRIME
            two = two * _PRIME_2 + folded
            begun = True
    return _mix(one), _mix(two)


@compiled
def room(data: Array, at: int, stop: int, folding: Folding) -> int:
    """Return how many n-grams a text can have at most.

    A text of ASCII has a word in two bytes. The most that one code point of n bytes folds to is
    2 n words (a squared word of katakana); for a long text the folded signs are counted.
    """
    if stop - at <= SHORT:
        return 2 * (stop - at) + 1
    signs = 1
    while at < stop:
        point = np.int64(data[at])
        if point < 128:
            at += 1
        else:
            point, at = _decode(data, at)
        signs += folding.length[point]
    return signs


@compiled
def ngram_hashes(
    data: Array,
    at: int,
    stop: int,
    ngram: int,
    folding: Folding,
    out: Array,
) -> int:
    """Write the hash of each word n-gram of a text in order, repetitions included.

    Args:
        data: uint8, UTF-8 bytes.
        at: first byte of the text.
        stop: byte behind its last one.
        ngram: words of an n-gram.
        folding: of :func:`pipeline.dedup.folding.word_folding`.
        out: uint64, of :func:`room` places; what is written is ``out[:n]``.

    Returns:
        ``n``: one when there are fewer than ``ngram`` words, none when there is no word.
    """
    start, length, codes, kinds, byte_kinds, byte_signs = folding
    number = _mix(_appended(_START, sign_of(48)))  # each number is the word "0"
    words = 0
    # A word so far. ``pending``: a joint that waits for a digit, else the word ended before it.
    value = _START
    inside = behind_joint = numeric = digit_last = False
    pending = np.uint64(0)
    while at < stop:
        byte = data[at]
        kind = byte_kinds[byte]
        # Runs of letters and of separators are most of a text: one short loop for each.
        if kind == LETTER and not behind_joint and pending == 0:
            if not inside:
                value = _START
                inside = True
            while kind == LETTER:
                value = _appended(value, byte_signs[byte])
                at += 1
                if at == stop:
                    break
                byte = data[at]
                kind = byte_kinds[byte]
            numeric = digit_last = False
            continue
        if kind == SEPARATOR:
            if inside:
                out[words] = number if numeric else _mix(value)
                words += 1
                inside = behind_joint = False
                pending = np.uint64(0)
            at += 1
            while at < stop and byte_kinds[data[at]] == SEPARATOR:
                at += 1
            continue
        point = np.int64(byte)
        if kind != BEYOND:
            at += 1
        else:
            point, at = _decode(data, at)
        place = start[point]
        for step in range(place, place + length[point]):
            code = np.uint64(codes[step])
            kind = kinds[step]
            if kind == JOINT and inside and digit_last and pending == 0:
                pending = code
                continue
            if kind == DIGIT and pending:
                value = _appended(value, sign_of(pending))
                pending = np.uint64(0)
                behind_joint = True
            # "12b" is one word; "1.2b" is the number 1.2 and the word b.
            goes_on = kind == DIGIT or (kind == LETTER and not behind_joint and pending == 0)
            if inside and not goes_on:
                out[words] = number if numeric else _mix(value)
                words += 1
                inside = False
            if not inside:
                value = _START
                numeric = True
                behind_joint = False
                pending = np.uint64(0)
            if kind == UNSPACED:
                out[words] = _mix(_appended(_START, sign_of(code)))
                words += 1
            elif kind in (LETTER, DIGIT):
                value = _appended(value, sign_of(code))
                inside = True
                digit_last = kind == DIGIT
                numeric = numeric and digit_last
    if inside:
        out[words] = number if numeric else _mix(value)
        words += 1
    if words == 0:
        return 0
    width = min(ngram, words)
    rolled, power = np.uint64(0), np.uint64(1)
    for place in range(width):
        rolled = rolled * BASE + out[place]
        power *= BASE
    for first in range(words - width + 1):
        gone = out[first]
        out[first] = rolled
        if first + width < words:
            rolled = rolled * BASE + out[first + width] - gone * power
    return words - width + 1


@compiled
def _appended(value: Scalar, sign: Scalar) -> Scalar:
    """Return the hash of a word with one sign more: two cycles, where FNV takes five.

    A cyclic polynomial as in Buzhash (Cohen 1997), with sums, so that no two equal signs 64
    places apart take each other away.
    """
    return ((value << _1) | (value >> _63)) + sign


@compiled
def sign(hashes: Array, a: Array, b: Array, out: Array) -> None:
    """Write the affine32 signature of a set of shingles: ``min(a_k * fmix32(h) + b_k)``.

    Args:
        hashes: uint64 shingles, repetitions allowed; the lower 32 bits count.
        a: uint32, factors of datasketch's permutations.
        b: uint32, their summands.
        out: uint32, one place a permutation.
    """
    count = len(a)
    for k in range(count):
        out[k] = np.uint32(0xFFFFFFFF)
    # Four shingles at a time: a quarter of the reads and writes of the signature.
    whole = len(hashes) - len(hashes) % 4
    for place in range(0, whole, 4):
        one, two = _fmix32(hashes[place]), _fmix32(hashes[place + 1])
        three, four = _fmix32(hashes[place + 2]), _fmix32(hashes[place + 3])
        for k in range(count):
            least = min(
                np.uint32(np.uint32(a[k] * one) + b[k]), np.uint32(np.uint32(a[k] * two) + b[k])
            )
            other = min(
                np.uint32(np.uint32(a[k] * three) + b[k]), np.uint32(np.uint32(a[k] * four) + b[k])
            )
            out[k] = min(out[k], min(least, other))
    for place in range(whole, len(hashes)):
        one = _fmix32(hashes[place])
        for k in range(count):
            out[k] = min(out[k], np.uint32(np.uint32(a[k] * one) + b[k]))


@compiled
def _fmix32(hashed: Scalar) -> Scalar:
    """Return MurmurHash3's 32-bit finalizer of the lower half of a hash."""
    h = np.uint32(hashed)
    h ^= h >> np.uint32(16)
    h = np.uint32(h * np.uint32(0x85EBCA6B))
    h ^= h >> np.uint32(13)
    h = np.uint32(h * np.uint32(0xC2B2AE35))
    return np.uint32(h ^ (h >> np.uint32(16)))


@compiled
def band_keys(signature: Array, bands: int, rows: int, out: Array) -> Scalar:
    """Write the 64-bit key of each band of a signature; equal bands of equal number are equal.

    Args:
        signature: uint32, at least ``bands * rows``.
        bands: how many.
        rows: places of a signature in a band.
        out: uint64, one place a band.

    Returns:
        A 64-bit key of all bands together.
    """
    whole = _START
    for band in range(bands):
        value = _START + np.uint64(band)
        for place in range(band * rows, (band + 1) * rows):
            value = (value ^ np.uint64(signature[place])) * _MIX_1
            value ^= value >> _32
        out[band] = _mix(value)
        whole = (whole ^ value) * _PRIME
    return _mix(whole)
