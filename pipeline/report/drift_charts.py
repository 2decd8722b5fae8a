"""Charts of one drift check: tests, words, features and shares.

What a colour says is said by a shape or a word as well.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from markupsafe import Markup

from pipeline.drift.evidence import FeatureShift, Gram, KindEvidence
from pipeline.report import drift_words, words
from pipeline.report.drawing import draw, scale, ticks

BARS = (34.0, 76.0)
"""Left and right end of the bars of words, percent of the width."""
TRACK = 66.0
"""Right end of the spans of a feature; its medians stand to the right."""


def tests(kinds: Sequence[KindEvidence]) -> Markup:
    """Draw the area under the curve of each two-sample test against its threshold."""
    found = [
        (
            one.two_sample,
            f"{drift_words.kind(one.kind).capitalize()}: {drift_words.verdict(one.two_sample)}",
            f"AUC {words.decimal(one.two_sample.auc, 2)} · threshold "
            f"{words.decimal(one.two_sample.threshold, 2)} · p "
            f"{drift_words.number(one.two_sample.p_value)}",
        )
        for one in kinds
        if one.two_sample is not None and isfinite(one.two_sample.auc)
    ]
    if not found:
        return Markup("")
    low = min(0.5, *(test.auc for test, _, _ in found)) - 0.02
    return draw("tests", rows=found, x=scale(low, 1.0, 1.0, 98.0), low=low, axis=ticks(low, 1.0, 6))


def grams(found: Sequence[Gram]) -> Markup:
    """Draw how much more (right) or less (left) frequent each word became."""
    ordered = drift_words.gained(found)
    if not ordered:
        return Markup("")
    largest = max(abs(one.share_window - one.share_reference) for one in ordered) or 1.0
    rows = [
        (one, drift_words.gram(one), drift_words.change(one.share_reference, one.share_window))
        for one in ordered
    ]
    return draw("grams", rows=rows, x=scale(-largest, largest, *BARS))


def spreads(shifts: Sequence[FeatureShift], kind: str = "") -> Markup:
    """Draw the 5 to 95 % span of each feature, reference above window; moved ones come first."""
    ordered = sorted(shifts, key=lambda shift: (not shift.moved, -drift_words.strength(shift)))
    rows = []
    for shift in ordered:
        sides = (
            ("before", shift.spread_reference, shift.reference),
            ("after", shift.spread_window, shift.window),
        )
        numbers = (
            drift_words.number(spread.median if spread else mean) for _, spread, mean in sides
        )
        spans = [(side, one) for side, one, _ in sides if one]
        ends = [end for _, one in spans for end in (one.low, one.high, one.median)] or [0.0]
        x = scale(min(ends), max(ends), 1.0, TRACK - 1)
        rows.append(_row(shift, kind, " → ".join(numbers)) | {"x": x, "spans": spans})
    title = "Features of the texts: reference against new"
    return draw("shifts", kind="spreads", title=title, rows=rows) if rows else Markup("")


def shares(shifts: Sequence[FeatureShift], kind: str = "") -> Markup:
    """Draw each share as two bars on a scale up to 100 %: reference above window."""
    ordered = sorted(shifts, key=lambda shift: (not shift.moved, -shift.effect))
    x = scale(0.0, 1.0, 0.0, TRACK)
    rows = [
        _row(shift, kind, drift_words.change(shift.reference, shift.window)) | {"x": x, "spans": []}
        for shift in ordered
    ]
    title = "Shares of formats, languages and missing values: reference against new"
    return draw("shifts", kind="shares", title=title, rows=rows) if rows else Markup("")


def _row(shift: FeatureShift, kind: str, numbers: str) -> dict[str, Any]:
    name = drift_words.short(drift_words.feature(shift.name, kind), 21)
    return {
        "shift": shift,
        "feature": f"◆ {name}" if shift.moved else name,
        "effect": f"effect {drift_words.number(shift.effect)}, "
        f"threshold {drift_words.number(shift.threshold)}",
        "numbers": numbers,
    }
