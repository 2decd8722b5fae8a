"""Charts as inline SVG: horizontal places in percent, so that text keeps its size on any screen.

Colours and fonts come from the style sheet of the page by class.
"""

from collections.abc import Callable, Sequence
from math import ceil, floor, isfinite, log10
from typing import NamedTuple

from markupsafe import Markup, escape

from pipeline.evaluate.results import Interval
from pipeline.report import words
from pipeline.report.contents import Count, Splits

ROW = 44
"""Pixels of a row of the funnel."""
LINE = 24
"""Pixels of a row of an interval plot."""
PLOT = (11.0, 97.0)
"""Left and right end of the curves, percent of the width."""
DOTS = (30.0, 97.0)
"""Left and right end of the intervals; the names stand to the left."""
CURVES_HEIGHT = 230


class Line(NamedTuple):
    """One interval of a plot; tone is a CSS class."""

    label: str
    interval: Interval
    tone: str


def funnel(steps: Sequence[Count], splits: Splits | None) -> Markup:
    """Draw a bar for each step on one common scale, and the splits as one divided bar."""
    largest = max([step.count for step in steps] + ([_total(splits)] if splits else []) + [1])
    parts: list[str] = []
    before: Count | None = None
    for row, step in enumerate(steps):
        part = ""
        if before is not None and 0 < step.count < before.count:
            part = f"{words.share(step.count, before.count)} of {before.name}"
        parts.append(_label(row, step.name, words.count(step.count), part))
        parts.append(_bar(row, 0, step.count / largest, "bar"))
        before = step
    if splits is not None:
        row, left = len(steps), 0.0
        named = splits.model_dump()
        shares = " · ".join(f"{name} {words.count(number)}" for name, number in named.items())
        parts.append(_label(row, "splits", words.count(_total(splits)), shares))
        for name, number in named.items():
            parts.append(_bar(row, left / largest, number / largest, f"bar {name}"))
            left += number
    height = ROW * (len(steps) + (splits is not None))
    return image("funnel", height, "Rows that remain after each step", parts)


