"""False alarms at or below the stated rate, and each injected shift caught and named."""

import random
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import binom
from threadpoolctl import threadpool_limits

from pipeline.drift.check import check_drift, evidence_id
from pipeline.drift.evidence import Evidence
from pipeline.drift.policy import decide
from pipeline.settings import MonitorSettings, RetrainSettings
from tests.pipeline.drift.corpus import FORMATS, collapsed, docstrings, foreign, measured

WINDOW = 200
REFERENCE = 1_000
SETTINGS = MonitorSettings()
FAST = MonitorSettings(permutations=199, calibration_draws=50)
"""p-values as exact, in coarser steps."""


@pytest.fixture(scope="module")
def pool():
    return measured([text[:200] for text in docstrings("scipy")[:1_600]], "d")


@pytest.fixture(scope="module")
def reference():
    return measured(docstrings("scipy")[:REFERENCE], "r")


def fresh(number):
    """Documents of the reference's source that are not in it: two windows of them."""
    start = REFERENCE + number * WINDOW
    return list(docstrings("scipy")[start : start + WINDOW])


def bound(draws, rate):
    """Alarms that a test of this rate exceeds in one of a thousand such experiments."""
    return int(binom.ppf(0.999, draws, rate))


@pytest.mark.slow
def test_windows_of_the_reference_itself_raise_no_more_alarms_than_stated(pool):
    """100 times: the pool is cut at random into a window of 200 and a reference of 400."""
    draws, generator = 100, np.random.default_rng(5)
    alarms, words, shapes, warned = 0, [], [], 0
    for _ in range(draws):
        order = generator.permutation(pool.height)
        # Matrices this small gain nothing by threads, which fight on a busy machine.
        with threadpool_limits(1):
            (found,) = check_drift(pool[order[WINDOW : WINDOW + 400]], pool[order[:WINDOW]], FAST)
        words.append(found.two_sample.p_value)
        shapes.append(found.shape.p_value)
        alarms += found.two_sample.drifted or found.shape.drifted
        warned += any(shift.moved for shift in found.features)
    print(f"false alarms {alarms}/{draws}, windows with a warning {warned}/{draws}")
    assert alarms <= bound(draws, SETTINGS.alpha)
    assert warned <= bound(draws, SETTINGS.q)
    # Without the effect thresholds too: the p-values themselves keep every level ...
    for p_values in (np.array(words), np.array(shapes)):
        for level in (0.01, 0.05, 0.2, 0.5):
            assert (p_values <= level).sum() <= bound(draws, level)
        # ... and do not keep it by never being small.
        assert (p_values <= 0.2).sum() >= binom.ppf(0.001, draws, 0.2)


@dataclass(frozen=True)
class Shift:
    texts: object
    """Of the number of a window, its texts."""
    names: tuple[str, ...]
    """One of them has to be in the reasons."""
    primary: str
    categories: tuple[str, ...] = FORMATS


