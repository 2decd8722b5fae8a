"""Signatures estimate Jaccard similarity and bands follow their S-curve."""

import numpy as np
import pytest

from pipeline.dedup.minhash import bands, candidate_pairs, signatures
from pipeline.dedup.shingles import jaccard, shingles, words


def overlapping(similarity: float, seed: int, size: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of ``size`` random hashes each with a Jaccard similarity near the one asked for."""
    draw = np.random.default_rng(seed)
    common = round(2 * size * similarity / (1 + similarity))
    pool = np.unique(draw.integers(0, 1 << 63, size=2 * size - common, dtype=np.uint64))
    draw.shuffle(pool)
    return np.sort(pool[:size]), np.sort(np.concatenate([pool[:common], pool[size:]]))


def test_jaccard_is_that_of_the_sets():
    for seed in range(20):
        one, other = overlapping(0.05 * seed, seed)
        exact = len({*one.tolist()} & {*other.tolist()}) / len({*one.tolist()} | {*other.tolist()})
        assert jaccard(one, other) == pytest.approx(exact)
        assert jaccard(one, other) == jaccard(other, one)


def test_signatures_estimate_the_jaccard_similarity_within_the_binomial_error():
    errors = []
    for seed in range(60):
        one, other = overlapping(0.2 + 0.01 * seed, seed)
        matrix = signatures([one, other], num_perm=256, seed=1)
        errors.append(np.mean(matrix[0] == matrix[1]) - jaccard(one, other))
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


@pytest.mark.parametrize("similarity", [0.4, 0.5, 0.6, 0.7, 0.8])
def test_the_share_of_candidates_follows_the_s_curve(similarity: float):
    count, rows = bands(128, 0.65)
    trials = 300
    found, expected = 0, 0.0
    for seed in range(trials):
        one, other = overlapping(similarity, seed, size=200)
        found += len(list(candidate_pairs(signatures([one, other], 128, seed=1), count, rows)))
        expected += 1 - (1 - jaccard(one, other) ** rows) ** count
    deviation = np.sqrt(expected * (1 - expected / trials))
    assert abs(found - expected) <= 4 * deviation + 1


def test_a_pair_that_shares_many_buckets_is_a_candidate_once():
    one, _ = overlapping(1.0, 3)
    assert list(candidate_pairs(signatures([one, one, one], 64, 1), 8, 8)) == [
        (0, 1),
        (0, 2),
        (1, 2),
    ]


def test_shingles_do_not_see_case_accents_punctuation_and_numbers():
    one = shingles("The Café opens at 10:30, on 3 May 2024 -- for 1,250 guests.", 5)
    other = shingles("the cafe OPENS at 9 on 17 may 1999 for 3 guests", 5)
    assert jaccard(one, other) == 1.0


def test_a_code_is_a_word_and_not_a_number():
    assert jaccard(shingles("alarm A17 of the pump", 5), shingles("alarm A18 of the pump", 5)) == 0
    assert words("Reset A17 (firmware v4.2.1) at 10:30: 1,250 l") == [
        "reset",
        "a17",
        "firmware",
        "v4.2.1",
        "at",
        "10:30",
        "1,250",
        "l",
    ]


def test_a_short_text_is_one_shingle_and_a_text_without_words_is_not_nothing():
    assert len(shingles("two words", 5)) == 1
    assert jaccard(shingles("!!!", 5), shingles("???", 5)) == 0
    assert len(shingles("日本語の文章です", 5)) == 4


def test_shingles_are_the_word_n_grams():
    text = "a b c d e f a b c d e"
    grams = {tuple(text.split()[i : i + 5]) for i in range(7)}
    assert len(shingles(text, 5)) == len(grams) == 6
