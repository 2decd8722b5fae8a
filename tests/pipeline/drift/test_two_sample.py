"""The classifier two-sample test: areas, names of what moved, edges."""

import random

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.drift.two_sample import _auc, tfidf, two_sample
from pipeline.settings import MonitorSettings

SETTINGS = MonitorSettings(permutations=299, calibration_draws=100)

NOUNS = [
    "pump",
    "valve",
    "filter",
    "sensor",
    "tank",
    "relay",
    "probe",
    "heater",
    "window",
    "gateway",
    "cable",
    "battery",
]
VERBS = [
    "starts",
    "stops",
    "opens",
    "closes",
    "resets",
    "reports",
    "needs",
    "checks",
    "holds",
    "measures",
]


def sentences(count, seed, nouns=NOUNS):
    generator = random.Random(seed)
    return [
        " ".join(
            f"The {first} {generator.choice(VERBS)} the {second}."
            for first, second in zip(
                generator.choices(nouns, k=8), generator.choices(nouns, k=8), strict=True
            )
        )
        for _ in range(count)
    ]


def names(count):
    return [f"w{number:03d}" for number in range(count)]


def test_new_words_are_named_with_their_shares_and_not_in_fragments():
    kitchen = ["oven", "sourdough", "flour", "yeast"]
    window = sentences(60, 2, NOUNS[:6] + kitchen)
    found, _ = two_sample(sentences(200, 1), window, names(60), SETTINGS)
    assert found.drifted and found.p_value == 1 / 300 and found.auc > 0.9
    new = {gram.text for gram in found.grams if gram.weight > 0}
    gone = {gram.text for gram in found.grams if gram.weight < 0}
    assert set(kitchen) <= {word for gram in new for word in gram.split()}
    assert {"window", "gateway"} & {word for gram in gone for word in gram.split()}
    words = [word for gram in found.grams for word in gram.text.split()]
    assert len(words) == len(set(words))
    for gram in found.grams:
        assert gram.level == "word"
        assert (gram.weight > 0) == (gram.share_window > gram.share_reference)
        if " " not in gram.text:
            has = sum(gram.text in text.lower().replace(".", "").split() for text in window)
            assert gram.share_window == pytest.approx(has / 60, abs=1e-6)


def test_characters_tell_where_words_do_not():
    # Each text is one word of its own, so no word is in two texts.
    generator = random.Random(3)
    before = ["".join(generator.choices("abcdef", k=80)) for _ in range(120)]
    after = ["".join(generator.choices("abcdef", k=38)) + "zzqx" * 2 for _ in range(120)]
    found, _ = two_sample(before, after, names(120), SETTINGS)
    assert found.drifted
    assert found.grams[0].level == "character" and set(found.grams[0].text) <= set("zqxabcdef")
    assert any(gram.text in "zzqxzzqx" for gram in found.grams[:3])
    fragments = [gram.text for gram in found.grams if gram.level == "character"]
    pairs = [text[at : at + 2] for text in fragments for at in range(3)]
    assert len({*pairs}) >= len(fragments) * 2  # not the same fragment again and again


def test_texts_of_one_source_are_not_told_apart_and_name_nothing():
    found, far = two_sample(sentences(200, 1), sentences(60, 9), names(60), SETTINGS)
    assert not found.drifted and found.p_value > SETTINGS.alpha and found.grams == ()
    assert sorted(far) == names(60)


@pytest.mark.parametrize("sizes", [(8, 8), (9, 8), (8, 300), (40, 30)])
def test_small_and_unequal_sides_are_tested(sizes):
    before, after = sizes
    reference = sentences(before, 1)
    found, far = two_sample(reference, sentences(after, 2, ["oven"]), names(after), SETTINGS)
    assert found.auc == 1.0 and found.threshold >= SETTINGS.min_auc
    assert len(far) == min(after, 200)


def test_equal_arguments_give_an_equal_test():
    arguments = sentences(80, 1), sentences(60, 2, NOUNS[:8]), names(60), SETTINGS
    assert two_sample(*arguments) == two_sample(*arguments)


def test_the_threshold_of_a_small_window_is_above_the_setting():
    """With eight texts an area of 0.62 is nothing: the reference gives more against itself."""
    found, _ = two_sample(sentences(100, 1), sentences(8, 2), names(8), SETTINGS)
    assert found.threshold > 0.75


def test_auc_are_those_of_the_curve():
    generator = np.random.default_rng(1)
    ranks = np.arange(1, 31, dtype=float)
    labels = np.array([generator.permutation([1.0] * 9 + [0.0] * 21) for _ in range(20)])
    expected = [roc_auc_score(row, ranks) for row in labels]
    assert _auc(ranks, labels) == pytest.approx(expected)


def test_terms_are_words_pairs_and_characters_of_one_text():
    words, characters = tfidf(["Valve 3 opens opens.", "", "好的 valve", "abcde"])
    first = {words.names[column] for column in words.rows[0].indices}
    assert first == {"valve", "<number>", "opens", "valve <number>", "<number> opens"} | {
        "opens opens"
    }
    assert "opens 好的" not in words.names  # no pair across texts
    assert {characters.names[column] for column in characters.rows[3].indices} == {"abcd", "bcde"}
    assert np.diff(words.rows.indptr).tolist()[1] == 1  # the empty text: one term without letters


def test_texts_without_words_are_tested():
    found, _ = two_sample([""] * 9, ["", " "] * 4, names(8), SETTINGS)
    assert found.auc == 0.5 and not found.drifted
