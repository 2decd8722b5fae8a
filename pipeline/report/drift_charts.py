"""Charts of one drift check: tests, words, features and shares.

Drawn like those of ``charts``. What a colour says is said by a shape or a word as well.
"""

from collections.abc import Callable, Iterable, Sequence
from math import isfinite

from markupsafe import Markup, escape

from pipeline.drift.evidence import FeatureShift, Gram, KindEvidence
from pipeline.report import drift_words, words
from pipeline.report.charts import image, level_axis, ticks
from pipeline.report.history import MARKS, place

ROW = 44
"""Pixels of a row with a line of text and bars below it."""
LINE = 22
"""Pixels of a row of words."""
BARS = (34.0, 76.0)
"""Left and right end of the bars of words, percent of the width."""
TRACK = 66.0
"""Right end of the spans of a feature; its medians stand to the right."""
NAME_COLUMNS = 17
"""Latin letters that fit left of the bars on a narrow screen."""


def tests(kinds: Sequence[KindEvidence]) -> Markup:
    """Draw the area under the curve of each two-sample test against its threshold."""
    found = [(one.kind, one.two_sample) for one in kinds if one.two_sample is not None]
    found = [(kind, test) for kind, test in found if isfinite(test.auc)]
    if not found:
        return Markup("")
    low = min(0.5, *(test.auc for _, test in found)) - 0.02
    bottom = ROW * len(found)

    def x(area: float) -> float:
        return 1 + 97 * (_between(area, low, 1.0) - low) / (1.0 - low)

    parts = level_axis(ticks(low, 1.0, 6), lambda tick: f"{x(tick):.2f}%", 20, bottom)
    said = []
    for row, (kind, test) in enumerate(found):
        top, y = ROW * row, ROW * row + 30
        name = drift_words.kind(kind).capitalize()
        verdict = drift_words.verdict(test)
        numbers = (
            f"AUC {words.decimal(test.auc, 2)} · threshold {words.decimal(test.threshold, 2)}"
            f" · p {drift_words.number(test.p_value)}"
        )
        said.append(f"{name}: {verdict}, {numbers}.")
        shape = place(x(test.auc), y, MARKS["retrain" if test.drifted else "ok"])
        parts.append(
            f'<g class="{"moved" if test.drifted else "still"}">'
            f"<title>{escape(said[-1])}</title>"
            f"{_line(top + 12, f'{name}: {verdict}', numbers)}"
            f'<rect class="calm" x="{x(low):.2f}%" y="{y - 7}" '
            f'width="{x(test.threshold) - x(low):.2f}%" height="14"/>'
            f'<line class="limit" x1="{x(test.threshold):.2f}%" x2="{x(test.threshold):.2f}%" '
            f'y1="{y - 9}" y2="{y + 9}"/>{shape}</g>'
        )
    title = "How well new texts are told from the reference by their words"
    return image("tests", bottom + 22, title, parts, " ".join(said))


def grams(found: Sequence[Gram]) -> Markup:
    """Draw how much more (right) or less (left) frequent each word became."""
    ordered = drift_words.gained(found)
    if not ordered:
        return Markup("")
    largest = max(abs(one.share_window - one.share_reference) for one in ordered) or 1.0
    middle, reach = sum(BARS) / 2, (BARS[1] - BARS[0]) / 2
    bottom = LINE * len(ordered) + 4
    parts = [
        f'<line class="zero" x1="{middle}%" x2="{middle}%" y1="0" y2="{bottom}"/>',
    ]
    said = []
    for row, one in enumerate(ordered):
        y = LINE * row + 16
        change = one.share_window - one.share_reference
        width = reach * abs(change) / largest
        text = drift_words.gram(one)
        numbers = drift_words.change(one.share_reference, one.share_window)
        said.append(f"{text}: {numbers}.")
        pieces = "name letters" if one.level == "character" else "name"
        parts.append(
            f"<g><title>{escape(text)} ({escape(drift_words.visible(one.level))}): "
            f"in {escape(numbers)} of texts</title>"
            f'<text class="{pieces}" x="0" y="{y}" xml:space="preserve">'
            f"{escape(drift_words.short(text, NAME_COLUMNS))}</text>"
            f'<rect class="{"gained" if change >= 0 else "lost"}" '
            f'x="{middle if change >= 0 else middle - width:.2f}%" y="{y - 9}" '
            f'width="{width:.2f}%" height="9"/>'
            f'<text class="aside" x="100%" y="{y}" text-anchor="end">{escape(numbers)}</text></g>'
        )
    return image("grams", bottom, "Words whose share of texts moved", parts, " ".join(said))


