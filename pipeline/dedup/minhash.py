"""MinHash signatures and bands: which pairs of documents are worth comparing."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray

from pipeline.progress import track

SLICE = 1 << 16
"""Shingles hashed at once: bounds the shingles x permutations matrix (33 MB at 128)."""


def signatures(sets: Sequence[NDArray[np.uint64]], num_perm: int, seed: int) -> NDArray[np.uint32]:
    """Return the MinHash signature of each set of shingles.

    datasketch 2.0, scheme affine32: ``min over h of (a_k * fmix32(h) + b_k) mod 2^32``. Two
    signatures agree at a place with the probability of their sets' Jaccard similarity.

    Args:
        sets: one array of shingle hashes a document; the lower 32 bits are used.
        num_perm: permutations, the length of a signature.
        seed: seed of the permutations.

    Returns:
        uint32 array, documents x num_perm.
    """
    empty = MinHash(num_perm=num_perm, seed=seed, hashfunc=int, scheme="affine32")
    result = np.empty((len(sets), num_perm), dtype=np.uint32)
    for row, hashes in enumerate(track(sets, "documents")):
        signature = empty.copy()
        low = (hashes & np.uint64(0xFFFFFFFF)).tolist()
        for start in range(0, len(low), SLICE):
            signature.update_batch(low[start : start + SLICE])
        result[row] = signature.hashvalues
    return result


def bands(num_perm: int, knee: float) -> tuple[int, int]:
    """Return how many bands of how many rows put the knee of the S-curve at or below ``knee``.

    Two documents of similarity ``s`` share a bucket in at least one of ``b`` bands of ``r``
    rows with the probability ``1 - (1 - s^r)^b``; it rises most steeply near
    ``(1/b)^(1/r)`` (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4). Taken is the
    largest ``r`` whose knee is not above the one asked for: a candidate too many costs one
    comparison, one too few is a duplicate that stays.

    Returns:
        ``(b, r)`` with ``b * r <= num_perm``; 21 x 6 for 128 permutations and 0.65.
    """
    fitting = [r for r in range(1, num_perm + 1) if (1 / (num_perm // r)) ** (1 / r) <= knee]
    r = max(fitting, default=1)
    return num_perm // r, r


def candidate_pairs(matrix: NDArray[np.uint32], count: int, rows: int) -> Iterator[tuple[int, int]]:
    """Yield each pair of documents that shares a bucket once, as row numbers ``i < j``.

    Args:
        matrix: signatures, documents x permutations.
        count: number of bands.
        rows: rows a band.
    """
    seen: set[int] = set()
    documents = len(matrix)
    for band in range(count):
        part = np.ascontiguousarray(matrix[:, band * rows : (band + 1) * rows])
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for row in range(documents):
            buckets[part[row].tobytes()].append(row)
        for members in buckets.values():
            for one, other in combinations(members, 2):
                key = one * documents + other
                if key not in seen:
                    seen.add(key)
                    yield one, other
