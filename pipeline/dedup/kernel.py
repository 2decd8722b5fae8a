"""Words, shingles and signatures straight from UTF-8 bytes, compiled by numba.

No string is made, and the interpreter's lock is not held, so that threads share the work. What is
computed is defined by :mod:`pipeline.text.words`, which the tests compare it with.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numba as nb
import numpy as np

from pipeline.core.cache import program_cache
from pipeline.dedup import folding as tables
from pipeline.dedup.folding import BEYOND, DIGIT, JOINT, LETTER, SEPARATOR, SPACE, UNSPACED, Folding

START = np.uint64(tables.START)
_PRIME = np.uint64(0x00000100000001B3)  # FNV's prime for 64 bits
_PRIME_2 = np.uint64(0x9FB21C651E98DF25)  # odd multiplier of the second half of a copy's key
MIX_1, MIX_2 = np.uint64(tables.MIX[0]), np.uint64(tables.MIX[1])
BASE = np.uint64(tables.BASE)  # odd base of the rolling hash of an n-gram
_1 = np.uint64(1)
_32 = np.uint64(32)
_33 = np.uint64(33)
_63 = np.uint64(63)
Array = Any  # a numpy array; numba checks their types when it compiles
Scalar = Any  # a number of numpy or of Python: they are one in compiled code


def _cache_folder() -> Path:
    """Return a folder that another version of these files does not share.

    numba keeps the code of a function until the function's own file changes. The functions that
    it calls are part of that code, and a change of theirs in another file would go unnoticed.
    """
    sources = b"\0".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return program_cache() / hashlib.sha256(sources).hexdigest()[:16]


F = TypeVar("F")
if TYPE_CHECKING:  # numba has no types

    def compiled(function: F) -> F:
        """Return the function, compiled when it is first called."""
else:
    nb.config.CACHE_DIR = str(_cache_folder())
    compiled = nb.njit(cache=True, nogil=True, boundscheck=False)


@compiled
def mix(value: Scalar) -> Scalar:
    """Return MurmurHash3's 64-bit finalizer of a value."""
    value = np.uint64(value)
    value = (value ^ (value >> _33)) * MIX_1
    value = (value ^ (value >> _33)) * MIX_2
    return value ^ (value >> _33)


@compiled
def _decode(data: Array, at: Scalar) -> tuple[Scalar, Scalar]:
    """Return the code point that begins at a byte above 127, and the place behind it."""
    first = np.int64(data[at])
    if first < 0xE0:
        return ((first & 0x1F) << 6) | _low(data, at + 1), at + 2
    if first < 0xF0:
        return ((first & 0x0F) << 12) | (_low(data, at + 1) << 6) | _low(data, at + 2), at + 3
    high = ((first & 0x07) << 18) | (_low(data, at + 1) << 12)
    return high | (_low(data, at + 2) << 6) | _low(data, at + 3), at + 4


@compiled
def _low(data: Array, at: Scalar) -> Scalar:
    return np.int64(data[at]) & 0x3F


@compiled
def copy_key(data: Array, at: int, stop: int, folding: Folding) -> tuple[Scalar, Scalar]:
    """Return 128 bits that are equal for texts which differ in case and white space only.

    The text is the UTF-8 bytes (uint8) from ``at`` to ``stop``, as in all functions here; folding
    is :func:`pipeline.dedup.folding.copy_folding`.
    """
    start, length, codes, kinds, _, _, _ = folding
    one, two = START, MIX_2
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
    return mix(one), mix(two)


