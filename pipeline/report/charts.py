"""Charts of a run: what remains after each step, losses, and intervals."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import NamedTuple

from markupsafe import Markup

from pipeline.evaluate.results import Evaluation, Interval
from pipeline.report import words
from pipeline.report.contents import Count
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
    largest = max([step.count for step in steps] + [sum(parts.values()), 1])
    return draw("funnel", steps=steps, splits=parts, largest=largest)


def curves(train: Sequence[tuple[int, float]], validation: Sequence[tuple[int, float]]) -> Markup:
    """Draw the loss of each step, its moving average, and the validation points."""
    points = [*train, *validation]
    if not points:
        return Markup("")
    steps, losses = zip(*points, strict=True)
    pad = 0.06 * (max(losses) - min(losses)) or 0.5
    low, high = min(losses) - pad, max(losses) + pad
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
    """Draw a point with its interval for each line; ``zero`` adds the line of no difference.

    An open end goes to the edge.
    """
    found = [line.interval for line in lines]
    ends = [end for one in found for end in (one.value, one.low, one.high) if isfinite(end)]
    numbers = [0.0, *ends] if zero else ends
    if not numbers:
        return Markup("")
    pad = 0.06 * (max(numbers) - min(numbers)) or 0.05
    low, high = min(numbers) - pad, max(numbers) + pad
    return draw(
        "intervals",
        title=title,
        lines=lines,
        x=scale(low, high, *DOTS),
        marks=ticks(low, high, 4),
        zero=zero,
    )


def _moving_average(
    points: Sequence[tuple[int, float]], window: int
) -> Sequence[tuple[int, float]]:
    """Average each loss with its neighbours, as many on either side as there are on both."""
    smooth = []
    for place, (step, _) in enumerate(points):
        reach = min(window // 2 + 1, place, len(points) - 1 - place)
        near = [loss for _, loss in points[place - reach : place + reach + 1]]
        smooth.append((step, sum(near) / len(near)))
    return smooth
