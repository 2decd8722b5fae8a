"""The kernel reads bytes and says what the readable definition says of strings."""

import re
import sys

import numpy as np
import polars as pl
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dedup.arrays import utf8
from pipeline.dedup.folding import copy_folding, word_folding
from pipeline.dedup.kernel import BASE, copy_key, ngram_hashes
from pipeline.dedup.minhash import permutations
from pipeline.dedup.signature import sign
from pipeline.text.words import UNSPACED, same_text, words

WRAP = 1 << 64
NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
"""A word that is only a number; ``a17`` is a name and none."""

TELLING = (
    "aAbZé1290.,:_- \n\t'\"ßİ\u017fK½²①ⅣÅ日本カガ・ﬁ٣४०\u0301\u0300\u00a0\u2003ﷺ㌀㍿가각𝔸🅰😀"
    "\u1e9e\u0345\u0130ǆa̐éö̲\u200b\u30fb\u0660\x1c\x85"
)
"""Signs that fold to several, to none, to digits, to words of their own; marks, joints, spaces."""

TEXTS = st.text(st.sampled_from(TELLING) | st.characters(exclude_categories=["Cs"]), max_size=60)


def mix(value: int) -> int:
    """MurmurHash3's finalizer, in integers without end."""
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD % WRAP
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 % WRAP
    return value ^ (value >> 33)


def word_hash(word: str) -> int:
    value = 0xCBF29CE484222325
    for letter in word:
        turned = (value << 1 | value >> 63) % WRAP
        value = (turned + mix(ord(letter) * int(BASE) % WRAP)) % WRAP
    return mix(value)


def readable(text: str, ngram: int) -> list[int]:
    """The hashes of the n-grams of a text, from its words as strings."""
    hashes = [word_hash("0" if NUMBER.fullmatch(word) else word) for word in words(text)]
    width = min(ngram, len(hashes))
    rolled = []
    for first in range(len(hashes) - width + 1 if hashes else 0):
        value = 0
        for token in hashes[first : first + width]:
            value = (value * int(BASE) + token) % WRAP
        rolled.append(value)
    return rolled


def hashes(text: str, ngram: int) -> np.ndarray:
    data, offsets = utf8(pl.Series([text]))
    out = np.empty(2 * offsets[1] + 1, dtype=np.uint64)
    return out[: ngram_hashes(data, 0, offsets[1], ngram, word_folding(), out)]


def key(text: str) -> tuple[int, int]:
    data, offsets = utf8(pl.Series([text]))
    return copy_key(data, 0, offsets[1], copy_folding())


@settings(max_examples=2000, deadline=None)
@given(TEXTS, st.integers(1, 6))
def test_the_n_grams_of_bytes_are_those_of_the_words(text: str, ngram: int):
    assert hashes(text, ngram).tolist() == readable(text, ngram)


@pytest.mark.parametrize(
    "text",
    [
        "Reset A17 (firmware v4.2.1) at 10:30: 1,250 l",
        "1.2b 12b 1..2 1.,2 a1.5b 1.2.3. 4: 5",
        "1.\u03012 and 1\u0301.2",
        "日本語の文章です。 第3.5章",
        "",
        "...",
    ],
)
def test_numbers_joints_and_unspaced_scripts(text: str):
    for ngram in (1, 2, 5):
        assert hashes(text, ngram).tolist() == readable(text, ngram)


@settings(max_examples=1000, deadline=None)
@given(TEXTS, TEXTS)
def test_the_key_of_a_copy_sees_neither_case_nor_white_space(one: str, other: str):
    assert key(one) == key(same_text(one))
    assert (key(one) == key(other)) == (same_text(one) == same_text(other))


def test_all_code_points_fold_as_strings_do():
    for first in range(0, sys.maxunicode + 1, 1 << 12):
        block = [
            chr(code) for code in range(first, first + (1 << 12)) if not 0xD800 <= code < 0xE000
        ]
        text = " x ".join(block)
        assert hashes(text, 1).tolist() == readable(text, 1), hex(first)
        assert key(text) == key(same_text(text)), hex(first)


def test_no_text_has_more_n_grams_than_there_is_room_for():
    folding = word_folding()
    for code in range(sys.maxunicode + 1):
        folded = folding.kinds[folding.start[code] :][: folding.length[code]]
        assert len(folded) <= 2 * len(chr(code).encode("utf-8", "surrogatepass")) or (
            len(words(chr(code))) <= 2 * len(chr(code).encode())
        )


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, WRAP - 1), min_size=1, max_size=50),
    st.sampled_from([32, 100, 128, 256]),
    st.integers(1, 5),
)
def test_signatures_are_those_of_datasketch_bit_for_bit(values, num_perm, seed):
    expected = MinHash(num_perm=num_perm, seed=seed, hashfunc=int, scheme="affine32")
    expected.update_batch([value & 0xFFFFFFFF for value in values])
    found = np.empty(num_perm, dtype=np.uint32)
    sign(np.array(values, dtype=np.uint64), *permutations(num_perm, seed), found)
    assert np.array_equal(found, expected.hashvalues)


def test_unspaced_signs_are_words_by_themselves():
    assert UNSPACED.match("日")
    assert len(hashes("日本語の文章です", 5)) == 4
