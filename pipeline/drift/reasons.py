"""Reasons of a decision: a code and its numbers. Their words are in the report (drift_words)."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field, JsonValue, model_validator

from pipeline.core.record import Record
from pipeline.drift.evidence import Evidence, FeatureShift
from pipeline.drift.signals import SIGNALS

MOST_WORDS = 6  # named in a reason, of each direction
MOST_FEATURES = 3  # numbers named in a reason, and as many shares


class Reason(Record):
    """One reason of a decision."""

    code: str  # name of a signal, or of a line of the report
    values: dict[str, JsonValue] = Field(default_factory=dict)  # what the line is filled with

    @model_validator(mode="before")
    @classmethod
    def _sentence(cls, value: Any) -> Any:
        """Read a reason of before issue 14: a whole sentence."""
        return {"code": "text", "values": {"text": value}} if isinstance(value, str) else value


def reason(code: str, **values: JsonValue) -> Reason:
    """Make a reason."""
    return Reason(code=code, values=values)


def shift_reasons(evidence: Evidence) -> Iterator[Reason]:
    """Yield what moved, kind by kind: words first, then shapes."""
    for kind in evidence.kinds:
        test = kind.two_sample
        if test and test.drifted:
            measured = {"auc": test.auc, "threshold": test.threshold, "p": test.p_value}
            more: list[JsonValue] = [gram.text for gram in test.grams if gram.weight > 0]
            less: list[JsonValue] = [gram.text for gram in test.grams if gram.weight < 0]
            named = {"more": more[:MOST_WORDS], "less": less[:MOST_WORDS]}
            yield reason("words", kind=kind.kind, **measured, **named)
        if kind.shape and kind.shape.drifted:
            by_name = {feature.name: feature for feature in kind.features}
            strong = [by_name[name] for name in kind.shape.features if name in by_name]
            p = kind.shape.p_value
            yield reason("shape", kind=kind.kind, p=p, features=_features(strong))
        elif moved := [feature for feature in kind.features if feature.moved]:
            yield reason("features", kind=kind.kind, features=_features(moved))


def signal_reasons(evidence: Evidence, *roles: str) -> Iterator[Reason]:
    """Yield how signals of some roles stand; a warning or damage only where it is worse."""
    for name, signal in ((name, evidence.signals.get(name)) for name in SIGNALS):
        if signal is None or not signal.rows_window or SIGNALS[name].role not in roles:
            continue
        if signal.worse or SIGNALS[name].role in ("performance", "loss"):
            shown = signal.model_dump(include={"reference", "window", "low", "high", "worse"})
            yield reason(name, **shown)


def _features(moved: Sequence[FeatureShift]) -> dict[str, JsonValue]:
    """Name the first numbers and the first shares: many of one would hide the other."""
    numbers = [item for item in moved if item.spread_reference is not None]
    shares = [item for item in moved if item.spread_reference is None]
    named = numbers[:MOST_FEATURES] + shares[:MOST_FEATURES]
    return {
        "named": [[item.name, item.reference, item.window] for item in named],
        "rest": len(moved) - len(named),
    }
