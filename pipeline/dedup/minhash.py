"""MinHash: the permutations, the bands, and the signatures and clusters of slices of texts.

A slice is what one call of a runner works on. What it calls takes and returns values only, so that
threads, processes and the nodes of a cluster compute the same.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.core.progress import advance
from pipeline.core.runner import Runner
from pipeline.dedup.arrays import SAMPLED, Duplicates, Hashing, Limits, Rows, all_distinct, utf8
from pipeline.dedup.buckets import Buckets, opened_buckets
from pipeline.dedup.facts import fact_hashes
from pipeline.dedup.folding import copy_folding, word_folding
from pipeline.settings import DedupSettings

NGRAM = 5  # words a shingle (FineWeb)
NUM_PERM = 128  # permutations of a signature
SEED = 1  # of the permutations: datasketch's default
KNEE = 0.65  # of the bands: looser than the threshold of 0.8, since every candidate is verified
SURE = 5.0  # deviations of an estimate below the threshold: one pair in 3.5 million is lost by it
NEAR = 0.1  # how far below the threshold a pair is still worth a look
SLICE_BYTES = 2 * 2**20  # bytes of text that one call works on: a thousand calls for 2 GB
SLICE_ROWS = 1 << 16  # texts of one call at most


class Signed(NamedTuple):
    """What the signatures of a slice of texts say."""

    whole: NDArray[np.uint64]  # one key a text: equal for texts with equal signatures
    keys: NDArray[np.uint64]  # texts x bands: texts that share a key are worth comparing
    sample: NDArray[np.uint64]  # sampled shingles, text by text
    sizes: Rows  # how many of them each text has, repetitions included


def bands(num_perm: int, knee: float) -> tuple[int, int]:
    """Return how many bands of how many rows (21, 6) put the knee of the S-curve at ``knee``.

    Two documents of similarity ``s`` share a bucket in at least one of ``b`` bands of ``r`` rows
    with the probability ``1 - (1 - s^r)^b``, which rises most steeply near ``(1/b)^(1/r)``
    (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4). Taken is the largest ``r`` whose
    knee is not above: a candidate too many costs one comparison, one too few is a duplicate that
    stays. datasketch weighs the two alike: its 16 x 8 for 0.65 would find 94.7 % of the pairs of
    similarity 0.8, 21 x 6 finds 99.8 %.
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


def shingle_slice(texts: pl.Series, one_in: int) -> tuple[NDArray[np.uint64], Rows]:
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
    texts: pl.Series, components: Rows, order: Rows, limit: int, settings: DedupSettings
) -> Duplicates:
    """Cluster the texts of some components by their true similarity.

    ``components`` tell where each begins, and the end; of a cluster, of ``limit`` distinct texts at
    most, the text survives whose place in the ``order`` of survival is the smallest.
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


def slices(texts: pl.Series) -> list[tuple[int, int]]:
    """Return ranges of rows of about SLICE_BYTES each."""
    return ranges(np.cumsum(texts.str.len_bytes().to_numpy(), dtype=np.int64))


def ranges(ends: Rows) -> list[tuple[int, int]]:
    """Cut items, of which the bytes up to each are given, into ranges of about SLICE_BYTES."""
    ranges = []
    begin = 0
    while begin < len(ends):
        size = ends[begin - 1] if begin else 0
        end = int(np.searchsorted(ends, size + SLICE_BYTES, side="right"))
        end = min(max(end, begin + 1), begin + SLICE_ROWS, len(ends))
        ranges.append((begin, end))
        begin = end
    return ranges


def empty_buckets(
    texts: pl.Series, settings: DedupSettings, stack: ExitStack
) -> tuple[Buckets, Buckets]:
    """Return buckets for the bands of texts and for the samples of their shingles."""
    count, _ = bands_for(settings)
    sampled = int(texts.str.len_bytes().sum()) // (6 * SAMPLED)  # a word is six bytes
    bands = stack.enter_context(opened_buckets(len(texts), len(texts) * count))
    return bands, stack.enter_context(opened_buckets(len(texts), sampled))


def signed_slices(
    texts: pl.Series, settings: DedupSettings, runner: Runner
) -> Iterator[tuple[int, int, Signed]]:
    """Yield the signatures of texts slice by slice, with the rows where each begins and ends."""
    bounds = slices(texts)
    calls = ((texts[begin:end], settings) for begin, end in bounds)
    for (begin, end), signed in zip(bounds, runner.each(sign_slice, calls), strict=True):
        yield begin, end, signed
        advance(end, len(texts), "documents")
