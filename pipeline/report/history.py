"""The chart of drift decisions over time."""

from collections.abc import Sequence
from itertools import groupby
from math import isfinite

from markupsafe import Markup

from pipeline.drift.policy import Decision
from pipeline.report import drift_words
from pipeline.report.drawing import PLOT, draw, scale, ticks

HEIGHT = 240
MANY = 60
"""Decisions above which their marks are drawn smaller."""


def history(decisions: Sequence[Decision], threshold: float | None) -> Markup:
    """Draw the largest area of each check, and as which shape it was decided.

    Returns:
        The chart; empty without decisions. A decision without an area stands below the axis.
    """
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
    counted = {
        verdict.name: sum(one.action == action for one in decisions)
        for action, verdict in drift_words.VERDICTS.items()
    }
    said = ", ".join(f"{name} {number}" for name, number in counted.items() if number)
    return f"{len(decisions)} checks, oldest first: {said}."
