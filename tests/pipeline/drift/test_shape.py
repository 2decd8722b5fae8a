"""Effects, corrections and edges of the shape test."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import wasserstein_distance

from pipeline.core.outcome import table
from pipeline.drift.shape import shape
from pipeline.settings import MonitorSettings
from schemas.drift import DriftFeatures

SETTINGS = MonitorSettings(permutations=499, calibration_draws=100)


def rows(count, **columns):
    """Rows that all look the same but for some columns."""
    plain = {
        "kind": "document",
        "category": "markdown",
        "language": "en",
        "characters": 100,
        "tokens": 20,
        "type_token_ratio": 0.5,
        "compression_ratio": 0.5,
        "digit_share": 0.0,
        "non_ascii_share": 0.0,
        "code_share": 0.0,
        "loss": None,
        "text": "x",
    }
    return table(
        DriftFeatures,
        [
            plain
            | {"id": f"{number:05d}"}
            | {name: values[number] for name, values in columns.items()}
            for number in range(count)
        ],
    )


def by_name(found):
    return {shift.name: shift for shift in found[0]}


def test_the_effect_is_the_distance_of_wasserstein_in_deviations_of_the_reference():
    generator = np.random.default_rng(1)
    before, after = generator.uniform(0.2, 0.6, 120), generator.uniform(0.3, 0.9, 40)
    found = shape(rows(120, digit_share=before), rows(40, digit_share=after), SETTINGS)
    (shift,) = found[0]
    expected = wasserstein_distance(before, after) / before.std()
    assert shift.effect == pytest.approx(expected)
    assert shift.name == "digit_share" and shift.moved
    assert (shift.reference, shift.window) == (pytest.approx(before.mean()), after.mean())
    assert shift.spread_reference.median == pytest.approx(np.median(before))
    assert shift.p_value == found[1].p_value == 1 / 500


def test_lengths_are_compared_by_their_logarithm():
    generator = np.random.default_rng(2)
    before = generator.lognormal(6, 1, 200).astype(int)
    found = shape(rows(200, characters=before), rows(100, characters=before[:100] * 2), SETTINGS)
    (shift,) = found[0]
    logs = np.log1p(before), np.log1p(before[:100] * 2)
    assert shift.effect == pytest.approx(wasserstein_distance(*logs) / logs[0].std())
    assert shift.spread_window.median == pytest.approx(np.median(before[:100] * 2), rel=1e-3)


def test_a_reference_that_never_varies_gives_a_finite_effect():
    found = shape(rows(100), rows(50, code_share=[0.2] * 50), SETTINGS)
    (shift,) = found[0]
    assert shift.moved and 1 < shift.effect < 10
    assert found[1].features == ("code_share",)


def test_nothing_that_varies_is_nothing_to_test():
    assert shape(rows(60), rows(60), SETTINGS) == ((), None)


def test_one_odd_row_is_no_drift():
    found = shape(rows(200), rows(60, code_share=[0.5] + [0.0] * 59), SETTINGS)
    assert not found[1].drifted and not found[0][0].moved


def test_a_far_move_that_chance_makes_too_often_warns_and_no_more():
    settings = SETTINGS.model_copy(update={"calibration_draws": 50})
    warned = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        before, after = generator.uniform(0, 0.6, 60), generator.uniform(0.15, 0.75, 10)
        (shift,), test = shape(rows(60, digit_share=before), rows(10, digit_share=after), settings)
        assert shift.p_value == pytest.approx(test.p_value)
        if shift.moved and test.p_value > settings.alpha:
            warned += 1
            assert not test.drifted
    assert warned


def test_nulls_and_categories_are_features_of_their_own():
    ratio = [None if number % 2 else 0.5 for number in range(80)]
    language = ["de" if number % 4 == 0 else "en" for number in range(80)]
    found = by_name(shape(rows(200), rows(80, type_token_ratio=ratio, language=language), SETTINGS))
    assert set(found) == {"null type_token_ratio", "language=de", "language=en"}
    assert found["null type_token_ratio"].effect == pytest.approx(0.5)
    share = found["language=de"]
    assert (share.reference, share.window, share.effect) == (0.0, 0.25, 0.25)
    assert share.moved and share.spread_window is None


def test_a_feature_that_one_side_lacks_is_told_by_its_nulls_alone():
    found = by_name(shape(rows(90), rows(60, compression_ratio=[None] * 60), SETTINGS))
    assert set(found) == {"null compression_ratio"}


def test_the_loss_of_a_sample_of_rows_is_no_shape():
    losses = [2.0 if number < 10 else None for number in range(100)]
    assert shape(rows(100, loss=losses), rows(100), SETTINGS) == ((), None)


@pytest.mark.parametrize(
    ("before", "after", "drifted"),
    [
        (0.12, 0.0, True),  # a small one that is gone
        (0.0, 0.12, True),
        (0.5, 0.75, True),
        (0.5, 0.62, False),  # surely moved, too little to act on
        (0.08, 0.0, False),
    ],
)
def test_a_share_has_to_move_far_to_be_a_reason_to_act(before, after, drifted):
    sides = [
        rows(1000, category=["pdf" if row < 1000 * share else "html" for row in range(1000)])
        for share in (before, after)
    ]
    found = shape(*sides, SETTINGS)
    assert all(shift.moved for shift in found[0])
    assert found[1].drifted is drifted


def test_the_threshold_is_what_the_reference_gives_against_itself():
    generator = np.random.default_rng(7)
    values = generator.uniform(0, 1, 400)
    reference, window = rows(400, digit_share=values), rows(100, digit_share=values[:100])
    (shift,) = shape(reference, window, SETTINGS)[0]
    effects = []
    for _ in range(400):
        order = generator.permutation(values)
        effects.append(wasserstein_distance(order[:100], order[100:]) / values.std())
    assert shift.threshold == pytest.approx(np.quantile(effects, 1 - SETTINGS.q), rel=0.2)
    assert not shift.moved and shift.effect < shift.threshold


def test_every_order_of_the_columns_gives_valid_numbers():
    found = shape(rows(60, tokens=range(60)), rows(60, tokens=range(60, 120)), SETTINGS)
    assert isinstance(found[0][0].effect, float) and found[1].features == ("tokens",)
    assert pl.DataFrame([shift.model_dump() for shift in found[0]]).height == 1
