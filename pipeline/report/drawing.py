"""Templates of the page, macros of its charts (charts.html), and scales for their places."""

from collections.abc import Callable
from functools import cache
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.report import drift_words, words

Scale = Callable[[float], float]

PLOT = (11.0, 97.0)
"""Left and right end of curves, percent of the width."""


@cache
def templates() -> Environment:
    """Return the environment of the templates: everything that they are given is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (
        *(words.count, words.decimal, words.duration, words.size, words.plain, words.between),
        *(words.compact, words.moment, words.tick, words.share),
        *(drift_words.feature, drift_words.kind, drift_words.measured, drift_words.next_retrain),
        *(drift_words.sentences, drift_words.span, drift_words.standing),
        *(drift_words.number, drift_words.short, drift_words.visible),
    )
    environment.filters |= {one.__name__: one for one in filters}
    environment.tests["share"] = drift_words.is_share
    environment.globals |= {"LEFT": PLOT[0], "RIGHT": PLOT[1], "VERDICTS": drift_words.VERDICTS}
    return environment


def draw(chart: str, **values: Any) -> Markup:
    """Return a chart as inline SVG."""
    drawn: Markup = getattr(templates().get_template("charts.html").module, chart)(**values)
    return drawn


def scale(low: float, high: float, start: float, end: float) -> Scale:
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
