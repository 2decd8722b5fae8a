"""The pass over all texts: keys of their signatures and of exact copies."""

import numpy as np

from pipeline.dedup.compiling import compiled
from pipeline.dedup.folding import Folding
from pipeline.dedup.kernel import Array, Scalar, copy_key, ngram_hashes, room
from pipeline.dedup.signature import band_keys, sign


@compiled
def shingles(
    data: Array, at: int, stop: int, ngram: int, words: Folding, copies: Folding, out: Array
) -> Scalar:
    """Write the shingles of a text with repetitions: its n-grams, or one of a text without words.

    Returns:
        How many: one at least.
    """
    count = ngram_hashes(data, at, stop, ngram, words, out)
    if count == 0:
        out[0] = copy_key(data, at, stop, copies)[0]
        return 1
    return count


@compiled
def sign_texts(
    data: Array,
    offsets: Array,
    ngram: int,
    words: Folding,
    copies: Folding,
    a: Array,
    b: Array,
    bands: int,
    rows: int,
    whole: Array,
    keys: Array,
) -> None:
    """Write what the signature of each text says: one key of the whole, one of each band.

    Args:
        data: uint8, UTF-8 bytes of all texts.
        offsets: int64, texts + 1 places in ``data``.
        ngram: words of an n-gram.
        words: folding of words.
        copies: folding of copies.
        a: uint32, factors of the permutations.
        b: uint32, their summands.
        bands: how many bands.
        rows: rows of a band.
        whole: uint64, one place a text, written.
        keys: uint64, texts x bands, written.
    """
    scratch = np.empty(1, dtype=np.uint64)
    signature = np.empty(len(a), dtype=np.uint32)
    for text in range(len(offsets) - 1):
        at, stop = offsets[text], offsets[text + 1]
        need = room(data, at, stop, words)
        if need > len(scratch):
            scratch = np.empty(need, dtype=np.uint64)
        count = shingles(data, at, stop, ngram, words, copies, scratch)
        sign(scratch[:count], a, b, signature)
        whole[text] = band_keys(signature, bands, rows, keys[text])


@compiled
def key_texts(data: Array, offsets: Array, copies: Folding, keys: Array) -> None:
    """Write the key of each text by which exact copies are known.

    Args:
        data: uint8, UTF-8 bytes of all texts.
        offsets: int64, texts + 1 places in ``data``.
        copies: folding of copies.
        keys: uint64, texts x 2, written.
    """
    for text in range(len(offsets) - 1):
        keys[text, 0], keys[text, 1] = copy_key(data, offsets[text], offsets[text + 1], copies)
