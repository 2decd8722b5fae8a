"""Charts of a run: what remains after each step, losses, and intervals."""

from collections.abc import Mapping, Sequence
from math import isfinite
from statistics import fmean
from typing import NamedTuple

from markupsafe import Markup

from pipeline.evaluate.results import Evaluation, Interval
from pipeline.report import words
from pipeline.report.contents import Count, Curve
from pipeline.report.drawing import PLOT, draw, scale, ticks

DOTS = (30.0, 97.0)
"""Left and right end of the intervals, percent of the width; the names stand to the left."""
CURVES_HEIGHT = 230


class Line(NamedTuple):
    """One interval of a plot; tone is a CSS class."""

    label: str
    interval: Interval
    tone: str


def funnel(steps: Sequence[Count], splits: Mapping[str, int] | None) -> Markup:
    """Draw a bar for each step on one common scale, and the splits as one divided bar."""
    parts = splits or {}
    largest = max(1, sum(parts.values()), *(step.count for step in steps))
    return draw("funnel", steps=steps, splits=parts, largest=largest)


def curves(train: Curve, validation: Curve) -> Markup:
    """Draw the loss of each step, its moving average, and the validation points."""
    points = [*train, *validation]
    if not points:
        return Markup("")
    steps, losses = zip(*points, strict=True)
    low, high = _bounds(losses, 0.5)
    first, last = min(steps), max(max(steps), min(steps) + 1)
    bottom = CURVES_HEIGHT - 40.0
    window = len(train) // 12
    lines = {"curve train": train, "curve validation": validation}
    if window > 1:
        lines = {"curve faint": train} | lines | {"curve train": _moving_average(train, window)}
    return draw(
        "curves",
        height=CURVES_HEIGHT,
        bottom=bottom,
        x=scale(first, last, *PLOT),
        along=scale(first, last, 0, 1000),
        y=scale(low, high, bottom, 8.0),
        losses=ticks(low, high, 5),
        steps=[tick for tick in ticks(first, last, 6) if tick == int(tick)],
        lines={tone: line for tone, line in lines.items() if line},
        validation=validation,
    )


def arms(evaluation: Evaluation, metric: str) -> Markup:
    """Draw a metric of each arm."""
    lines = [
        Line(words.arm(arm), scores[metric], "challenger" if arm == evaluation.served else "arm")
        for arm, scores in evaluation.arms.items()
        if metric in scores
    ]
    return intervals(lines, f"{words.metric(metric).title} of each arm with its interval")


def differences(evaluation: Evaluation, metric: str) -> Markup:
    """Draw a metric of the challenger as served against that of each other arm."""
    lines = [
        Line(f"minus {words.arm(arm)}", found[metric], _tone(metric, found[metric]))
        for arm, found in evaluation.challenger_minus.items()
        if metric in found
    ]
    title = f"{words.metric(metric).title}: {words.arm(evaluation.served)} minus each arm"
    return intervals(lines, title, zero=True)


def _tone(metric: str, difference: Interval) -> str:
    """Return the CSS class of a difference: better, worse, or unclear when it spans zero."""
    if not difference.bounded or difference.low <= 0 <= difference.high:
        return "unclear"
    return "better" if (difference.low > 0) == words.metric(metric).higher_is_better else "worse"


def intervals(lines: Sequence[Line], title: str, zero: bool = False) -> Markup:
    """Draw each line's point and interval, open ends to the edge; ``zero``: no difference."""
    numbers = [0.0] if zero else []
    for _, one, _ in lines:
        numbers += filter(isfinite, (one.value, one.low, one.high))
    if not numbers:
        return Markup("")
    low, high = _bounds(numbers, 0.05)
    x, marks = scale(low, high, *DOTS), ticks(low, high, 4)
    return draw("intervals", title=title, lines=lines, x=x, marks=marks, zero=zero)


def _bounds(numbers: Sequence[float], alone: float) -> tuple[float, float]:
    """Return the ends of an axis, a little beyond the numbers; ``alone`` beyond equal ones."""
    pad = 0.06 * (max(numbers) - min(numbers)) or alone
    return min(numbers) - pad, max(numbers) + pad


def _moving_average(points: Curve, window: int) -> Curve:
    """Average each loss with its neighbours, as many on either side as there are on both."""
    smooth = []
    for place, (step, _) in enumerate(points):
        reach = min(window // 2 + 1, place, len(points) - 1 - place)
        smooth.append((step, fmean(loss for _, loss in points[place - reach : place + reach + 1])))
    return tuple(smooth)
