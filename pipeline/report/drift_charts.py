"""Charts of drift; what a colour says is said by a shape or a word as well."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from math import isfinite
from typing import Any

from markupsafe import Markup

from pipeline.drift.evidence import FeatureShift, Gram, KindEvidence
from pipeline.drift.policy import Decision
from pipeline.report import drift_words, words
from pipeline.report.charts import PLOT, draw, scale, ticks

BARS = (34.0, 76.0)  # left and right end of the bars of words, percent of the width
TRACK = 66.0  # right end of the spans of a feature; its medians stand to the right
HEIGHT = 240
MANY = 60  # decisions above which their marks are drawn smaller


def tests(kinds: Sequence[KindEvidence]) -> Markup:
    """Draw the area under the curve of each two-sample test against its threshold."""
    rows = []
    for one in kinds:
        test = one.two_sample
        if test is not None and isfinite(test.auc):
            title = f"{drift_words.kind(one.kind).capitalize()}: {drift_words.verdict(test)}"
            auc, threshold = words.decimal(test.auc, 2), words.decimal(test.threshold, 2)
            p = drift_words.number(test.p_value)
            rows.append((test, title, f"AUC {auc} · threshold {threshold} · p {p}"))
    if not rows:
        return Markup("")
    low = min(0.5, *(test.auc for test, _, _ in rows)) - 0.02
    return draw("tests", rows=rows, x=scale(low, 1.0, 1.0, 98.0), low=low, axis=ticks(low, 1.0, 6))


def grams(found: Sequence[Gram]) -> Markup:
    """Draw how much more (right, first) or less (left, last) frequent each word became."""
    if not found:
        return Markup("")
    rows = [
        (one, drift_words.gram(one), drift_words.change(one.share_reference, one.share_window))
        for one in sorted(found, key=lambda gram: gram.share_reference - gram.share_window)
    ]
    largest = max(abs(one.share_window - one.share_reference) for one in found) or 1.0
    return draw("grams", rows=rows, x=scale(-largest, largest, *BARS))


def spreads(shifts: Sequence[FeatureShift], kind: str = "") -> Markup:
    """Draw the 5 to 95 % span of each feature, reference above window; moved ones come first."""
    rows = []
    for shift in sorted(shifts, key=lambda one: (not one.moved, -drift_words.strength(one))):
        before, after = shift.spread_reference, shift.spread_window
        medians = (
            drift_words.number(spread.median if spread else mean)
            for spread, mean in ((before, shift.reference), (after, shift.window))
        )
        spans = [(side, one) for side, one in (("before", before), ("after", after)) if one]
        ends = [end for _, one in spans for end in (one.low, one.high, one.median)] or [0.0]
        x = scale(min(ends), max(ends), 1.0, TRACK - 1)
        rows.append(_row(shift, kind, " → ".join(medians)) | {"x": x, "spans": spans})
    title = "Features of the texts: reference against new"
    return draw("shifts", kind="spreads", title=title, rows=rows) if rows else Markup("")


def shares(shifts: Sequence[FeatureShift], kind: str = "") -> Markup:
    """Draw each share as two bars on a scale up to 100 %: reference above window."""
    x = scale(0.0, 1.0, 0.0, TRACK)
    rows = [
        _row(shift, kind, drift_words.change(shift.reference, shift.window)) | {"x": x, "spans": []}
        for shift in sorted(shifts, key=lambda one: (not one.moved, -one.effect))
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


def history(decisions: Sequence[Decision], threshold: float | None) -> Markup:
    """Draw the largest area of each check; a decision without one stands below the axis."""
    if not decisions:
        return Markup("")
    last = len(decisions) - 1
    areas = {
        at: one.auc for at, one in enumerate(decisions) if one.auc is not None and isfinite(one.auc)
    }
    numbers = [*areas.values(), 0.5, 0.7] + ([threshold] if threshold is not None else [])
    low, high = max(0.0, min(numbers) - 0.03), min(1.0, max(numbers) + 0.06)
    margin, bottom, lane = 0.02 * (PLOT[1] - PLOT[0]), HEIGHT - 58.0, HEIGHT - 42.0
    x = scale(0, last, PLOT[0] + margin, PLOT[1] - margin)
    y = scale(low, high, bottom, 10.0)
    marks = [
        (one, x(at), y(areas[at]) if at in areas else lane) for at, one in enumerate(decisions)
    ]
    # A line joins neighbours that were held against the same reference.
    traces = [
        [(10 * x(at), y(areas[at])) for at in run]
        for _, run in groupby(areas, lambda at: decisions[at].reference)
    ]
    dates = {0: "start", last // 2: "middle", last: "end"} if last > 1 else {last: "middle"}
    return draw(
        "history",
        # Rare marks are drawn last, so that none is hidden by the many that say ok.
        marks=sorted(marks, key=lambda mark: mark[0].action != "ok"),
        many=len(decisions) > MANY,
        described=_counts(decisions),
        height=HEIGHT,
        bottom=bottom,
        lane=lane if len(areas) < len(decisions) else None,
        y=y,
        threshold=threshold,
        axis=ticks(low, high, 5),
        traces=[trace for trace in traces if len(trace) > 1],
        dates=[(decisions[at].at, x(at), anchor) for at, anchor in dates.items()],
    )


def _counts(decisions: Sequence[Decision]) -> str:
    counted = Counter(one.action for one in decisions)
    verdicts = drift_words.VERDICTS.items()
    said = ", ".join(
        f"{name} {counted[action]}" for action, (name, _) in verdicts if counted[action]
    )
    return f"{len(decisions)} checks, oldest first: {said}."