def spreads(shifts: Sequence[FeatureShift], kind: str = "") -> Markup:
    """Draw the 5 to 95 % span of each feature, reference above window; moved ones come first."""
    ordered = sorted(shifts, key=lambda shift: (not shift.moved, -drift_words.strength(shift)))

    def medians(shift: FeatureShift) -> str:
        sides = (
            (shift.spread_reference, shift.reference),
            (shift.spread_window, shift.window),
        )
        return " → ".join(
            drift_words.number(spread.median if spread else mean) for spread, mean in sides
        )

    title = "Features of the texts: reference against new"
    return _shifts("spreads", title, ordered, kind, medians, _spans)


def shares(shifts: Iterable[FeatureShift], kind: str = "") -> Markup:
    """Draw each share as two bars on a scale up to 100 %: reference above window."""
    ordered = sorted(shifts, key=lambda shift: (not shift.moved, -shift.effect))

    def percents(shift: FeatureShift) -> str:
        return drift_words.change(shift.reference, shift.window)

    title = "Shares of formats, languages and missing values: reference against new"
    return _shifts("shares", title, ordered, kind, percents, _bars)


def _shifts(
    name: str,
    title: str,
    ordered: Sequence[FeatureShift],
    kind: str,
    numbers: Callable[[FeatureShift], str],
    draw: Callable[[FeatureShift, float], str],
) -> Markup:
    """Draw a row for each shift: its name and effect, both sides, and their numbers."""
    parts, said = [], []
    for row, shift in enumerate(ordered):
        top = ROW * row
        feature, effect = _feature(shift, kind)
        said.append(f"{feature}: {numbers(shift)}, {effect}.")
        parts.append(
            f'<g class="{"moved" if shift.moved else "still"}"><title>{escape(said[-1])} '
            f"p {drift_words.number(shift.p_value)}</title>{_line(top + 12, feature, effect)}"
            f'{draw(shift, top)}<text class="figure" x="100%" y="{top + 30}" '
            f'text-anchor="end">{escape(numbers(shift))}</text></g>'
        )
    return image(name, ROW * len(ordered), title, parts, " ".join(said)) if ordered else Markup("")


def _bars(shift: FeatureShift, top: float) -> str:
    """Draw two shares as bars on a common scale."""
    bars = "".join(
        f'<rect class="{side}" x="0" y="{top + y}" height="6" '
        f'width="{TRACK * _between(share or 0.0, 0.0, 1.0):.2f}%"/>'
        for side, share, y in (("before", shift.reference, 19), ("after", shift.window, 28))
    )
    whole = f'<rect class="whole" x="0" y="{top + 19}" width="{TRACK}%" height="15"/>'
    return whole + bars


def _spans(shift: FeatureShift, top: float) -> str:
    """Draw both spans of one feature on a scale of their own."""
    both = ((shift.spread_reference, "before", 22), (shift.spread_window, "after", 31))
    sides = [(one, side, y) for one, side, y in both if one]
    ends = [end for one, _, _ in sides for end in (one.low, one.high, one.median) if isfinite(end)]
    if not ends:
        return ""
    low, width = min(ends), max(ends) - min(ends)

    def x(number: float) -> float:
        inside = (number - low) / width if width else 0.5
        return 1 + (TRACK - 2) * inside

    return "".join(
        f'<g class="{side}"><line class="span" x1="{x(one.low):.2f}%" x2="{x(one.high):.2f}%" '
        f'y1="{top + y}" y2="{top + y}"/>{place(x(one.median), top + y, _MEDIAN)}</g>'
        for one, side, y in sides
        if all(map(isfinite, (one.low, one.high, one.median)))
    )


_MEDIAN = '<path d="M0-5V5" fill="none" stroke="currentColor" stroke-width="3"/>'


def _feature(shift: FeatureShift, kind: str) -> tuple[str, str]:
    effect = (
        f"effect {drift_words.number(shift.effect)}, "
        f"threshold {drift_words.number(shift.threshold)}"
    )
    name = drift_words.short(drift_words.feature(shift.name, kind), 21)
    return f"◆ {name}" if shift.moved else name, effect


def _line(y: float, name: str, numbers: str) -> str:
    return (
        f'<text class="name" x="0" y="{y}">{escape(name)}</text>'
        f'<text class="aside" x="100%" y="{y}" text-anchor="end">{escape(numbers)}</text>'
    )


def _between(number: float, low: float, high: float) -> float:
    return min(max(number, low), high)
