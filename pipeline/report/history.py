"""The chart of drift decisions over time, and the shape of each decision."""

from collections.abc import Callable, Sequence
from math import isfinite

from markupsafe import Markup, escape

from pipeline.drift.policy import Action, Decision
from pipeline.report import drift_words, words
from pipeline.report.charts import PLOT, image, ticks, upright_axis

HEIGHT = 240
MANY = 60
"""Decisions above which their marks are drawn smaller."""

MARKS: dict[Action, str] = {
    "ok": '<circle r="3.4" fill="none" stroke="currentColor" stroke-width="1.6"/>',
    "watch": '<path d="M0-5.4 5.2 4.2H-5.2Z" fill="currentColor"/>',
    "review": '<path d="M-4.4-4.4H4.4V4.4H-4.4Z" fill="currentColor"/>',
    "retrain": '<path d="M0-7 7 0 0 7-7 0Z" fill="currentColor"/>',
    "broken": '<path d="M-4.6-4.6 4.6 4.6M4.6-4.6-4.6 4.6" fill="none" stroke="currentColor" '
    'stroke-width="2.6"/>',
}
"""A shape of its own for each decision, around its middle."""


def mark(action: Action) -> Markup:
    """Return the shape of a decision for a line of text."""
    return Markup(
        f'<svg class="mark {action}" width="14" height="14" viewBox="-7.5 -7.5 15 15" '
        f'aria-hidden="true" xmlns="http://www.w3.org/2000/svg">{MARKS[action]}</svg>'
    )


def place(x: float, y: float, shape: str, size: float = 1.0) -> str:
    """Place a shape at a percent of the width; only a nested image can stand at one."""
    scaled = shape if size == 1 else f'<g transform="scale({size})">{shape}</g>'
    return f'<svg class="at" x="{x:.2f}%" y="{y:.1f}">{scaled}</svg>'


def history(decisions: Sequence[Decision], threshold: float | None) -> Markup:
    """Draw the largest area of each check, and as which shape it was decided.

    Returns:
        The chart; empty without decisions. A decision without an area stands below the axis.
    """
    if not decisions:
        return Markup("")
    areas = [one.auc for one in decisions if one.auc is not None and isfinite(one.auc)]
    numbers = [*areas, 0.5, 0.7] + ([threshold] if threshold is not None else [])
    low, high = max(0.0, min(numbers) - 0.03), min(1.0, max(numbers) + 0.06)
    top, bottom, lane = 10.0, HEIGHT - 58.0, HEIGHT - 42.0
    last = len(decisions) - 1

    def x(at: int) -> float:
        inside = 0.02 + 0.96 * at / last if last else 0.5
        return PLOT[0] + (PLOT[1] - PLOT[0]) * inside

    def y(area: float | None) -> float:
        if area is None or not isfinite(area):
            return lane
        return bottom - (bottom - top) * (area - low) / (high - low)

    parts = []
    if threshold is not None:
        parts.append(
            f'<rect class="calm" x="{PLOT[0]}%" y="{y(threshold):.1f}" '
            f'width="{PLOT[1] - PLOT[0]}%" height="{bottom - y(threshold):.1f}"/>'
            f'<line class="limit" x1="{PLOT[0]}%" x2="{PLOT[1]}%" y1="{y(threshold):.1f}" '
            f'y2="{y(threshold):.1f}"/>'
        )
    parts += upright_axis(ticks(low, high, 5), y)
    if len(areas) < len(decisions):
        parts.append(
            f'<text class="tick" x="{PLOT[0] - 1.5}%" y="{lane + 4:.1f}" '
            'text-anchor="end">none</text>'
        )
    parts += _dates(decisions, x)
    for at, one in enumerate(decisions):
        if one.action == "retrain":
            parts.append(
                f'<line class="retrain" x1="{x(at):.2f}%" x2="{x(at):.2f}%" '
                f'y1="{top}" y2="{bottom}"/>'
            )
    parts += [_polyline([(x(p), y(decisions[p].auc)) for p in run]) for run in _runs(decisions)]
    # Rare marks are drawn last, so that none is hidden by the many that say ok.
    order = sorted(range(len(decisions)), key=lambda at: decisions[at].action != "ok")
    size = 0.6 if len(decisions) > MANY else 1.0
    for at in order:
        one = decisions[at]
        said = (
            f"{words.moment(one.at)}: {drift_words.VERDICTS[one.action].name}, AUC "
            f"{words.decimal(one.auc, 2)}. {drift_words.sentences(one.reasons[:1])}"
        )
        smaller = size if one.action == "ok" else max(size, 0.75)
        shape = place(x(at), y(one.auc), MARKS[one.action], smaller)
        parts.append(f'<g class="mark {one.action}"><title>{escape(said)}</title>{shape}</g>')
    return image("history", HEIGHT, "Drift decisions over time", parts, _counts(decisions))


def _counts(decisions: Sequence[Decision]) -> str:
    counted = {
        verdict.name: sum(one.action == action for one in decisions)
        for action, verdict in drift_words.VERDICTS.items()
    }
    said = ", ".join(f"{name} {number}" for name, number in counted.items() if number)
    return f"{len(decisions)} checks, oldest first: {said}."


def _dates(decisions: Sequence[Decision], x: Callable[[int], float]) -> list[str]:
    last = len(decisions) - 1
    places = {0: "start", last // 2: "middle", last: "end"} if last > 1 else {last: "middle"}
    return [
        f'<text class="tick" x="{x(at):.2f}%" y="{HEIGHT - 16}" '
        f'text-anchor="{anchor}">{escape(words.moment(decisions[at].at)[:10])}</text>'
        for at, anchor in places.items()
    ]


def _runs(decisions: Sequence[Decision]) -> list[list[int]]:
    """Return places of neighbours that were held against the same reference and have an area."""
    runs: list[list[int]] = [[]]
    for at, one in enumerate(decisions):
        if one.auc is None or not isfinite(one.auc):
            continue
        if runs[-1] and decisions[runs[-1][-1]].reference != one.reference:
            runs.append([])
        runs[-1].append(at)
    return [run for run in runs if len(run) > 1]


def _polyline(points: Sequence[tuple[float, float]]) -> str:
    places = " ".join(f"{10 * x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<svg x="0" y="0" width="100%" height="{HEIGHT}" '
        f'viewBox="0 0 1000 {HEIGHT}" preserveAspectRatio="none">'
        f'<polyline class="trace" vector-effect="non-scaling-stroke" points="{places}"/></svg>'
    )
