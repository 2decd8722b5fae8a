"""What a drift check leads to: a pure function of evidence, history and the clock it is given."""

from collections.abc import Sequence
from typing import Literal

from pipeline.drift.evidence import Evidence, Part
from pipeline.settings import MonitorSettings, RetrainSettings

POLICY_VERSION = 1
"""Raise it with any change of the rules: the same evidence is then decided on again."""

Action = Literal["ok", "watch", "review", "retrain", "broken"]
State = Literal["ok", "suspect", "confirmed", "cooldown"]


class Decision(Part):
    """A row of the decision ledger, without the evidence file it names."""

    id: str
    """Id of the evidence."""
    at: str
    """UTC, ISO 8601."""
    action: Action
    state: State
    """Where the series stands after this window; the next decision starts from it."""
    drifted: bool
    """Whether a primary test fired in this window (with hysteresis)."""
    auc: float | None
    """Largest two-sample area of the window."""
    reasons: tuple[str, ...]
    """Sentences for a person: what moved, what held a retrain back."""
    new_rows: int
    """Rows to learn from that the champion has not seen."""
    next_retrain_at: str | None
    """UTC; None when a retrain may start now."""
    reference: str
    model: str


class Retrain(Part):
    """A row of the retrain ledger."""

    evidence_id: str
    """Empty for one that was started by hand."""
    at: str
    """UTC when it ended, or started while ``outcome`` is ``started``."""
    reason: str
    outcome: Literal["started", "promoted", "kept", "failed"]
    run: str
    """Name of the run folder."""


def decide(
    evidence: Evidence,
    decisions: Sequence[Decision],
    retrains: Sequence[Retrain],
    new_rows: int,
    now: str,
    monitor: MonitorSettings,
    retrain: RetrainSettings,
) -> Decision:
    """Decide what one drift check leads to."""
    raise NotImplementedError


def next_retrain_at(retrains: Sequence[Retrain], now: str, settings: RetrainSettings) -> str | None:
    """Return when the next retrain may start by itself; None when it may now."""
    raise NotImplementedError
