"""Intervals: coverage on simulated clusters, pairing, weights, effect sizes."""

from math import inf, sqrt

import numpy as np
import pytest

from pipeline.core.record import as_json
from pipeline.evaluate.results import Interval
from pipeline.evaluate.statistics.intervals import (
    holm,
    interval,
    intra_cluster_correlation,
    minimum_detectable_effect,
    p_value,
)
from tests.benchmarks.bootstrap_rejections import rejections


def clustered(generator, clusters=15, size=6, between=0.7, within=0.7):
    """Rows of mean 0 whose clusters share a part of their value."""
    shared = np.repeat(generator.normal(0, between, clusters), size)
    names = [f"c{index // size}" for index in range(clusters * size)]
    return shared + generator.normal(0, within, clusters * size), names


def coverage(resample_rows, runs=400):
    """Share of intervals that hold the true mean, 0."""
    generator = np.random.default_rng(11)
    hits = 0
    for _ in range(runs):
        values, names = clustered(generator)
        units = [str(row) for row in range(len(values))] if resample_rows else names
        found = interval(values, units, draws=800, seed=1)
        hits += found.low <= 0 <= found.high
    return hits / runs


def test_95_percent_intervals_hold_the_truth_in_95_percent_of_runs():
    # 400 runs: the standard error of a 95 % coverage is 1.1 points.
    assert 0.92 <= coverage(resample_rows=False) <= 0.98


def test_resampling_rows_instead_of_clusters_misses_the_truth_far_too_often():
    assert coverage(resample_rows=True) < 0.80


def test_few_clusters_give_the_wide_interval_of_a_t_test():
    values = np.random.default_rng(3).normal(size=8)
    found = interval(values, list("abcdefgh"), draws=20_000, seed=5)
    # Student's t with 7 degrees of freedom: 2.365 standard errors.
    half = 2.365 * values.std(ddof=1) / sqrt(8)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.12)


def test_loss_is_weighted_by_tokens():
    found = interval([1.0, 2.0, 4.0], ["a", "b", "c"], weights=[10, 30, 60], seed=1)
    assert found.value == pytest.approx((10 + 60 + 240) / 100)


def test_a_weight_counts_like_so_many_rows_of_the_same_value():
    values, weights, names = [1.0, 3.0, 2.0, 5.0], [1, 2, 3, 1], ["a", "a", "b", "c"]
    repeated = interval(np.repeat(values, weights), np.repeat(names, weights).tolist(), seed=2)
    weighted = interval(values, names, weights=weights, seed=2)
    assert weighted.value == pytest.approx(repeated.value)
    assert weighted.low == pytest.approx(repeated.low)
    assert weighted.high == pytest.approx(repeated.high)


def test_the_order_of_rows_does_not_matter_and_the_seed_alone_decides_the_draws():
    generator = np.random.default_rng(4)
    values, names = clustered(generator)
    order = generator.permutation(len(values))
    first = interval(values, names, seed=9)
    shuffled = interval(values[order], [names[place] for place in order], seed=9)
    assert first == interval(values, names, seed=9)
    assert first != interval(values, names, seed=10)
    assert shuffled.low == pytest.approx(first.low) and shuffled.high == pytest.approx(first.high)


def test_pairing_removes_the_difficulty_that_both_models_share():
    generator = np.random.default_rng(6)
    difficulty, names = clustered(generator, between=2.0)
    a = difficulty + generator.normal(0, 0.1, len(difficulty)) - 0.2
    b = difficulty + generator.normal(0, 0.1, len(difficulty))
    difference = interval(a - b, names, seed=1)
    assert difference.low < -0.2 < difference.high < 0
    alone = interval(a, names, seed=1)
    assert difference.high - difference.low < (alone.high - alone.low) / 10
    swapped = interval(b - a, names, seed=1)
    assert (-swapped.value, -swapped.high, -swapped.low) == pytest.approx(
        (difference.value, difference.low, difference.high)
    )


def test_one_cluster_gives_a_value_and_no_interval():
    found = interval([1.0, 2.0], ["a", "a"], seed=1)
    assert found == Interval(1.5, -inf, inf)
    assert as_json(found) == {"value": 1.5, "low": None, "high": None}


@pytest.mark.parametrize(
    ("values", "clusters", "weights"),
    [([], [], None), ([1.0], ["a", "b"], None), ([float("nan")], ["a"], None), ([1.0], ["a"], [0])],
)
def test_rows_that_cannot_be_averaged_are_refused(values, clusters, weights):
    with pytest.raises(ValueError, match="statistics: "):
        interval(values, clusters, weights=weights, seed=1)