def curves(train: Sequence[tuple[int, float]], validation: Sequence[tuple[int, float]]) -> Markup:
    """Draw the loss of each step, its moving average, and the validation points."""
    points = [*train, *validation]
    if not points:
        return Markup("")
    steps = [step for step, _ in points]
    low, high = min(loss for _, loss in points), max(loss for _, loss in points)
    pad = 0.06 * (high - low) or 0.5
    low, high = low - pad, high + pad
    first, last = min(steps), max(max(steps), min(steps) + 1)
    top, bottom = 8.0, CURVES_HEIGHT - 40.0

    def x(step: float) -> float:
        return PLOT[0] + (PLOT[1] - PLOT[0]) * (step - first) / (last - first)

    def y(loss: float) -> float:
        return bottom - (bottom - top) * (loss - low) / (high - low)

    parts = upright_axis(ticks(low, high, 5), y)
    for tick in ticks(first, last, 6):
        if tick == int(tick):
            parts.append(
                f'<text class="tick" x="{x(tick):.2f}%" y="{bottom + 18}" '
                f'text-anchor="middle">{plain_number(tick)}</text>'
            )
    parts.append(
        f'<text class="tick" x="{PLOT[1]}%" y="{bottom + 36}" text-anchor="end">step</text>'
    )

    def polyline(line: Sequence[tuple[int, float]], tone: str) -> str:
        places = " ".join(
            f"{1000 * (step - first) / (last - first):.1f},{y(loss):.1f}" for step, loss in line
        )
        # Stretched to the width of the plot; the stroke keeps its own width.
        return (
            f'<svg x="{PLOT[0]}%" y="0" width="{PLOT[1] - PLOT[0]}%" height="{CURVES_HEIGHT}" '
            f'viewBox="0 0 1000 {CURVES_HEIGHT}" preserveAspectRatio="none">'
            f'<polyline class="{tone}" vector-effect="non-scaling-stroke" points="{places}"/></svg>'
        )

    window = max(1, len(train) // 12)
    if window > 1:
        parts.append(polyline(train, "curve faint"))
        parts.append(polyline(_moving_average(train, window), "curve train"))
    elif train:
        parts.append(polyline(train, "curve train"))
    if validation:
        parts.append(polyline(validation, "curve validation"))
        parts += [
            f'<circle class="validation" cx="{x(step):.2f}%" cy="{y(loss):.1f}" r="4">'
            f"<title>step {step}: {words.decimal(loss)}</title></circle>"
            for step, loss in validation
        ]
    return image("curves", CURVES_HEIGHT, "Training and validation loss by step", parts)


def intervals(lines: Sequence[Line], title: str, zero: bool = False) -> Markup:
    """Draw a point with its interval for each line; ``zero`` adds the line of no difference."""
    numbers = [0.0] if zero else []
    for line in lines:
        ends = (line.interval.value, line.interval.low, line.interval.high)
        numbers += filter(isfinite, ends)
    if not numbers:
        return Markup("")
    pad = 0.06 * (max(numbers) - min(numbers)) or 0.05
    low, high = min(numbers) - pad, max(numbers) + pad
    bottom = LINE * len(lines) + 4

    def x(number: float) -> str:
        share = min(max((number - low) / (high - low), 0.0), 1.0)  # an open end goes to the edge
        return f"{DOTS[0] + (DOTS[1] - DOTS[0]) * share:.2f}%"

    parts = level_axis(ticks(low, high, 4), x, 0, bottom)
    if zero:
        parts.append(f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="0" y2="{bottom}"/>')
    for row, line in enumerate(lines):
        y = LINE * row + 15
        tone, found = escape(line.tone), line.interval
        said = f"{line.label}: {words.decimal(found.value)} ({words.between(found)})"
        parts.append(
            f'<g class="{tone}"><title>{escape(said)}</title>'
            f'<text class="name" x="0" y="{y + 4}">{escape(line.label)}</text>'
            f'<line class="span" x1="{x(found.low)}" x2="{x(found.high)}" y1="{y}" y2="{y}"/>'
            f'<circle cx="{x(found.value)}" cy="{y}" r="4"/></g>'
        )
    return image("intervals", bottom + 22, title, parts)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return round numbers from low to high, at most ``most`` of them, in steps of 1, 2 or 5."""
    raw = (high - low) / most
    power = 10.0 ** floor(log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    numbers = range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)
    return [round(number * step, 10) + 0.0 for number in numbers]


def upright_axis(numbers: Sequence[float], y: Callable[[float], float]) -> list[str]:
    """Draw a line across the plot at each number, which stands to the left."""
    return [
        f'<line class="grid" x1="{PLOT[0]}%" x2="{PLOT[1]}%" y1="{y(number):.1f}" '
        f'y2="{y(number):.1f}"/><text class="tick" x="{PLOT[0] - 1.5}%" '
        f'y="{y(number) + 4:.1f}" text-anchor="end">{plain_number(number)}</text>'
        for number in numbers
    ]


def level_axis(
    numbers: Sequence[float], x: Callable[[float], str], top: float, bottom: float
) -> list[str]:
    """Draw an upright line at each number, which stands below."""
    return [
        f'<line class="grid" x1="{x(number)}" x2="{x(number)}" y1="{top}" y2="{bottom}"/>'
        f'<text class="tick" x="{x(number)}" y="{bottom + 16}" '
        f'text-anchor="middle">{plain_number(number)}</text>'
        for number in numbers
    ]


def plain_number(number: float) -> str:
    """Return the number at a tick."""
    return f"{number:,.6g}".replace("-", words.MINUS)


def image(
    kind: str, height: float, title: str, parts: Sequence[str], description: str = ""
) -> Markup:
    """Wrap parts, which are escaped already, into one image with a spoken title.

    Args:
        kind: CSS class.
        height: pixels.
        title: what a screen reader says first.
        parts: SVG elements.
        description: what the image shows in words, for those who cannot see it; may be empty.
    """
    said = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    return Markup(
        f'<svg class="chart {kind}" width="100%" height="{height:.0f}" role="img" '
        f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">'
        f"{said if description else ''}{''.join(parts)}</svg>"
    )


def _moving_average(points: Sequence[tuple[int, float]], window: int) -> list[tuple[int, float]]:
    """Average each loss with its neighbours, as many on either side as there are on both."""
    smooth = []
    for place, (step, _) in enumerate(points):
        reach = min(window // 2 + 1, place, len(points) - 1 - place)
        near = [loss for _, loss in points[place - reach : place + reach + 1]]
        smooth.append((step, sum(near) / len(near)))
    return smooth


def _label(row: int, name: str, number: str, aside: str) -> str:
    y = ROW * row + 14
    said = f'<tspan class="aside">{escape(aside)}</tspan><tspan dx="10">' if aside else "<tspan>"
    return (
        f'<text class="name" x="0" y="{y}">{escape(name)}</text>'
        f'<text class="figure" x="100%" y="{y}" text-anchor="end">'
        f"{said}{escape(number)}</tspan></text>"
    )


def _bar(row: int, left: float, width: float, tone: str) -> str:
    return (
        f'<rect class="{tone}" x="{100 * left:.2f}%" y="{ROW * row + 22}" '
        f'width="{100 * width:.2f}%" height="9"/>'
    )


def _total(splits: Splits) -> int:
    return splits.train + splits.validation + splits.test
