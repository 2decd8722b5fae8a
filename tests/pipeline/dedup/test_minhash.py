"""Signatures estimate Jaccard similarity and bands follow their S-curve."""

import numpy as np
import polars as pl
import pytest

from pipeline.dedup.minhash import bands, permutations, verify_slice
from pipeline.dedup.signature import band_keys, sign
from pipeline.settings import DedupSettings


def overlapping(similarity: float, seed: int, size: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of ``size`` random hashes each with a Jaccard similarity near the one asked for."""
    draw = np.random.default_rng(seed)
    common = round(2 * size * similarity / (1 + similarity))
    pool = np.unique(draw.integers(0, 1 << 63, size=2 * size - common, dtype=np.uint64))
    draw.shuffle(pool)
    return pool[:size], np.concatenate([pool[:common], pool[size:]])


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    first, second = {*one.tolist()}, {*other.tolist()}
    return len(first & second) / len(first | second)


def signature(hashes: np.ndarray, num_perm: int) -> np.ndarray:
    out = np.empty(num_perm, dtype=np.uint32)
    sign(hashes, *permutations(num_perm, 1), out)
    return out


def keys(hashes: np.ndarray, count: int, rows: int) -> np.ndarray:
    out = np.empty(count, dtype=np.uint64)
    band_keys(signature(hashes, 128), rows, out)
    return out


def similarity(one: str, other: str) -> float:
    """The true similarity of two texts as it is verified."""
    found = verify_slice(
        pl.Series([one, other]),
        np.array([0, 2]),
        np.array([0, 1]),
        2,
        DedupSettings(threshold=0.0, keep_siblings=False),
    )
    assert found.survivor.tolist() == [0, 0]
    return found.similarity[1]


def test_signatures_estimate_the_jaccard_similarity_within_the_binomial_error():
    errors = []
    for seed in range(60):
        one, other = overlapping(0.2 + 0.01 * seed, seed)
        equal = np.mean(signature(one, 256) == signature(other, 256))
        errors.append(equal - jaccard(one, other))
    # sqrt(s (1 - s) / 256) is 0.031 at most; a mean of 60 errors has a tenth of it
    assert abs(np.mean(errors)) < 0.015
    assert np.sqrt(np.mean(np.square(errors))) < 0.045


def test_bands_put_the_knee_at_or_just_below_the_one_asked_for():
    assert bands(128, 0.65) == (21, 6)
    for num_perm in (32, 128, 256):
        for knee in (0.3, 0.5, 0.65, 0.8, 0.95):
            b, r = bands(num_perm, knee)
            assert b * r <= num_perm
            assert (1 / b) ** (1 / r) <= knee
    assert bands(64, 1.0) == (1, 64)
    assert bands(64, 0.0) == (64, 1)


@pytest.mark.parametrize("share", [0.4, 0.5, 0.6, 0.7, 0.8])
def test_the_share_of_candidates_follows_the_s_curve(share: float):
    count, rows = bands(128, 0.65)
    trials = 300
    found, expected = 0, 0.0
    for seed in range(trials):
        one, other = overlapping(share, seed, size=200)
        found += bool((keys(one, count, rows) == keys(other, count, rows)).any())
        expected += 1 - (1 - jaccard(one, other) ** rows) ** count
    deviation = np.sqrt(expected * (1 - expected / trials))
    assert abs(found - expected) <= 4 * deviation + 1


def test_verified_is_the_true_similarity_of_the_word_n_grams():
    draw = np.random.default_rng(5)
    for _ in range(50):
        one = draw.integers(0, 12, size=draw.integers(5, 60)).tolist()
        other = [*one[: draw.integers(0, len(one))], *draw.integers(0, 12, size=9).tolist()]
        grams = [{tuple(text[i : i + 5]) for i in range(len(text) - 4)} for text in (one, other)]
        expected = len(grams[0] & grams[1]) / len(grams[0] | grams[1])
        texts = [" ".join(f"w{chr(97 + word)}" for word in text) for text in (one, other)]
        assert similarity(*texts) == pytest.approx(expected)


def test_shingles_do_not_see_case_accents_punctuation_and_numbers():
    one = "The Café opens at 10:30, on 3 May 2024 -- for 1,250 guests."
    other = "the cafe OPENS at 9 on 17 may 1999 for 3 guests"
    assert similarity(one, other) == 1.0


def test_a_code_is_a_word_and_not_a_number():
    assert similarity("alarm A17 of the pump", "alarm A18 of the pump") == 0


def test_texts_without_words_are_not_all_the_same():
    assert similarity("!!!", "???") == 0
    assert similarity("!!!", " !!! ") == 1
