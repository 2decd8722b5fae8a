"""MinHash: the permutations, the bands, and the signatures and clusters of slices of texts.

Each function here takes and returns values only, so that threads, processes and the nodes of a
cluster compute the same.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import polars as pl
from datasketch import MinHash
from numpy.typing import NDArray

from pipeline.dedup.folding import copy_folding, word_folding
from pipeline.settings import DedupSettings

SURE = 5.0
"""Standard deviations by which an estimate may be below the threshold before the true similarity
is not looked at: one pair in 3.5 million is lost by it."""

NEAR = 0.1
"""How far below the threshold a pair is still worth a look."""


class Signed(NamedTuple):
    """What the signatures of a slice of texts say."""

    whole: NDArray[np.uint64]
    """One key a text: equal for texts with equal signatures."""
    keys: NDArray[np.uint64]
    """Texts x bands: texts that share a key are worth comparing."""


class Verified(NamedTuple):
    """Texts of some components, each with what stays for it."""

    survivor: NDArray[np.int64]
    """Which of the texts given."""
    similarity: NDArray[np.float64]
    """Jaccard similarity with it; below the threshold when only others link the two."""
    copied: NDArray[np.bool_]
    """Whether it is the survivor's text but for case and white space."""
    nearest: NDArray[np.int64]
    """The most similar text of another cluster, -1: none within NEAR of the threshold."""
    nearest_similarity: NDArray[np.float64]
    oversized: NDArray[np.int64]
    """Texts of a cluster above the limit; then nothing else counts."""


def bands(num_perm: int, knee: float) -> tuple[int, int]:
    """Return how many bands of how many rows put the knee of the S-curve at or below ``knee``.

    Two documents of similarity ``s`` share a bucket in at least one of ``b`` bands of ``r``
    rows with the probability ``1 - (1 - s^r)^b``; it rises most steeply near
    ``(1/b)^(1/r)`` (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4). Taken is the
    largest ``r`` whose knee is not above the one asked for: a candidate too many costs one
    comparison, one too few is a duplicate that stays. datasketch weighs the two alike: its 16 x 8
    for a threshold of 0.65 would find 94.7 % of the pairs of similarity 0.8, 21 x 6 finds 99.8 %.

    Returns:
        ``(b, r)`` with ``b * r <= num_perm``; 21 x 6 for 128 permutations and 0.65.
    """
    fitting = [r for r in range(1, num_perm + 1) if (1 / (num_perm // r)) ** (1 / r) <= knee]
    r = max(fitting, default=1)
    return num_perm // r, r


@lru_cache(maxsize=8)
def permutations(num_perm: int, seed: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return factors and summands of datasketch's permutations, scheme affine32 (2.0)."""
    made = MinHash(num_perm=num_perm, seed=seed, hashfunc=int, scheme="affine32").permutations
    return np.ascontiguousarray(made[0]), np.ascontiguousarray(made[1])


def sign_slice(texts: pl.Series, settings: DedupSettings) -> Signed:
    """Return the keys of the signatures of texts."""
    from pipeline.dedup.signing import sign_texts  # numba takes a moment to load

    data, offsets = utf8(texts)
    count, rows = bands(settings.num_perm, settings.candidate_threshold)
    whole = np.empty(len(texts), dtype=np.uint64)
    keys = np.empty((len(texts), count), dtype=np.uint64)
    a, b = permutations(settings.num_perm, settings.seed)
    sign_texts(
        data,
        offsets,
        settings.ngram,
        word_folding(),
        copy_folding(),
        a,
        b,
        count,
        rows,
        whole,
        keys,
    )
    return Signed(whole, keys)


def key_slice(texts: pl.Series) -> NDArray[np.uint64]:
    """Return 128 bits for each text, texts x 2; equal when case and white space differ only."""
    from pipeline.dedup.signing import key_texts

    data, offsets = utf8(texts)
    keys = np.empty((len(texts), 2), dtype=np.uint64)
    key_texts(data, offsets, copy_folding(), keys)
    return keys


def verify_slice(
    texts: pl.Series,
    components: NDArray[np.int64],
    order: NDArray[np.int64],
    limit: int,
    settings: DedupSettings,
) -> Verified:
    """Cluster the texts of some components by their true similarity.

    Args:
        texts: those of the components, one component behind the other.
        components: where each begins among the texts, and the end.
        order: place of each text in the order of survival; the smallest survives.
        limit: texts that a cluster may have.
        settings: threshold, shingles and permutations.
    """
    from pipeline.dedup.verifying import verify

    data, offsets = utf8(texts)
    a, b = permutations(settings.num_perm, settings.seed)
    survivor, nearest = (np.empty(len(texts), dtype=np.int64) for _ in range(2))
    copied = np.empty(len(texts), dtype=bool)
    similarity, nearest_similarity = (np.empty(len(texts), dtype=np.float64) for _ in range(2))
    stopped = verify(
        data,
        offsets,
        components,
        order,
        settings.ngram,
        word_folding(),
        copy_folding(),
        a,
        b,
        settings.threshold,
        agreeing(settings),
        settings.threshold - NEAR,
        limit,
        survivor,
        similarity,
        copied,
        nearest,
        nearest_similarity,
    )
    oversized = np.empty(0, dtype=np.int64)
    if stopped >= 0:
        begin, end = components[stopped], components[stopped + 1]
        oversized = begin + np.flatnonzero(survivor[begin:end] < 0)
    return Verified(survivor, similarity, copied, nearest, nearest_similarity, oversized)


def agreeing(settings: DedupSettings) -> int:
    """Return in how many places the signatures of similar texts agree all but surely."""
    share = settings.threshold
    deviation = (share * (1 - share) / settings.num_perm) ** 0.5
    return max(0, int(settings.num_perm * (share - SURE * deviation)))


def utf8(texts: pl.Series) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the UTF-8 bytes of texts, one behind the other, and their places."""
    column = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, places, content = column.buffers()
    offsets = np.frombuffer(places, dtype=np.int64)[column.offset : column.offset + len(texts) + 1]
    data = np.frombuffer(content or b"", dtype=np.uint8)
    return data, offsets
