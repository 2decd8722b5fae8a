"""MinHash signatures and their bands, compiled."""

import numpy as np

from pipeline.dedup.compiling import compiled
from pipeline.dedup.kernel import MIX_1, MIX_2, START, Array, Scalar, mix

_32 = np.uint64(32)


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
    whole = START
    for band in range(bands):
        value = START + np.uint64(band)
        for place in range(band * rows, (band + 1) * rows):
            value = (value ^ np.uint64(signature[place])) * MIX_1
            value ^= value >> _32
        out[band] = mix(value)
        whole = (whole ^ value) * MIX_2
    return mix(whole)
