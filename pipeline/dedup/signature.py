"""Shingles of texts and MinHash signatures, compiled."""

import numpy as np

from pipeline.dedup.arrays import SAMPLED, Hashing, Texts
from pipeline.dedup.folding import Folding
from pipeline.dedup.kernel import Array, Scalar, band_keys, compiled, copy_key, mix, ngram_hashes

_SAMPLE = np.uint64(SAMPLED - 1)  # lowest bits of a hash, 0 in the sample; the first part buckets


@compiled
def sign_texts(
    texts: Texts, hashing: Hashing, rows: int, whole: Array, keys: Array, ends: Array
) -> Array:
    """Write what the signature of each text says; return the sampled shingles, text by text.

    ``keys`` (uint64, texts x bands of so many ``rows``) get a key of each band, ``whole`` (uint64)
    one of the whole signature, ``ends`` (int64) where the sample of each text ends
    (:mod:`pipeline.dedup.containment`).
    """
    scratch = np.empty(1, dtype=np.uint64)
    signature = np.empty(len(hashing.factors), dtype=np.uint32)
    sample = np.empty(1024, dtype=np.uint64)
    filled = 0
    for text in range(len(texts.offsets) - 1):
        count, scratch = shingles(texts, text, hashing, scratch)
        sign(scratch[:count], hashing.factors, hashing.summands, signature)
        whole[text] = band_keys(signature, rows, keys[text])
        sample, filled = sampled(scratch[:count], _SAMPLE, sample, filled)
        ends[text] = filled
    return sample[:filled]


@compiled
def shingle_texts(texts: Texts, hashing: Hashing, mask: Scalar, ends: Array) -> Array:
    """Return shingles whose hash has no bit of a mask, text by text; write where they end."""
    scratch = np.empty(1, dtype=np.uint64)
    taken = np.empty(1024, dtype=np.uint64)
    filled = 0
    for text in range(len(texts.offsets) - 1):
        count, scratch = shingles(texts, text, hashing, scratch)
        taken, filled = sampled(scratch[:count], mask, taken, filled)
        ends[text] = filled
    return taken[:filled]


@compiled
def sampled(values: Array, mask: Scalar, out: Array, filled: int) -> tuple[Array, int]:
    """Append the mixed values that have no bit of a mask; return the array and what it holds."""
    out = with_room(out, filled, filled + len(values))
    for place in range(len(values)):
        value = mix(values[place])
        out[filled] = value
        filled += (value & mask) == 0
    return out, filled


@compiled
def with_room(values: Array, filled: Scalar, need: Scalar) -> Array:
    """Return an array that has room, or one of twice the need with what was filled."""
    if need <= len(values):
        return values
    grown = np.empty(2 * need, dtype=values.dtype)
    grown[:filled] = values[:filled]
    return grown


@compiled
def key_texts(texts: Texts, copies: Folding, keys: Array) -> None:
    """Write into ``keys`` (texts x 2) the bits by which exact copies are known."""
    for text in range(len(texts.offsets) - 1):
        keys[text, 0], keys[text, 1] = key(texts, text, copies)


@compiled
def key(texts: Texts, text: int, copies: Folding) -> tuple[Scalar, Scalar]:
    """Return the bits by which exact copies of a text are known."""
    return copy_key(texts.data, texts.offsets[text], texts.offsets[text + 1], copies)


@compiled
def shingles(texts: Texts, text: int, hashing: Hashing, out: Array) -> tuple[Scalar, Array]:
    """Write the shingles of a text with repetitions: its n-grams, or one of a text without words.

    Returns how many, one at least, and ``out`` or a larger array in its place.
    """
    at, stop = texts.offsets[text], texts.offsets[text + 1]
    # One word in two ASCII bytes; a code point of n bytes folds to at most 2n words (a squared word
    # of katakana). What is not written to takes no memory.
    need = 2 * (stop - at) + 1
    if need > len(out):
        out = np.empty(need, dtype=np.uint64)
    count = ngram_hashes(texts.data, at, stop, hashing.ngram, hashing.words, out)
    if count == 0:
        out[0] = key(texts, text, hashing.copies)[0]
        count = 1
    return count, out


@compiled
def sign(hashes: Array, a: Array, b: Array, out: Array) -> None:
    """Write the affine32 signature of a set of shingles: ``min(a_k * fmix32(h) + b_k)``.

    Of the hashes (uint64, repetitions allowed) the lower 32 bits count; factors ``a`` and summands
    ``b`` (uint32) are datasketch's, and ``out`` (uint32) has one place a permutation.
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
