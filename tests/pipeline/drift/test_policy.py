"""The policy: a table of cases, and what must hold for any history."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.drift.evidence import (
    Evidence,
    FeatureShift,
    Gram,
    KindEvidence,
    ShapeTest,
    Signal,
    Spread,
    TwoSample,
)
from pipeline.drift.policy import Decision, Retrain, decide, next_retrain_at
from pipeline.drift.signals import any_worse
from pipeline.report.drift_words import reason_line, reasons_line
from pipeline.settings import MonitorSettings, RetrainSettings

MONITOR = MonitorSettings()
RETRAIN = RetrainSettings()
START = datetime(2026, 11, 1, tzinfo=UTC)


def day(number):
    return (START + timedelta(days=number)).isoformat().replace("+00:00", "Z")


def signal(name, worse, rows=64):
    return Signal(
        name=name,
        reference=2.1,
        window=2.9 if worse else 2.1,
        rows_reference=64,
        rows_window=rows,
        low=0.5 if worse else -0.1,
        high=1.1 if worse else 0.1,
        threshold=0.05,
        worse=worse,
    )


def words(auc, drifted):
    grams = (
        Gram(text="sourdough", level="word", weight=1, share_reference=0, share_window=0.4),
        Gram(text="valve", level="word", weight=-1, share_reference=0.5, share_window=0),
    )
    return TwoSample(
        auc=auc, threshold=0.62, p_value=0.001 if drifted else 0.4, drifted=drifted, grams=grams
    )


def evidence(number=0, drifted=True, auc=None, loss=True, **parts):
    """Evidence of a window: words that fired or not; loss that is worse, no worse or unknown."""
    area = auc if auc is not None else (0.83 if drifted else 0.5)
    test = KindEvidence(
        kind="document", rows_reference=500, rows_window=200, two_sample=words(area, drifted)
    )
    return Evidence(
        **{
            "id": f"e{number}",
            "at": day(number),
            "reference": "r",
            "model": "m",
            "kinds": (test,),
            "loss": None if loss is None else signal("loss", loss),
            "alpha": 0.01,
        }
        | parts
    )


def run(windows, retrains=(), new_rows=500, start=0):
    """Decide on a series of windows, one a day."""
    decisions = []
    for number, window in enumerate(windows, start=start):
        decisions.append(
            decide(window, decisions, list(retrains), new_rows, day(number), MONITOR, RETRAIN)
        )
    return decisions


def actions(decisions):
    return [row.action for row in decisions]


def ended(number, outcome="kept", evidence_id="", run_name=None):
    return Retrain(
        evidence_id=evidence_id,
        at=day(number),
        reason="by hand",
        outcome=outcome,
        run=run_name or f"run {number}",
    )


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("...", ["ok", "ok", "ok"]),
        ("x..", ["watch", "ok", "ok"]),
        ("xx", ["watch", "retrain"]),
        ("x.x", ["watch", "ok", "retrain"]),
        ("x..x", ["watch", "ok", "ok", "watch"]),
        ("xxxx", ["watch", "retrain", "watch", "watch"]),  # the first one has not ended
    ],
)
def test_drift_in_two_of_three_windows_starts_a_retrain_once(pattern, expected):
    found = run([evidence(n, mark == "x") for n, mark in enumerate(pattern)])
    assert actions(found) == expected


@pytest.mark.parametrize(
    ("areas", "states"),
    [
        ([0.83, 0.5], ["suspect", "ok"]),
        ([0.83, 0.58], ["suspect", "confirmed"]),  # not yet below leave_auc
        ([0.83, 0.83, 0.58, 0.555], ["suspect", "confirmed", "confirmed", "ok"]),
        ([0.58, 0.58], ["ok", "ok"]),  # hysteresis holds what was entered, and enters nothing
    ],
)
def test_a_series_is_entered_high_and_left_low(areas, states):
    found = run([evidence(n, area > MONITOR.min_auc, area) for n, area in enumerate(areas)])
    assert [row.state for row in found] == states


def test_a_window_with_nothing_to_test_neither_confirms_nor_clears():
    empty = evidence(1, kinds=())
    found = run([evidence(0), empty, evidence(2)])
    assert [row.state for row in found] == ["suspect", "suspect", "confirmed"]
    assert actions(run([empty.model_copy(update={"id": "x"})])) == ["ok"]


@pytest.mark.parametrize(
    ("last", "new_rows", "action", "said"),
    [
        ({}, 500, "retrain", "500 new rows"),
        ({}, 200, "retrain", "200 new rows"),
        ({}, 199, "review", "only 199 new rows to learn from, 200 are asked for"),
        ({"loss": False}, 500, "watch", "does no worse"),
        ({"loss": False}, 0, "review", "only 0 new rows"),
        ({"loss": None}, 500, "retrain", "drift alone decides"),
        ({"loss": None, "performance": signal("performance", False)}, 500, "retrain", "no worse"),
        ({"loss": False, "performance": signal("performance", True)}, 500, "retrain", "accepted"),
        ({"quarantined": signal("quarantined", True)}, 500, "broken", "ingest looks broken"),
        ({"duplicates": signal("duplicates", True)}, 500, "broken", "repeat another"),
        ({"rejected": signal("rejected", True)}, 500, "retrain", "rejected"),
    ],
)
def test_what_confirmed_drift_leads_to(last, new_rows, action, said):
    found = run([evidence(0), evidence(1, **last)], new_rows=new_rows)
    assert found[-1].action == action
    assert said in reasons_line(found[-1].reasons)


def test_worse_performance_needs_no_second_window_and_no_drift_of_words():
    worse = signal("performance", True)
    (found,) = run([evidence(0, drifted=False, loss=False, performance=worse)])
    assert (found.action, found.state, found.drifted) == ("retrain", "confirmed", True)
    (found,) = run([evidence(0, drifted=False, performance=worse)], new_rows=10)
    assert found.action == "review"


def test_a_move_of_the_shape_alone_counts_as_much_as_words():
    spread = Spread(low=1, median=2, high=3)
    moved = FeatureShift(
        name="characters",
        reference=1200,
        window=240,
        spread_reference=spread,
        spread_window=spread,
        effect=1.9,
        threshold=0.1,
        p_value=0.001,
        moved=True,
    )
    kind = KindEvidence(
        kind="document",
        rows_reference=500,
        rows_window=200,
        features=(moved,),
        two_sample=words(0.5, False),
        shape=ShapeTest(p_value=0.001, drifted=True, features=("characters",)),
    )
    found = run([evidence(n, kinds=(kind,)) for n in range(2)])
    assert actions(found) == ["watch", "retrain"]
    assert reason_line(found[0].reasons[0]) == (
        "the shape of documents moved, p 0.001: length in characters 1,200 → 240"
    )


def test_reasons_name_the_words_with_their_numbers():
    (found,) = run([evidence(0)])
    assert tuple(map(reason_line, found.reasons)) == (
        "the words of documents tell new from old: AUC 0.83 (above 0.62), p 0.001; "
        "more: sourdough; less: valve",
        "1 of the last 3 windows drifted, 2 are asked for",
    )


def test_a_broken_ingest_counts_for_no_drift():
    broken = evidence(1, quarantined=signal("quarantined", True))
    found = run([evidence(0), broken, evidence(2)])
    assert actions(found) == ["watch", "broken", "retrain"]
    assert [row.drifted for row in found] == [True, False, True]
    assert [row.state for row in found] == ["suspect", "suspect", "confirmed"]


@pytest.mark.parametrize("changed", [{"reference": "other"}, {"model": "other"}])
def test_windows_against_another_reference_or_champion_do_not_count(changed):
    assert actions(run([evidence(0, **changed), evidence(1)])) == ["watch", "watch"]


@pytest.mark.parametrize(
    ("retrains", "expected"),
    [
        ([], None),
        ([ended(0, "promoted")], 7),
        ([ended(0)], 14),
        ([ended(0), ended(1)], 29),
        ([ended(0), ended(1), ended(2)], 30),
        ([ended(0), ended(1, "promoted")], 8),
        ([ended(0, "failed"), ended(1, "started")], None),
        ([ended(n, "failed") for n in range(4)], 30),
        ([ended(n, "failed") for n in range(5)], 31),
        ([ended(0, "started", run_name="a"), ended(1, "promoted", run_name="a")], 8),
        ([ended(3, "promoted", "e1"), ended(0, "promoted")], 10),
    ],
)
def test_when_the_next_retrain_may_start(retrains, expected):
    found = next_retrain_at(retrains, day(3), RETRAIN)
    assert found == (None if expected is None else day(expected))
    if expected is not None:
        assert next_retrain_at(retrains, day(expected), RETRAIN) is None
        before = (START + timedelta(days=expected, seconds=-1)).isoformat()
        assert next_retrain_at(retrains, before, RETRAIN) == day(expected)


def test_a_cooldown_is_recorded_with_its_end():
    found = run([evidence(0), evidence(1)], [ended(-1, "promoted")])
    assert actions(found) == ["watch", "watch"]
    assert (found[1].state, found[1].next_retrain_at) == ("cooldown", day(6))
    assert f"held back until {day(6)}" in reasons_line(found[1].reasons)
    later = decide(evidence(1), found, [ended(-1, "promoted")], 500, day(6), MONITOR, RETRAIN)
    assert (later.action, later.next_retrain_at) == ("retrain", None)


def test_more_rows_turn_a_review_of_the_same_evidence_into_a_retrain():
    first = run([evidence(0), evidence(1)], new_rows=10)
    assert actions(first) == ["watch", "review"]
    again = decide(evidence(1), first, [], 300, day(2), MONITOR, RETRAIN)
    assert again.action == "retrain"
    third = decide(evidence(1), [*first, again], [], 300, day(2), MONITOR, RETRAIN)
    assert third.action == "watch" and third.reasons[-1].code == "decided_before"


def test_evidence_that_is_decided_on_twice_is_one_window():
    first = run([evidence(0)])
    again = decide(evidence(0), first, [], 500, day(1), MONITOR, RETRAIN)
    assert (again.action, again.state) == ("watch", "suspect")


def test_drift_that_was_confirmed_stays_so_until_a_window_clears_it():
    nothing = [evidence(number, kinds=()) for number in (2, 3)]
    found = run([evidence(0), evidence(1), *nothing, evidence(4)], new_rows=0)
    assert actions(found) == ["watch", "review", "review", "review", "review"]
    cleared = [evidence(number, drifted=False) for number in (2, 3)]
    found = run([evidence(0), evidence(1), *cleared, evidence(4)], new_rows=0)
    assert actions(found) == ["watch", "review", "ok", "ok", "watch"]


def test_a_later_retrain_by_hand_settles_a_decision_that_never_started():
    decisions = run([evidence(0), evidence(1)])
    by_hand = [ended(2)]
    held = decide(evidence(3), decisions, by_hand, 500, day(3), MONITOR, RETRAIN)
    assert (held.action, held.next_retrain_at) == ("watch", day(16))
    later = decide(evidence(3), decisions, by_hand, 500, day(16), MONITOR, RETRAIN)
    assert later.action == "retrain"


def test_a_failed_retrain_is_not_repeated_on_its_evidence_but_on_the_next():
    decisions = run([evidence(0), evidence(1)])
    failed = [ended(1, "started", "e1", "a"), ended(1, "failed", "e1", "a")]
    same = decide(evidence(1), decisions, failed, 500, day(2), MONITOR, RETRAIN)
    assert same.action == "watch"
    following = decide(evidence(2), decisions, failed, 500, day(2), MONITOR, RETRAIN)
    assert following.action == "retrain"


def test_a_retrain_by_hand_that_runs_holds_the_next_back_for_a_day():
    started = [ended(1, "started")]
    decisions = run([evidence(0)])
    found = decide(evidence(1), decisions, started, 500, day(1.5), MONITOR, RETRAIN)
    assert found.action == "watch" and found.reasons[-1].code == "started"
    found = decide(evidence(1), decisions, started, 500, day(2.5), MONITOR, RETRAIN)
    assert found.action == "retrain"


WINDOWS = st.builds(
    lambda drifted, auc, loss, performance, broken, shown: {
        "drifted": drifted,
        "auc": auc,
        "loss": loss,
        "performance": None if performance is None else signal("performance", performance),
        "quarantined": signal("quarantined", broken),
        **({} if shown else {"kinds": ()}),
    },
    st.booleans(),
    st.floats(0.3, 1),
    st.sampled_from([True, False, None]),
    st.sampled_from([True, False, None]),
    st.sampled_from([False, False, False, True]),
    st.booleans(),
)


@given(
    windows=st.lists(
        st.tuples(
            WINDOWS,
            st.floats(0, 6),
            st.integers(0, 400),
            st.sampled_from(["promoted", "kept", "failed", "started"]),
            st.integers(0, 2),
        ),
        max_size=30,
    )
)
def test_any_history_keeps_the_rules(windows):
    """Each retrain decided on ends at once, in any way; windows come at any distance."""
    decisions, retrains, moment, model = [], [], 0.0, 0
    for number, (parts, wait, new_rows, outcome, repeat) in enumerate(windows):
        moment += wait
        # Now and then evidence comes a second time.
        key = number - repeat if number >= repeat and repeat < 2 else number
        given_evidence = evidence(key, **parts, model=f"m{model}")
        arguments = (given_evidence, decisions, retrains, new_rows, day(moment), MONITOR, RETRAIN)
        found = decide(*arguments)
        assert found == decide(*arguments)
        assert Decision.model_validate_json(found.model_dump_json()) == found
        assert found.reasons
        if found.action == "retrain":
            assert not any_worse(given_evidence.signals, "damage")
            assert new_rows >= RETRAIN.min_new_rows
            assert found.id not in {row.id for row in decisions if row.action == "retrain"}
            assert next_retrain_at(retrains, day(moment), RETRAIN) is None
            for row in retrains:
                if row.outcome in ("promoted", "kept"):
                    passed = START + timedelta(days=moment) - datetime.fromisoformat(row.at)
                    assert passed >= timedelta(days=RETRAIN.cooldown_days)
            recent = {row.run for row in retrains if row.at > day(moment - 30)}
            assert len(recent) < RETRAIN.max_in_30_days
            retrains.append(ended(moment, outcome, found.id, f"run {number}"))
            model += outcome == "promoted"
        if any_worse(given_evidence.signals, "damage"):
            assert found.action == "broken"
        decisions.append(found)


@given(st.lists(st.booleans(), min_size=1, max_size=120))
def test_a_flapping_series_triggers_at_most_once_a_cooldown(pattern):
    """A window an hour; each retrain ends after an hour and loses, so the series goes on."""
    decisions, retrains, starts = [], [], []
    for number, drifted in enumerate(pattern):
        moment = number / 24
        if starts and len(retrains) < len(starts):
            retrains.append(ended(moment, "kept", decisions[-1].id, f"run {number}"))
        found = decide(
            evidence(number, drifted), decisions, retrains, 500, day(moment), MONITOR, RETRAIN
        )
        decisions.append(found)
        if found.action == "retrain":
            starts.append(moment)
    assert len(starts) <= 1  # five days are within the first cooldown
    confirmed = any(sum(pattern[at : at + 3]) >= 2 for at in range(len(pattern)))
    assert len(starts) == confirmed
