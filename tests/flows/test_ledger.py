"""The decision ledger: what is written counts once, in order, whatever crashes between."""

from datetime import UTC, datetime, timedelta

import pytest

from flows.engine.context import say_once
from flows.reconcile import _is_late
from pipeline.core.errors import StoreError
from pipeline.core.journal import now
from pipeline.core.store import Dataset
from pipeline.drift.evidence import Evidence
from pipeline.drift.ledger import Ledger, Window
from pipeline.drift.policy import Decision, Retrain
from pipeline.settings import Settings

CHAMPION = Dataset("model", "c" * 16, "content", 1)


def evidence(key="e1"):
    return Evidence(id=key, at="2026-01-01T00:00:00Z", reference="r", model="c" * 16, alpha=0.01)


def decision(key="e1", action="retrain", state="confirmed", at="2026-01-01T00:00:00Z"):
    return Decision(
        id=key,
        at=at,
        action=action,
        state=state,
        drifted=True,
        auc=0.8,
        reasons=("words moved",),
        new_rows=3,
        next_retrain_at=None,
        reference="r",
        model="c" * 16,
    )


def window(key="e1"):
    return Window(
        evidence_id=key, at="2026-01-01T00:00:00Z", reference="r", model="m", ids=("a", "b")
    )


def ended(key, outcome, at):
    return Retrain(evidence_id=key, at=at, reason="drift", outcome=outcome, run="run")


def test_what_is_decided_is_read_back(tmp_path):
    ledger = Ledger(tmp_path, say_once)
    ledger.decide(evidence(), decision(), window())
    again = Ledger(tmp_path, say_once)
    assert again.rows(Decision) == [decision()]
    assert again.rows(Window) == [window()]
    assert again.evidence("e1") == evidence()
    assert again.evidence("e2") is None


def test_a_check_repeated_after_a_crash_is_one_decision(tmp_path):
    ledger = Ledger(tmp_path, say_once)
    ledger.decide(evidence(), decision(), None)  # killed before the watermark
    ledger.decide(evidence(), decision(at="2026-01-01T01:00:00Z"), window())
    assert [row.at for row in ledger.rows(Decision)] == ["2026-01-01T00:00:00Z"]
    assert ledger.rows(Window) == [window()]


def test_the_same_evidence_may_lead_to_more_later(tmp_path):
    ledger = Ledger(tmp_path, say_once)
    ledger.decide(evidence(), decision(action="review"), window())
    ledger.decide(evidence(), decision(action="retrain", at="2026-01-02T00:00:00Z"), None)
    assert [row.action for row in ledger.rows(Decision)] == ["review", "retrain"]


def test_a_torn_line_is_said_and_the_next_one_is_whole(tmp_path, capsys):
    ledger = Ledger(tmp_path, say_once)
    ledger.decide(evidence(), decision(), window())
    path = tmp_path / "monitor" / "decisions.jsonl"
    with path.open("a") as stream:
        stream.write('{"id": "half')
    assert ledger.rows(Decision) == [decision()]
    assert "line 2 found that is no JSON object" in " ".join(capsys.readouterr().err.split())
    ledger.decide(evidence("e2"), decision("e2"), window("e2"))
    assert [row.id for row in ledger.rows(Decision)] == ["e1", "e2"]


def test_a_line_of_another_version_is_an_error_not_a_loss(tmp_path):
    path = tmp_path / "monitor" / "decisions.jsonl"
    path.parent.mkdir()
    path.write_text('{"id": "e1"}\n')
    with pytest.raises(StoreError, match="expected a Decision"):
        Ledger(tmp_path, say_once).rows(Decision)


def test_a_retrain_waits_until_it_ended_and_a_failed_one_goes_on_waiting(tmp_path):
    ledger = Ledger(tmp_path, say_once)
    ledger.decide(evidence(), decision(), window())
    assert [row.id for row in ledger.waiting()] == ["e1"]
    ledger.add(ended("e1", "started", "2026-01-01T01:00:00Z"))
    ledger.add(ended("e1", "failed", "2026-01-01T02:00:00Z"))
    assert [row.id for row in ledger.waiting()] == ["e1"]
    assert ledger.ended("e1") is None
    ledger.add(ended("e1", "kept", "2026-01-01T03:00:00Z"))
    assert ledger.waiting() == []
    assert ledger.ended("e1").outcome == "kept"


def test_a_retrain_by_hand_settles_an_earlier_decision(tmp_path):
    ledger = Ledger(tmp_path, say_once)
    ledger.decide(evidence(), decision(), window())
    ledger.add(ended("", "promoted", "2026-01-01T05:00:00Z"))
    assert ledger.waiting() == []


@pytest.mark.parametrize(
    ("action", "state", "pending"),
    [
        ("watch", "cooldown", True),
        ("review", "confirmed", True),
        ("watch", "suspect", False),
        ("ok", "ok", False),
        ("retrain", "confirmed", False),
        ("broken", "confirmed", False),
    ],
)
def test_confirmed_drift_that_started_nothing_is_looked_at_again(tmp_path, action, state, pending):
    ledger = Ledger(tmp_path, say_once)
    ledger.decide(evidence(), decision(action=action, state=state), window())
    assert (ledger.pending(CHAMPION) is not None) == pending
    assert ledger.pending(Dataset("model", "other", "content", 1)) is None


def test_a_cooldown_that_is_over_is_written_down_once(tmp_path):
    ledger = Ledger(tmp_path, say_once)
    held = decision(action="watch", state="cooldown")
    held = held.model_copy(update={"next_retrain_at": "2026-01-05T00:00:00Z"})
    free = held.model_copy(update={"next_retrain_at": None, "state": "confirmed"})
    for row in (held, held, free, free):
        ledger.decide(evidence(), row, None)
    assert ledger.rows(Decision) == [held, free]


def test_a_clock_that_was_set_back_loses_no_retrain(tmp_path):
    """Decisions are matched with retrains by time: one from before the last end still waits."""
    ledger = Ledger(tmp_path, say_once)
    ledger.add(ended("e0", "kept", "2026-01-02T00:00:00Z"))
    ledger.decide(evidence(), decision(at="1970-01-01T00:00:09Z"), window())
    assert [(row.id, row.at) for row in ledger.waiting()] == [("e1", "2026-01-02T00:00:01Z")]
    ledger.add(ended("e1", "kept", "1970-01-01T00:05:00Z"))
    assert ledger.waiting() == []
    soon, later = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    settings = Settings()
    assert all(_is_late(decision(at=f"{at:%FT%TZ}"), settings) for at in (soon, later))
    assert not _is_late(decision(at=now()), settings)
