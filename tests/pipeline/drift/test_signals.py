"""Shares and losses of a window against the reference: worked values and edges."""

import numpy as np
import pytest
from scipy.stats import binom, fisher_exact

from pipeline.drift.signals import loss_signal, share_signal


def test_the_share_signal_is_fishers_exact_test_with_a_margin():
    found = share_signal("rejected", (10, 200), (15, 60), margin=0.1, alpha=0.01)
    expected = fisher_exact([[15, 45], [10, 190]], alternative="greater").pvalue
    assert found.p_value == pytest.approx(expected)
    assert (found.reference, found.window) == (0.05, 0.25)
    assert found.low < 0.2 < found.high and found.low > 0
    assert found.worse
    assert not share_signal("rejected", (10, 200), (15, 60), margin=0.2, alpha=0.01).worse
    assert not share_signal("rejected", (15, 60), (10, 200), margin=0, alpha=0.01).worse


@pytest.mark.parametrize("rows", [(0, 0), (0, 5), (5, 0)])
def test_without_rows_on_a_side_no_share_is_worse(rows):
    reference, window = rows
    found = share_signal("duplicates", (reference, reference), (window, window), 0.1, 0.01)
    assert not found.worse and found.p_value is None and found.low is None


def test_shares_of_one_source_are_seldom_called_worse():
    generator = np.random.default_rng(3)
    draws = 1000
    alarms = sum(
        share_signal(
            "rejected",
            (generator.binomial(300, 0.2), 300),
            (generator.binomial(80, 0.2), 80),
            0.0,
            0.05,
        ).worse
        for _ in range(draws)
    )
    assert alarms <= binom.ppf(0.999, draws, 0.05)


def test_losses_of_one_source_are_seldom_called_worse_and_a_rise_is():
    generator = np.random.default_rng(4)
    draws, alarms, covered = 120, 0, 0
    for seed in range(draws):
        before, after = generator.normal(2, 0.5, 64), generator.normal(2, 0.5, 64)
        found = loss_signal("loss", before.tolist(), after.tolist(), 0.0, 0.05, seed)
        alarms += found.worse
        covered += found.low <= 0 <= found.high
    assert alarms <= binom.ppf(0.999, draws, 0.05)
    assert covered >= binom.ppf(0.001, draws, 0.9)
    before, after = generator.normal(2, 0.5, 64), generator.normal(2.6, 0.5, 64)
    found = loss_signal("loss", before.tolist(), after.tolist(), 0.05, 0.01, 1)
    assert found.worse and 0.05 < found.low < found.window - found.reference < found.high
    assert not loss_signal("loss", before.tolist(), after.tolist(), 0.5, 0.01, 1).worse


def test_rows_of_one_document_count_as_one_observation():
    generator = np.random.default_rng(5)
    documents = generator.normal(2, 0.5, 12)
    rows = np.repeat(documents, 10).tolist()
    groups = [str(number // 10) for number in range(120)]
    higher = (np.repeat(generator.normal(2.3, 0.5, 12), 10)).tolist()
    alone = loss_signal("performance", rows, higher, 0.0, 0.01, 1)
    clustered = loss_signal("performance", rows, higher, 0.0, 0.01, 1, (groups, groups))
    assert clustered.high - clustered.low > 2 * (alone.high - alone.low)
    assert alone.worse and not clustered.worse


@pytest.mark.parametrize(
    ("reference", "window"), [([], []), ([1.0], []), ([], [1.0, 2.0]), ([1.0, 2.0], [9.0])]
)
def test_too_few_losses_say_nothing(reference, window):
    found = loss_signal("loss", reference, window, 0.0, 0.01, 1)
    assert not found.worse and found.low is None
    assert found.rows_window == len(window)


def test_equal_seeds_give_equal_signals():
    values = [1.0, 2.0, 4.0], [2.0, 3.0, 7.0]
    assert loss_signal("loss", *values, 0.0, 0.1, 5) == loss_signal("loss", *values, 0.0, 0.1, 5)
