"""What a drift check leads to: a pure function of evidence, history and the clock it is given.

::

    ok -> suspect           a primary test fires
    suspect -> confirmed    `monitor.confirm` of the last `monitor.windows` windows drifted
    suspect, confirmed -> ok    no primary fires and the area is below `monitor.leave_auc`
    confirmed -> cooldown   drift is confirmed and a retrain may not start yet
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Literal, NamedTuple

from pydantic import JsonValue

from pipeline.core.record import Record
from pipeline.drift.evidence import Evidence
from pipeline.drift.reasons import Reason, reason, shift_reasons, signal_reasons
from pipeline.drift.signals import any_worse, of_role
from pipeline.settings import MonitorSettings, RetrainSettings

POLICY_VERSION = 1  # raised with any change of the rules: the same evidence is decided on again
MAX_COOLDOWN = 4  # times its length, up to which lost challenges double it: a month at 7 days
BREAKER = timedelta(days=30)
RUNNING = timedelta(days=1)  # a retrain without an end that started earlier was killed

Action = Literal["ok", "watch", "review", "retrain", "broken"]
State = Literal["ok", "suspect", "confirmed", "cooldown"]
_Choice = tuple[Action, State, tuple[Reason, ...]]


class Decision(Record):
    """A row of the decision ledger, without the evidence file it names."""

    id: str
    at: str  # UTC, ISO 8601
    action: Action
    state: State  # of the series after this window; the next decision starts from it
    drifted: bool  # whether a primary test fired in this window (with hysteresis)
    auc: float | None  # largest two-sample area of the window
    reasons: tuple[Reason, ...]  # what moved, and what held a retrain back
    new_rows: int  # to learn from, which the champion has not seen
    next_retrain_at: str | None  # UTC; None when a retrain may start now
    reference: str
    model: str


class Retrain(Record):
    """A row of the retrain ledger."""

    evidence_id: str  # empty for one that was started by hand
    at: str  # UTC when it ended, or started while ``outcome`` is ``started``
    reason: str
    outcome: Literal["started", "promoted", "kept", "failed"]
    run: str


class _Standing(NamedTuple):
    """Where the series stands with this window."""

    state: State
    drifted: bool
    auc: float | None
    hits: int


def decide(
    evidence: Evidence,
    decisions: Sequence[Decision],
    retrains: Sequence[Retrain],
    new_rows: int,
    now: str,
    monitor: MonitorSettings,
    retrain: RetrainSettings,
) -> Decision:
    """Decide what one drift check leads to; the same arguments give the same row of the ledger.

    A retrain needs drift in enough of the latest windows (or freshly accepted pairs on which the
    champion does worse, for which one window is enough), a champion that does worse or was not
    measured, enough new rows, and no other retrain that runs, is waited for, or ended lately.

    Of the ledgers, oldest first, only decisions on the same reference and champion count; an
    earlier decision on the same evidence is replaced. ``new_rows`` are those that training may use
    now and that the champion has not seen; ``now`` is UTC, ISO 8601.
    """
    latest = {row.id: row for row in decisions}  # the last word on each evidence
    series = [
        row
        for row in latest.values()
        if (row.reference, row.model) == (evidence.reference, evidence.model)
        and row.id != evidence.id
    ]
    following = next_retrain_at(retrains, now, retrain)
    standing = _standing(evidence, series, monitor)
    choice: _Choice
    if any_worse(evidence.signals, "damage"):
        before: State = series[-1].state if series else "ok"
        standing = standing._replace(drifted=False)
        choice = ("broken", before, (*signal_reasons(evidence, "damage"), reason("damage")))
    elif standing.state == "ok":
        tested = any(kind.two_sample or kind.shape for kind in evidence.kinds)
        calm = (reason("calm"), *shift_reasons(evidence)) if tested else (reason("too_few"),)
        choice = ("ok", "ok", calm)
    elif standing.state == "suspect":
        moved = list(shift_reasons(evidence))
        if not standing.drifted:
            moved.append(reason("window_small"))
        elif not primary_fired(evidence):
            moved.append(reason("hysteresis", auc=standing.auc, limit=monitor.leave_auc))
        counts = {"hits": standing.hits, "windows": monitor.windows, "needed": monitor.confirm}
        choice = ("watch", "suspect", (*moved, reason("windows_needed", **counts)))
    else:
        held = _underway(evidence, decisions, retrains, now)
        choice = _confirmed(evidence, standing, new_rows, following, held, monitor, retrain)
    action, state, reasons = choice
    return Decision(
        **evidence.model_dump(include={"id", "reference", "model"}),
        at=now,
        action=action,
        state=state,
        drifted=standing.drifted,
        auc=standing.auc,
        reasons=reasons,
        new_rows=new_rows,
        next_retrain_at=following,
    )


def next_retrain_at(retrains: Sequence[Retrain], now: str, settings: RetrainSettings) -> str | None:
    """Return when the next retrain may start by itself; None when it may now.

    The cooldown counts from the last retrain that was promoted or kept; challenges lost in a row
    double it. Of the last ``max_in_30_days`` runs, failed ones too, the oldest is 30 days ago.
    """
    runs = {(row.run, row.evidence_id): row for row in retrains}
    times = sorted(datetime.fromisoformat(row.at) for row in runs.values())
    ended = [row for row in retrains if row.outcome in ("promoted", "kept")]
    ended.sort(key=lambda row: datetime.fromisoformat(row.at))
    allowed = []
    if ended:
        lost = len(list(takewhile(lambda row: row.outcome == "kept", reversed(ended))))
        days = settings.cooldown_days * min(2.0**lost, MAX_COOLDOWN)
        allowed.append(datetime.fromisoformat(ended[-1].at) + timedelta(days=days))
    if len(times) >= settings.max_in_30_days:
        allowed.append(times[-settings.max_in_30_days] + BREAKER)
    latest = max(allowed, default=None)
    if latest is None or latest <= datetime.fromisoformat(now):
        return None
    return latest.isoformat().replace("+00:00", "Z")


def _standing(
    evidence: Evidence, series: Sequence[Decision], monitor: MonitorSettings
) -> _Standing:
    """Apply hysteresis: enter when a primary fires, leave below ``leave_auc``."""
    areas = [kind.two_sample.auc for kind in evidence.kinds if kind.two_sample]
    auc = max(areas, default=None)
    before: State = series[-1].state if series else "ok"
    still = before != "ok" and auc is not None and auc >= monitor.leave_auc
    drifted = primary_fired(evidence) or still
    past = series[-(monitor.windows - 1) :] if monitor.windows > 1 else []
    count = sum(row.drifted for row in past) + drifted
    if drifted:
        worse = any_worse(evidence.signals, "performance")
        known = before in ("confirmed", "cooldown")
        state: State = "confirmed" if worse or known or count >= monitor.confirm else "suspect"
    elif auc is None:
        state = before  # nothing was tested: no ground to leave
    else:
        state = "ok"
    return _Standing("confirmed" if state == "cooldown" else state, drifted, auc, count)


def primary_fired(evidence: Evidence) -> bool:
    """Whether a primary test fired: words or shape of any kind of text, or performance."""
    tests = [test for kind in evidence.kinds for test in (kind.two_sample, kind.shape)]
    return any(test.drifted for test in tests if test) or any_worse(evidence.signals, "performance")


def _confirmed(
    evidence: Evidence,
    standing: _Standing,
    new_rows: int,
    following: str | None,
    held: Reason | None,
    monitor: MonitorSettings,
    retrain: RetrainSettings,
) -> _Choice:
    moved = reason("confirmed_before")
    if standing.drifted:
        moved = reason("windows", hits=standing.hits, windows=monitor.windows)
    signals = signal_reasons(evidence, "performance", "loss", "warning")
    shown = (*shift_reasons(evidence), moved, *signals)
    rows: dict[str, JsonValue] = {"rows": new_rows, "needed": retrain.min_new_rows}
    state: State = "confirmed" if following is None else "cooldown"
    if held is not None:
        return ("watch", state, (*shown, held))
    if new_rows < retrain.min_new_rows:
        return ("review", state, (*shown, reason("few_rows", **rows)))
    worse = any_worse(evidence.signals, "performance")
    losses = [evidence.signals[name] for name in of_role("loss") if name in evidence.signals]
    measured = any(signal.rows_window for signal in losses)
    if not worse and measured and not any_worse(evidence.signals, "loss"):
        return ("watch", state, (*shown, reason("no_worse")))
    if following is not None:
        days, most = retrain.cooldown_days, retrain.max_in_30_days
        why = reason("cooldown", until=following, days=days, most=most)
        return ("watch", "cooldown", (*shown, reason("rows", **rows), why))
    if not worse and not measured:
        shown += (reason("no_loss"),)
    return ("retrain", "confirmed", (*shown, reason("rows", **rows)))


def _underway(
    evidence: Evidence, decisions: Sequence[Decision], retrains: Sequence[Retrain], now: str
) -> Reason | None:
    """Return the reason that a retrain of this evidence or series was decided, or None."""
    before = {row.id for row in decisions if row.action == "retrain"}
    if evidence.id in before | {row.evidence_id for row in retrains}:
        return reason("decided_before")
    ended = [row for row in retrains if row.outcome != "started"]
    settled = [datetime.fromisoformat(row.at) for row in ended if row.outcome != "failed"]
    for row in decisions:
        if (
            row.action == "retrain"
            and (row.reference, row.model) == (evidence.reference, evidence.model)
            and not any(end.evidence_id == row.id for end in ended)
            and not any(at > datetime.fromisoformat(row.at) for at in settled)
        ):
            return reason("decided", at=row.at)
    over = {(row.run, row.evidence_id) for row in ended}
    for start in retrains:
        recent = datetime.fromisoformat(now) - datetime.fromisoformat(start.at) < RUNNING
        if start.outcome == "started" and recent and (start.run, start.evidence_id) not in over:
            return reason("started", at=start.at, run=start.run)
    return None
