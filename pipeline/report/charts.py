"""Templates of the page, and charts of a run by the macros of charts.html: funnel, losses, arms."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from inspect import getmembers, isfunction
from math import ceil, floor, isfinite, log10
from pathlib import Path
from statistics import fmean
from typing import Any

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.core.cache import program_cache
from pipeline.evaluate.results import Evaluation, Interval
from pipeline.report import drift_words, words
from pipeline.report.contents import Count, Curve

PLOT = (11.0, 97.0)  # left and right end of curves, percent of the width
DOTS = (30.0, 97.0)  # ends of the intervals, percent of the width; the names stand to the left
CURVES_HEIGHT = 230


@cache
def templates() -> Environment:
    """Return the environment of the templates: everything that they are given is escaped."""
    compiled = program_cache()  # a third of a second of each run
    with suppress(OSError):
        compiled.mkdir(parents=True, exist_ok=True)
    environment = Environment(
        bytecode_cache=FileSystemBytecodeCache(str(compiled))
        if os.access(compiled, os.W_OK)
        else None,
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for part in (words, drift_words):
        environment.filters |= dict(getmembers(part, isfunction))
    environment.tests["share"] = drift_words.is_share
    environment.globals |= {"LEFT": PLOT[0], "RIGHT": PLOT[1], "VERDICTS": drift_words.VERDICTS}
    environment.globals |= {"words": words, "drift_words": drift_words}
    return environment


def draw(chart: str, **values: Any) -> Markup:
    """Return a chart as inline SVG."""
    return Markup(getattr(templates().get_template("charts.html").module, chart)(**values))


def scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Return where a number stands between two places; one out of bounds stands at the edge."""

    def place(number: float) -> float:
        inside = (number - low) / (high - low) if high > low else 0.5
        return start + (end - start) * min(max(inside, 0.0), 1.0)

    return place


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return round numbers from low to high, at most ``most`` of them, in steps of 1, 2 or 5."""
    raw = (high - low) / most
    power = 10.0 ** floor(log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    numbers = range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)
    return [round(number * step, 10) + 0.0 for number in numbers]


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
        (words.arm(arm), scores[metric], "challenger" if arm == evaluation.served else "arm")
        for arm, scores in evaluation.arms.items()
        if metric in scores
    ]
    return intervals(lines, f"{words.metric(metric).title} of each arm with its interval")


def differences(evaluation: Evaluation, metric: str) -> Markup:
    """Draw a metric of the challenger as served against that of each other arm."""
    lines = [
        (f"minus {words.arm(arm)}", found[metric], _tone(metric, found[metric]))
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


def intervals(lines: Sequence[tuple[str, Interval, str]], title: str, zero: bool = False) -> Markup:
    """Draw the point and interval of each line: its label, the interval, a CSS class.

    Open ends reach the edge; ``zero`` marks no difference.
    """
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
