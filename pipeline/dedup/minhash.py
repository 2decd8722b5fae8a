"""MinHash: the permutations, the bands, and the signatures and clusters of slices of texts.

Each function here takes and returns values only, so that threads, processes and the nodes of a
cluster compute the same.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.dedup.arrays import Duplicates, Hashing, Limits, all_distinct, utf8
from pipeline.dedup.facts import fact_hashes
from pipeline.dedup.folding import copy_folding, word_folding
from pipeline.settings import DedupSettings

NGRAM = 5  # words a shingle (FineWeb)
NUM_PERM = 128  # permutations of a signature
SEED = 1  # of the permutations: datasketch's default
KNEE = 0.65  # of the bands: looser than the threshold of 0.8, since every candidate is verified

SURE = 5.0
"""Standard deviations by which an estimate may be below the threshold before the true similarity
is not looked at: one pair in 3.5 million is lost by it."""

NEAR = 0.1  # how far below the threshold a pair is still worth a look


class Signed(NamedTuple):
    """What the signatures of a slice of texts say."""

    whole: NDArray[np.uint64]  # one key a text: equal for texts with equal signatures
    keys: NDArray[np.uint64]  # texts x bands: texts that share a key are worth comparing
    sample: NDArray[np.uint64]  # sampled shingles, text by text
    sizes: NDArray[np.int64]  # how many of them each text has, repetitions included


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


def bands_for(settings: DedupSettings) -> tuple[int, int]:
    """Return bands and rows whose knee is not above the threshold of duplicates."""
    return bands(NUM_PERM, min(KNEE, settings.threshold))


def permutations(num_perm: int, seed: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return factors and summands of datasketch's permutations, scheme affine32 (2.0)."""
    from datasketch import MinHash  # brings clients of stores, half a second

    made = MinHash(num_perm=num_perm, seed=seed, hashfunc=int, scheme="affine32").permutations
    return np.ascontiguousarray(made[0]), np.ascontiguousarray(made[1])


@lru_cache(maxsize=1)
def _hashing() -> Hashing:
    return Hashing(NGRAM, word_folding(), copy_folding(), *permutations(NUM_PERM, SEED))


def sign_slice(texts: pl.Series, settings: DedupSettings) -> Signed:
    """Return the keys of the signatures of texts."""
    from pipeline.dedup.signature import sign_texts  # numba takes a moment to load

    count, rows = bands_for(settings)
    whole = np.empty(len(texts), dtype=np.uint64)
    keys = np.empty((len(texts), count), dtype=np.uint64)
    ends = np.empty(len(texts), dtype=np.int64)
    sample = sign_texts(utf8(texts), _hashing(), rows, whole, keys, ends)
    return Signed(whole, keys, sample, np.diff(ends, prepend=0))


def shingle_slice(texts: pl.Series, one_in: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the hashes of the shingles of texts, text by text, and how many each text has.

    ``one_in`` is a power of two: of so many shingles one is taken, the same ones of each text.
    """
    from pipeline.dedup.signature import shingle_texts

    ends = np.empty(len(texts), dtype=np.int64)
    found = shingle_texts(utf8(texts), _hashing(), np.uint64(one_in - 1), ends)
    return found, np.diff(ends, prepend=0)


def key_slice(texts: pl.Series) -> NDArray[np.uint64]:
    """Return 128 bits for each text, texts x 2; equal when case and white space differ only."""
    from pipeline.dedup.signature import key_texts

    keys = np.empty((len(texts), 2), dtype=np.uint64)
    key_texts(utf8(texts), copy_folding(), keys)
    return keys


def verify_slice(
    texts: pl.Series,
    components: NDArray[np.int64],
    order: NDArray[np.int64],
    limit: int,
    settings: DedupSettings,
) -> Duplicates:
    """Cluster the texts of some components by their true similarity.

    ``components`` tell where each begins among the texts, and the end; ``order`` is the place of
    each text in the order of survival, whose smallest survives; ``limit`` the distinct texts that a
    cluster may have.
    """
    from pipeline.dedup.verifying import verify

    share = settings.threshold
    deviation = (share * (1 - share) / NUM_PERM) ** 0.5
    # In so many places the signatures of similar texts agree all but surely.
    agreeing = max(0, int(NUM_PERM * (share - SURE * deviation)))
    limits = Limits(share, agreeing, share - NEAR, limit)
    facts = fact_hashes(texts, settings.keep_siblings)
    result = all_distinct(len(texts))
    verify(utf8(texts), facts, components, order, _hashing(), limits, result)
    return result


def contained_slice(texts: pl.Series, settings: DedupSettings) -> NDArray[np.float64]:
    """Return by how much the other text of its pair covers each; pairs lie one behind the other.

    Pairs x 2, a share of words; 0 where facts are missing that lost words do not explain.
    """
    from pipeline.dedup.covering import cover

    shares = np.empty(len(texts))
    cover(utf8(texts), fact_hashes(texts, settings.keep_siblings), _hashing(), shares)
    return shares.reshape(-1, 2)