@compiled
def ngram_hashes(
    data: Array, at: Scalar, stop: int, ngram: int, folding: Folding, out: Array
) -> Scalar:
    """Write the hash of each word n-gram of a text in order, repetitions included; return ``n``.

    One when there are fewer than ``ngram`` words, none when there is no word. What is written is
    ``out[:n]`` (uint64, with room for two a byte and one more); folding is
    :func:`pipeline.dedup.folding.word_folding`.
    """
    start, length, codes, kinds, byte_kinds, byte_signs, byte_masks = folding
    number = mix(_appended(START, 48))  # each number is the word "0"
    words: Scalar = 0
    # A word so far. ``pending``: a joint that waits for a digit, else the word ended before it.
    value = START
    inside = behind_joint = numeric = digit_last = False
    pending = np.uint64(0)
    while at < stop:
        byte = data[at]
        kind = byte_kinds[byte]
        in_number = inside and digit_last
        if kind == SEPARATOR and in_number:
            out[words] = number if numeric else mix(value)
            words += 1
            inside = behind_joint = False
            pending = np.uint64(0)
            at += 1
            continue
        # Letters and what lies between words are most of a text. No branch depends on where a
        # word ends, since a processor cannot foresee it.
        if (kind == LETTER and not behind_joint and pending == 0) or (
            kind in (SEPARATOR, JOINT) and not in_number
        ):
            first = words
            value = value if inside else START
            was_letter = _1 if inside else np.uint64(0)
            # Unsigned places: of others numba asks whether they count from the end.
            here, end, word = np.uint64(at), np.uint64(stop), np.uint64(words)
            while here < end:
                byte = data[here]
                kind = byte_kinds[byte]
                if kind in (DIGIT, BEYOND):
                    break
                kept = byte_masks[byte]
                is_letter = kept & _1
                out[word] = value
                word += was_letter & (is_letter ^ _1)
                value = (_turned(value) & kept) + byte_signs[byte]  # _appended, or START
                was_letter = is_letter
                here += _1
            at, words = np.int64(here), np.int64(word)
            for one in range(first, words):
                out[one] = mix(out[one])
            inside = was_letter == _1
            behind_joint = numeric = digit_last = False
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
                value = _appended(value, pending)
                pending = np.uint64(0)
                behind_joint = True
            # "12b" is one word; "1.2b" is the number 1.2 and the word b.
            goes_on = kind == DIGIT or (kind == LETTER and not behind_joint and pending == 0)
            if inside and not goes_on:
                out[words] = number if numeric else mix(value)
                words += 1
                inside = False
            if not inside:
                value = START
                numeric = True
                behind_joint = False
                pending = np.uint64(0)
            if kind == UNSPACED:
                out[words] = mix(_appended(START, code))
                words += 1
            elif kind in (LETTER, DIGIT):
                value = _appended(value, code)
                inside = True
                digit_last = kind == DIGIT
                numeric = numeric and digit_last
    if inside:
        out[words] = number if numeric else mix(value)
        words += 1
    if words == 0:
        return 0
    width = min(ngram, words)
    rolled, power = np.uint64(0), np.uint64(1)
    for place in range(width):
        rolled = rolled * BASE + out[place]
        power *= BASE
    oldest, newest = np.uint64(0), np.uint64(width)
    while newest < np.uint64(words):
        gone = out[oldest]
        out[oldest] = rolled
        rolled = rolled * BASE + (out[newest] - gone * power)
        oldest += _1
        newest += _1
    out[oldest] = rolled
    return words - width + 1


@compiled
def _appended(value: Scalar, code: Scalar) -> Scalar:
    """Return the hash of a word with one code point more: two cycles, where FNV takes five.

    A cyclic polynomial as in Buzhash (Cohen 1997) over 64 random bits of each code point, with
    sums, so that no two equal signs 64 places apart take each other away.
    """
    return _turned(value) + mix(np.uint64(code) * BASE)


@compiled
def _turned(value: Scalar) -> Scalar:
    return (value << _1) | (value >> _63)


@compiled
def band_keys(signature: Array, rows: int, out: Array) -> Scalar:
    """Write a 64-bit key of each band of ``rows`` places of a signature; return one of all."""
    whole = START
    for band in range(len(out)):
        value = START + np.uint64(band)
        for place in range(band * rows, (band + 1) * rows):
            value = (value ^ np.uint64(signature[place])) * MIX_1
            value ^= value >> _32
        out[band] = mix(value)
        whole = (whole ^ value) * MIX_2
    return mix(whole)
