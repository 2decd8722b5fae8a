"""How drift reads: features, kinds, signals and decisions in plain words."""

import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from rich.cells import cell_len, set_cell_size

from pipeline.drift.evidence import Evidence, FeatureShift, Gram, ShapeTest, Signal, TwoSample
from pipeline.drift.features import FEATURES
from pipeline.drift.policy import Action, Decision
from pipeline.drift.reasons import Reason
from pipeline.drift.signals import SIGNALS, DriftSignal
from pipeline.report import words
from pipeline.report.contents import Drift

CATEGORIES = {"document": "Format", "pair": "Origin", "exchange": "Exchange"}  # by kind of text
_SPACE = re.compile(r"\s")
_STEERS = re.compile(
    "[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""Controls, lone surrogates, and what changes the direction of writing."""
KINDS = {"document": "documents", "pair": "pairs", "exchange": "exchanges"}


class Verdict(NamedTuple):
    """How a decision is called, and what it says in one sentence."""

    name: str
    sentence: str


VERDICTS: dict[Action, Verdict] = {
    "ok": Verdict("OK", "nothing calls for action."),
    "watch": Verdict("Watch", "something moved, and nothing is started yet."),
    "review": Verdict("Review", "the data drifted, and people should look at it first."),
    "retrain": Verdict("Retrain", "the drift is confirmed and there is enough to learn from."),
    "broken": Verdict("Broken", "the new data looks damaged, and nothing is learned from it."),
}

LINES = {  # the line of each reason by its code; the lines of signals are on their shelf
    "words": "the words of {kind} tell new from old: AUC {auc:.2f} (above {threshold:.2f}), "
    "p {p:.3g}{more}{less}",
    "shape": "the shape of {kind} moved, p {p:.3g}: {features}",
    "features": "warning, {kind}: {features}",
    "calm": "no primary test fired",
    "too_few": "too few texts to test, new ones or those that the champion was trained on",
    "window_small": "this window had too few texts to test",
    "hysteresis": "no primary test fired, but the area {auc:.2f} is not yet below {limit:g}",
    "windows": "{hits} of the last {windows} windows drifted",
    "windows_needed": "{hits} of the last {windows} windows drifted, {needed} are asked for",
    "confirmed_before": "drift was confirmed before, and this window had too few texts to test",
    "rows": "{rows} new rows to learn from, {needed} are asked for",
    "few_rows": "only {rows} new rows to learn from, {needed} are asked for: people should review "
    "pairs of the new texts",
    "no_worse": "the champion does no worse on the new texts, so nothing is trained",
    "no_loss": "the champion's loss on the new texts was not measured: drift alone decides",
    "cooldown": "a retrain is due and held back until {until}: {days:g} days of cooldown, longer "
    "after lost challenges, and at most {most} retrains in 30 days",
    "decided_before": "this evidence was decided on before: the same evidence never trains twice",
    "decided": "the retrain decided at {at} has not ended",
    "started": "the retrain started at {at} ({run}) has not ended",
    "damage": "ingest looks broken: nothing is trained until the new files are looked at",
    "text": "{text}",
}


def reason_line(reason: Reason) -> str:
    """Return a reason in words: a line without a full stop, safe for a terminal."""
    values: dict[str, Any] = dict(reason.values)
    if reason.code in SIGNALS:
        return f"{SIGNALS[reason.code].reason}: {_signal_values(values)}"
    of = str(values.get("kind", ""))
    for label in ("more", "less"):
        if label in values:
            names = ", ".join(values[label])
            values[label] = f"; {label}: {names}" if names else ""
    if "features" in values:
        moved = [
            f"{_small(feature(name, of))} {number(before)} → {number(after)}"
            for name, before, after in values["features"]["named"]
        ]
        rest = values["features"]["rest"]
        values["features"] = ", ".join(moved) + (f" and {rest} more" if rest else "")
    line = LINES.get(reason.code, words.plain(reason.code))
    return visible(line.format_map(values | {"kind": kind(of)})).strip()


def reasons_line(reasons: Sequence[Reason]) -> str:
    """Return reasons in one line, a semicolon between."""
    return "; ".join(map(reason_line, reasons))


def _signal_values(values: Mapping[str, Any]) -> str:
    line = f"{number(values['reference'])} → {number(values['window'])}"
    low, high = values["low"], values["high"]
    if low is not None and high is not None:
        ends = (words.decimal(end, 2, signed=True) for end in (low, high))
        line += f" (difference {' to '.join(ends)})"
    return f"{line}, {'worse' if values['worse'] else 'no worse'}"


def feature(name: str, of: str = "") -> str:
    """Return a feature in words: ``language=de`` is ``Language: de``, ``tokens`` is a length.

    A kind before the name is kept: ``pair tokens`` is ``Pairs: length in tokens``. The kind of
    text, ``of``, says what its category is.
    """
    if name == "category" and of in CATEGORIES:
        return CATEGORIES[of]
    column, equals, value = name.partition("=")
    if equals:
        return f"{feature(column, of)}: {visible(value) or '(empty)'}"
    first, _, rest = name.partition(" ")
    if rest and first == "null":
        return f"Missing: {_small(feature(rest, of))}"
    if rest and first in KINDS:
        return f"{_capital(KINDS[first])}: {_small(feature(rest))}"
    return FEATURES.get(name, _capital(words.plain(visible(name))))


def is_share(shift: FeatureShift) -> bool:
    """Whether a shift is of a share (a category, or missing values) and not of a number."""
    return "=" in shift.name or shift.name.startswith("null ")


def kind(name: str) -> str:
    """Return the plural of a kind of text."""
    return KINDS.get(name, words.plain(visible(name)))


def headline(decision: Decision) -> str:
    """Return a decision as one sentence that starts with its name."""
    return ": ".join(VERDICTS[decision.action])


def sentences(reasons: Sequence[Reason | str]) -> str:
    """Return reasons as sentences, each with a capital and a full stop."""
    lines = (reason_line(one) if isinstance(one, Reason) else visible(one) for one in reasons)
    said = (_capital(line.strip()) for line in lines)
    return " ".join(one if one.endswith((".", "!", "?")) else f"{one}." for one in said if one)


def next_retrain(at: str | None) -> str:
    """Return when a retrain may start by itself."""
    return "now" if at is None else f"from {words.moment(at)}"


def number(value: float | None) -> str:
    """Return a number in three digits, a large one as a whole number: ``0.62``, ``12,345``."""
    if value is None or not isfinite(value) or abs(value) < 1000:
        return words.compact(value, 3)
    return f"{value:,.0f}".replace("-", words.MINUS)


def change(before: float | None, after: float | None) -> str:
    """Return two shares as ``2.0 % → 41 %``; an en dash for one that is not known."""

    def percent(share: float | None) -> str:
        return "\N{EN DASH}" if share is None or not isfinite(share) else words.share(share, 1)

    return f"{percent(before)} → {percent(after)}"


def measured(value: float | None, share: bool, signed: bool = False) -> str:
    """Return one number of a signal: nats a token, or a share in percent."""
    if value is None or not isfinite(value):
        return "\N{EN DASH}"
    if share:
        return f"{words.decimal(100 * value, 1, signed)} %"
    return words.decimal(value, 3, signed)


def span(signal: Signal, share: bool) -> str:
    """Return the interval of a signal's change."""
    if signal.low is None and signal.high is None:
        return "no interval"
    return " to ".join(measured(end, share, signed=True) for end in (signal.low, signal.high))


def standing(signal: Signal) -> str:
    """Return whether a signal holds, is worse, or could not be compared."""
    if signal.worse:
        return "worse"
    return "holds" if signal.rows_reference and signal.rows_window else "not compared"


def verdict(test: TwoSample | ShapeTest) -> str:
    """Return what a primary test says of a window."""
    return "drift" if test.drifted else "no drift"


def signals(evidence: Evidence) -> list[tuple[DriftSignal, Signal]]:
    """Return the signals that were measured, in the order of a report."""
    found = evidence.signals
    return [(signal, found[name]) for name, signal in SIGNALS.items() if name in found]


def strength(shift: FeatureShift) -> float:
    """Return how many thresholds a shift is large."""
    found = shift.effect / shift.threshold if shift.threshold else shift.effect
    return found if isfinite(found) else 0.0


def series(drift: Drift) -> tuple[Decision, ...]:
    """Return all decisions, oldest first, the one of this run at the end."""
    decision = drift.decision
    if decision is None or (drift.history and drift.history[-1] == decision):
        return drift.history
    return (*drift.history, decision)


def gram(found: Gram) -> str:
    """Return an n-gram with its spaces made visible where letters count."""
    text = visible(found.text)
    return text.replace(" ", "\N{OPEN BOX}") if found.level == "character" else text


def short(text: str, width: int) -> str:
    """Return a text cut to a width in Latin letters; East Asian letters take two."""
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…"


def visible(text: str) -> str:
    """Return text of a document without what could steer a terminal or turn the line around."""
    return _STEERS.sub("\N{REPLACEMENT CHARACTER}", _SPACE.sub(" ", text))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]
