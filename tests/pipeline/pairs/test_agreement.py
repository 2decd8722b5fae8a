"""Agreement, on published examples to three digits."""

import krippendorff
import numpy as np
import pytest

from pipeline.core.outcome import table
from pipeline.pairs.agreement import ac1, agreement, alpha, ratings_of, raw
from schemas.pairs import Reviews
from tests.pipeline.pairs.test_review import review

NAN = np.nan
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
) - 1  # fmt: skip
"""Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", C: four people, 12 units."""


def crossed(*counts):
    """Return the ratings of two people from their cross table."""
    size = int(len(counts) ** 0.5)
    cells = [divmod(cell, size) for cell, count in enumerate(counts) for _ in range(count)]
    return np.array(cells, dtype=float).T


def test_alpha_is_krippendorffs():
    assert round(alpha(KRIPPENDORFF, 5), 3) == 0.743


def test_alpha_is_that_of_the_package_with_missing_ratings():
    draw = np.random.default_rng(3)
    for people, items in ((2, 9), (5, 40)):
        ratings = draw.integers(3, size=(people, items)).astype(float)
        ratings[draw.random((people, items)) < 0.3] = NAN
        expected = krippendorff.alpha(ratings, level_of_measurement="nominal")
        assert alpha(ratings, 3) == pytest.approx(expected, abs=1e-12)


def test_ac1_and_raw_agreement_of_four_people_are_gwets():
    """Gwet, irrCAC 1.0, cac.raw4raters: the same units, one of them with one rating."""
    assert round(raw(KRIPPENDORFF, 5), 3) == 0.818
    assert round(ac1(KRIPPENDORFF, 5), 3) == 0.775


def test_all_measures_of_two_people_are_gwets():
    """Gwet, irrCAC 1.0, cont3x3abstractors: two abstractors, 100 pregnancies."""
    ratings = crossed(13, 0, 0, 0, 20, 7, 0, 4, 56)
    found = {row.measure: row for row in agreement(ratings, 3)}
    assert {name: round(row.value, 3) for name, row in found.items()} == {
        "raw": 0.890,
        "kappa": 0.796,
        "alpha": 0.797,
        "ac1": 0.849,
    }
    # Gwet's intervals are of another method: 0.680 to 0.913 and 0.764 to 0.935.
    for name, low, high in (("kappa", 0.680, 0.913), ("ac1", 0.764, 0.935)):
        assert abs(found[name].low - low) < 0.03 and abs(found[name].high - high) < 0.03


def test_what_chance_cannot_be_told_of_has_no_value():
    same = {row.measure: row.value for row in agreement(np.zeros((2, 4)), 3)}
    assert same == {"raw": 1.0, "kappa": None, "alpha": None, "ac1": 1.0}
    assert [row.value for row in agreement(np.zeros((0, 0)), 3)] == [None] * 4


def test_the_first_two_decisions_on_an_item_are_rated():
    """A third was asked for since they disagreed: it would make agreement look worse or better."""
    pairs = ["0" * 16, "1" * 16]
    rows = [
        review(pairs[0], "accept", "Ann", at="2026-01-01T00:00:00Z"),
        review(pairs[0], "reject", "Bo", at="2026-01-02T00:00:00Z", flags=["wrong"]),
        review(pairs[0], "accept", "Cy", at="2026-01-03T00:00:00Z"),
        review(pairs[1], "accept", "Ann"),
        review(pairs[1], "skip", "Bo"),
    ]
    np.testing.assert_array_equal(ratings_of(table(Reviews, rows)), [[0], [2]])