def test_the_intra_cluster_correlation_is_that_of_the_simulation():
    values, names = clustered(np.random.default_rng(8), clusters=800, between=1.0, within=2.0)
    assert intra_cluster_correlation(values, names) == pytest.approx(1 / 5, abs=0.03)
    independent, _ = clustered(np.random.default_rng(8), clusters=800, between=0.0)
    assert intra_cluster_correlation(independent, names) == pytest.approx(0, abs=0.03)
    assert intra_cluster_correlation([1.0, 1.0, 2.0, 2.0], list("aabb")) == 1.0
    assert intra_cluster_correlation([1.0, 2.0], ["a", "b"]) == 0.0


def test_the_minimum_detectable_effect_of_independent_rows_is_the_textbook_value():
    rows = np.random.default_rng(2).normal(0, 0.5, 400)
    names = [str(row) for row in range(400)]
    expected = (1.9659 + 0.8426) * rows.std(ddof=1) / sqrt(400)
    assert minimum_detectable_effect(rows, names) == pytest.approx(expected, rel=1e-3)
    tokens = np.full(400, 17)
    weighted = minimum_detectable_effect(rows, names, weights=tokens)
    assert weighted == pytest.approx(expected, rel=1e-3)
    few = minimum_detectable_effect(rows[:12], names[:12])  # t with 11 degrees of freedom
    assert few == pytest.approx((2.2010 + 0.8755) * rows[:12].std(ddof=1) / sqrt(12), rel=1e-3)


def test_rows_that_repeat_their_cluster_add_nothing_to_the_power():
    rows = np.random.default_rng(2).normal(0, 0.5, 50)
    names = [str(row) for row in range(50)]
    alone = minimum_detectable_effect(rows, names)
    repeated = minimum_detectable_effect(np.repeat(rows, 8), np.repeat(names, 8).tolist())
    assert repeated == pytest.approx(alone, rel=0.02)
    assert minimum_detectable_effect([0.3], ["a"]) == inf


def test_a_true_effect_of_the_stated_size_is_found_in_80_percent_of_runs():
    generator = np.random.default_rng(12)
    values, names = clustered(generator, clusters=400)
    effect = minimum_detectable_effect(values, names) * sqrt(400 / 40)  # for 40 clusters
    found = 0
    for _ in range(200):
        rows, units = clustered(generator, clusters=40)
        found += interval(rows + effect, units, draws=600, seed=1).low > 0
    assert found / 200 == pytest.approx(0.8, abs=0.09)


def test_the_clustered_bootstrap_rejects_a_true_null_in_3_to_7_percent_and_the_plain_one_does_not():
    # 1,000 comparisons at 5 % with 10 rows a document, 20 documents, ICC 0.7.
    assert 0.03 <= rejections("documents", comparisons=1000) <= 0.07
    assert rejections("rows", comparisons=1000) > 0.30


def test_holm_adjusts_as_in_the_worked_example():
    # Four tests: 0.005 x 4, 0.01 x 3, then 0.03 x 2 = 0.06, which 0.04 x 1 may not undercut.
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert list(found) == ["a", "b", "c", "d"]
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_the_p_value_is_below_5_percent_exactly_when_the_interval_excludes_zero():
    generator = np.random.default_rng(21)
    seen = set()
    for shift in np.linspace(-0.8, 0.8, 60):
        values, names = clustered(generator)
        found = interval(values + shift, names, seed=1)
        excluded = not found.low <= 0 <= found.high
        p = p_value(values + shift, names, seed=1)
        assert (p < 0.05) == excluded or abs(p - 0.05) < 1e-3
        seen.add(excluded)
    assert seen == {True, False}


def test_one_cluster_or_no_difference_at_all_gives_a_p_value_of_one():
    assert p_value([1.0, 2.0], ["a", "a"], seed=1) == 1.0
    assert p_value([0.0, 0.0, 0.0], ["a", "b", "c"], seed=1) == 1.0


def test_many_clusters_are_resampled_in_blocks_with_the_same_kind_of_interval():
    generator = np.random.default_rng(2)
    values, names = generator.normal(0.5, 1, 3000), [str(row) for row in range(3000)]
    found = interval(values, names, seed=1, draws=2000)  # 6 million cells
    half = 1.96 * values.std(ddof=1) / sqrt(3000)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.08)