SHIFTS = {
    "other topic": Shift(
        lambda number: docstrings("prefect")[number * WINDOW : (number + 1) * WINDOW],
        ("prefect", "flow"),
        "words",
    ),
    "truncation": Shift(
        lambda number: [text[: len(text) // 4] for text in fresh(number)], ("characters",), "shape"
    ),
    "other language": Shift(
        lambda number: foreign(WINDOW, number), ("language=de", "language=es"), "shape"
    ),
    "a third in another language": Shift(
        lambda number: fresh(number)[: WINDOW * 2 // 3] + foreign(WINDOW // 3, number),
        ("language=de", "language=es", "language=en"),
        "shape",
    ),
    "template collapse": Shift(
        lambda number: collapsed(WINDOW, number), ("hope", "this helps", "sure"), "words"
    ),
    "one format missing": Shift(fresh, ("category=html",), "shape", ("markdown", "text", "pdf")),
}


@pytest.mark.parametrize("name", SHIFTS)
def test_an_injected_shift_is_caught_within_two_windows_and_named(name, reference):
    shift = SHIFTS[name]
    decisions = []
    for number in (0, 1):
        window = measured(shift.texts(number), f"w{number}", shift.categories)
        (found,) = check_drift(reference, window, SETTINGS)
        primary = found.two_sample if shift.primary == "words" else found.shape
        assert primary.drifted
        print(
            f"{name}: AUC {found.two_sample.auc}, p {found.two_sample.p_value}, words "
            f"{found.two_sample.drifted}; shape p {found.shape.p_value} {found.shape.features}"
        )
        evidence = Evidence(
            id=f"{name} {number}",
            at="2026-11-24T10:00:00Z",
            reference="r",
            model="m",
            kinds=(found,),
            alpha=SETTINGS.alpha,
        )
        decisions.append(
            decide(evidence, decisions, [], 500, evidence.at, SETTINGS, RetrainSettings())
        )
    assert [row.action for row in decisions] == ["watch", "retrain"]
    print("   ", decisions[1].reasons)
    assert any(word in str(decisions[1].reasons) for word in shift.names)


def test_a_rising_share_of_unanswered_prompts_is_drift():
    texts = docstrings("scipy")
    served = measured(texts[:300], "r", ("answered",), kind="exchange")
    broken = measured(texts[300:500], "w", ("answered", "unanswered"), kind="exchange")
    (found,) = check_drift(served, broken, FAST)
    assert found.kind == "exchange" and "category=unanswered" in found.shape.features


def test_kinds_are_compared_with_their_like_and_small_ones_wait(reference):
    small = measured(fresh(0)[:49], "w")
    pairs = measured(fresh(0)[:60], "p", ("gold",), kind="pair")
    assert check_drift(reference, small, FAST) == ()
    assert check_drift(reference, pairs, FAST) == ()  # the reference holds documents alone
    assert check_drift(reference.clear(), reference, FAST) == ()
    assert check_drift(reference, reference.clear(), FAST) == ()
    both = reference.vstack(pairs)
    found = check_drift(both, small.vstack(pairs.with_columns(id="w" + pairs["id"])), FAST)
    assert [kind.kind for kind in found] == ["pair"]
    assert not found[0].shape.drifted and not found[0].two_sample.drifted


def test_no_more_rows_are_compared_than_the_largest_window(reference):
    settings = FAST.model_copy(update={"max_window": 60, "window": 60})
    window = measured(fresh(0), "w")
    (found,) = check_drift(reference, window, settings)
    assert (found.rows_reference, found.rows_window) == (60, 60)
    assert set(found.far) <= set(window["id"]) and len(found.far) == 60


def test_the_order_of_the_rows_does_not_matter(reference):
    small = reference.head(150)
    window = measured(fresh(0)[:80], "w")
    shuffled = [rows.sample(fraction=1, shuffle=True, seed=4) for rows in (small, window)]
    assert check_drift(small, window, FAST) == check_drift(*shuffled, FAST)


def test_withdrawn_texts_take_part_by_their_shape_alone(reference):
    window = measured(fresh(0)[:100], "w").with_columns(text=None)
    window = window.cast({"text": reference["text"].dtype})
    (found,) = check_drift(reference, window, FAST)
    assert found.two_sample is None and found.far == ()
    assert "null text" in found.shape.features


@pytest.mark.parametrize("texts", [[""] * 60, ["12 34"] * 60, ["\ud800 x"] * 60, ["好" * 30] * 60])
def test_odd_texts_are_compared_too(texts):
    same = measured([text.replace("\ud800", "\ufffd") for text in texts], "r")
    other = same.with_columns(id="w" + same["id"])
    (found,) = check_drift(same, other, FAST)
    assert found.two_sample.p_value > FAST.alpha and found.two_sample.auc == 0.5
    assert found.shape is None or not found.shape.drifted


def test_the_texts_that_look_least_like_the_reference_come_first(reference):
    texts = fresh(0)
    planted = set(random.Random(1).sample(range(WINDOW), 60))
    topic = docstrings("prefect")
    mixed = [topic[at] if at in planted else text for at, text in enumerate(texts)]
    (found,) = check_drift(reference, measured(mixed, "w"), FAST)
    assert len(found.far) == WINDOW
    first = {int(name[1:]) for name in found.far[:40]}
    print(f"{len(first & planted)} of the first 40 were planted")
    assert len(first & planted) >= 30  # 12 by chance


def test_the_same_texts_under_the_same_rules_have_the_same_id():
    first = evidence_id("reference", "window", SETTINGS)
    assert first == evidence_id("reference", "window", MonitorSettings())
    others = {
        evidence_id("window", "reference", SETTINGS),
        evidence_id("reference", "window 2", SETTINGS),
        evidence_id("reference", "window", SETTINGS.model_copy(update={"alpha": 0.02})),
    }
    assert len(others) == 3 and first not in others
