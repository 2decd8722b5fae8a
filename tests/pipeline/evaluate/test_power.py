"""What a test set can show, said before there is a challenger."""

from math import sqrt

import numpy as np
import polars as pl
import pytest

from pipeline.core.outcome import table
from pipeline.evaluate.statistics.intervals import minimum_detectable_effect
from pipeline.evaluate.statistics.power import CORRELATION, foresee
from schemas.evaluation import Answers
from tests.pipeline.evaluate.test_evaluate import answers

CONFIDENCE = 0.97


def noisy(arm, seed, spread):
    rows = answers(arm, 3.0)
    right = np.random.default_rng(seed).normal(0.5, spread, rows.height)
    return rows.with_columns(correct=pl.Series(right).clip(0, 1))


def test_the_effect_is_that_of_few_shot_minus_base():
    base, few_shot = noisy("base", 1, 0.4), noisy("few_shot", 2, 0.4)
    found = foresee(base, few_shot, CONFIDENCE)
    expected = minimum_detectable_effect(
        (few_shot["correct"] - base["correct"]).to_numpy(),
        base["cluster_id"].to_list(),
        confidence=CONFIDENCE,
    )
    assert found.effect == pytest.approx(expected) and (found.rows, found.clusters) == (24, 8)
    assert str(found) == (
        f"test set: 24 rows of 8 documents can show a difference in correctness of {expected:.0%} "
        "or more (by the spread of few-shot minus base)"
    )


def test_without_few_shot_a_correlation_is_assumed_and_said():
    base = noisy("base", 1, 0.4)
    found = foresee(base, None, CONFIDENCE)
    spread = minimum_detectable_effect(
        base["correct"].to_numpy(), base["cluster_id"].to_list(), confidence=CONFIDENCE
    )
    assert found.effect == pytest.approx(sqrt(2 * (1 - CORRELATION)) * spread)
    assert str(CORRELATION) in found.basis


def test_an_empty_test_set_shows_nothing_and_says_so():
    found = foresee(table(Answers, []), None, CONFIDENCE)
    assert found.effect is None
    assert "cannot show any difference" in str(found)


def test_rows_of_one_cluster_show_nothing_however_many_they_are():
    base = noisy("base", 1, 0.4).with_columns(cluster_id=pl.lit("c" * 16))
    found = foresee(base, None, CONFIDENCE, "sections")
    assert found.effect is None
    assert str(found) == (
        f"test set: {base.height} rows of 1 sections cannot show any difference; expected two "
        "sections or more"
    )
