"""Columns of a PDF page: one is put after the other, unless they are those of a table.

The cells of a table without rules between its columns stand below each other.
"""

import re
from bisect import bisect
from collections.abc import Sequence
from itertools import groupby, pairwise
from statistics import median
from typing import NamedTuple

from pipeline.text import markdown
from pipeline.text.fences import span_of
from pipeline.text.markdown import BULLETS

COLUMN_ROWS = 4  # rows on which both columns have text before they are taken for columns
COLUMN_TEXT = 20  # characters of a usual line in a column; the cells of a table are shorter
LIKE_WIDTH = 0.5  # of the wider column, at least: terms and their definitions are a table
APART = 2.0  # times the usual distance of rows, from which a header or a footer stands apart

LEAST_COLUMNS = 3  # terms and their meanings stand in two columns too, and so does prose
LEAST_ROWS = 3
MOST_ROWS = 80  # a page has fewer; the time grows with their square
FILLED = 0.6  # share of the cells of a table that have text
ROW_GAP = 2.6  # type sizes between the rows of a table at most
ALIGNED = 3.0  # points by which the cells of a column begin, end or have their middle in one line
_MARK = re.compile(r"[^\w\s]|\(?\w{1,3}[.)]")
_PAGE = re.compile(r"\d{1,4}|[ivxlc]{1,7}")
_NUMBER = re.compile(r"(?:[A-Z]|\d{1,2})(?:\.\d{1,3}){0,5}\.?")


class Style(NamedTuple):
    """How a line is set."""

    size: float  # points; 0 for a table
    bold: bool
    monospaced: bool = False
    turned: bool = False  # it runs up or down the page


class Line(NamedTuple):
    """A line, a part of one beside a gap, or a whole table as Markdown."""

    text: str
    baseline: float  # points from the foot of the page
    style: Style  # bold only when it begins and ends so: a paragraph may begin with a bold word
    left: float
    right: float
    row: int  # parts of one line of the page have the same
    spaces: int = 0  # spaces before it in its row
    pitch: float = 0.0  # points from letter to letter of monospaced type


_BEGIN, _END = "\x0e", "\x0f"  # shift out, shift in: no text has them
_BULLET = re.compile(rf"[{BULLETS}]\s+")
_SPAN = re.compile(f"{_BEGIN}([^{_BEGIN}{_END}]*){_END}")


def as_code(text: str) -> str:
    """Return words of a line, but a bullet before them, marked for :func:`with_spans` as code."""
    bullet = _BULLET.match(text)
    begin = bullet.end() if bullet else 0
    code = text[begin:]
    return f"{text[:begin]}{_BEGIN}{code}{_END}" if any(map(str.isalnum, code)) else text


def with_spans(text: str, typewritten: bool) -> str:
    """Return a text with code spans of Markdown; of what is all typewritten, with none."""
    return _SPAN.sub(lambda span: span[1] if typewritten else span_of(span[1]), text)


def by_column(parts: list[Line]) -> list[Line]:
    """Put the columns of a page one after the other where its rows run across them."""
    gutter = _gutter(parts)
    if gutter is None:  # it is written column by column, too
        return parts
    ordered: list[Line] = []
    for crosses, group in groupby(parts, lambda part: _side(part, gutter) == 0):
        band = list(group)
        sides = [_side(part, gutter) for part in band]
        # Once from the left column to the right one is how it should be, and a row or two beside
        # each other are none.
        changes = sum(one != other for one, other in pairwise(sides))
        if crosses or changes < 2 * COLUMN_ROWS - 1:
            ordered += band
            continue
        above, columns, below = _body(band)
        left = [part for part in columns if _side(part, gutter) < 0]
        right = [part for part in columns if _side(part, gutter) > 0]
        ordered += [*above, *by_column(left), *by_column(right), *below]
    return ordered


def _side(part: Line, gutter: float) -> int:
    """Return -1 on the left of the gutter, 1 on the right, 0 when it is crossed (or a table)."""
    if not part.style.size:
        return 0
    return -1 if part.right < gutter else 1 if part.left > gutter else 0


def _gutter(parts: Sequence[Line]) -> float | None:
    """Return the middle of the gap that most rows have, when these are rows of columns."""
    tall = sorted((part for part in parts if part.style.size), key=lambda part: -part.baseline)
    near = (
        sorted((part, other), key=lambda part: part.left)
        for number, part in enumerate(tall)
        for other in tall[number + 1 : number + 1 + COLUMN_ROWS]
        if part.baseline - other.baseline < part.style.size / 2
    )
    pairs = [(one, two) for one, two in near if one.right < two.left]
    if len(pairs) < COLUMN_ROWS:
        return None
    begins, ends = sorted(one.right for one, _ in pairs), sorted(two.left for _, two in pairs)
    begin = max(begins, key=lambda at: bisect(begins, at) - bisect(ends, at))
    gutter = (begin + ends[bisect(ends, begin)]) / 2
    rows = [(one, two) for one, two in pairs if one.right < gutter < two.left]
    if len(rows) < COLUMN_ROWS:
        return None
    sides = list(zip(*rows, strict=True))
    widths = [median(part.right - part.left for part in side) for side in sides]
    texts = [median(len(part.text) for part in side) for side in sides]
    prose = min(texts) >= COLUMN_TEXT and min(widths) >= LIKE_WIDTH * max(widths)
    return gutter if prose else None


def _body(band: list[Line]) -> tuple[list[Line], list[Line], list[Line]]:
    """Part a header above columns and a footer below them from the columns."""
    heights = sorted({part.baseline for part in band}, reverse=True)
    gaps = [above - below for above, below in pairwise(heights)]
    usual = APART * median(gaps) if len(gaps) > 2 else 0
    top = heights[0] if usual and gaps[0] > usual else float("inf")
    foot = heights[-1] if usual and gaps[-1] > usual else float("-inf")
    return (
        [part for part in band if part.baseline >= top],
        [part for part in band if foot < part.baseline < top],
        [part for part in band if part.baseline <= foot],
    )


def whole_rows(parts: Sequence[Line]) -> list[Line]:
    """Join the parts of a line that are still neighbours: their gap was none of columns."""
    whole: list[Line] = []
    for part in parts:
        before = whole[-1] if whole else None
        if before and before.row == part.row and before.style.size and part.style.size:
            text = f"{before.text}{' ' * part.spaces}{part.text}"
            bold = before.style.bold and part.style.bold
            monospaced = before.style.monospaced and part.style.monospaced
            style = before.style._replace(bold=bold, monospaced=monospaced)
            whole[-1] = before._replace(text=text, style=style, right=part.right)
        else:
            whole.append(part)
    return whole


def with_tables(parts: Sequence[Line]) -> list[Line]:
    """Return the parts of a page with those of each aligned table as one line of Markdown."""
    rows = [list(group) for _, group in groupby(parts, lambda part: part.row)]
    out: list[Line] = []
    number = 0
    while number < len(rows):
        table: list[list[Line]] = []
        for row in rows[number : number + MOST_ROWS]:
            if not _follows(table, row) or not _bands([*table, row]):
                break
            table.append(row)
        if text := _markdown(table):
            out.append(table[0][0]._replace(text=text, style=Style(0, False)))
            number += len(table)
        else:
            out += rows[number]
            number += 1
    return out


def _follows(table: Sequence[Sequence[Line]], row: Sequence[Line]) -> bool:
    """Return whether a row of parts may be the next one of a table."""
    plain = all(part.style.size and not part.pitch and not part.style.turned for part in row)
    level = max(part.baseline for part in row) - min(part.baseline for part in row)
    size = row[0].style.size
    if len(row) < 2 or not plain or level > size / 2:
        return False
    return not table or 0 < table[-1][0].baseline - row[0].baseline < ROW_GAP * size


def _bands(rows: Sequence[Sequence[Line]]) -> list[tuple[float, float]]:
    """Return from where to where each column runs; none when two cells of a row share one."""
    bands: list[tuple[float, float]] = []
    for part in sorted((part for row in rows for part in row), key=lambda part: part.left):
        if bands and part.left <= bands[-1][1]:
            bands[-1] = (bands[-1][0], max(bands[-1][1], part.right))
        else:
            bands.append((part.left, part.right))
    for row in rows:
        places = [_column(part, bands) for part in row]
        if any(place >= following for place, following in pairwise(places)):
            return []
    return bands


def _column(part: Line, bands: Sequence[tuple[float, float]]) -> int:
    return next(place for place, (left, right) in enumerate(bands) if left <= part.left <= right)


def _markdown(table: Sequence[Sequence[Line]]) -> str:
    """Return rows as Markdown, empty when they are no table."""
    bands = _bands(table)
    numbers = range(len(bands))
    cells = [{_column(part, bands): part for part in row} for row in table]
    columns = [[row[number] for row in cells if number in row] for number in numbers]
    if len(table) < LEAST_ROWS or len(bands) < LEAST_COLUMNS:
        return ""
    filled = sum(map(len, columns)) >= FILLED * len(table) * len(bands)
    if not filled or not all(map(_is_column, columns)):
        return ""
    long = sum(median(len(part.text) for part in column) >= COLUMN_TEXT for column in columns)
    contents = all(_PAGE.fullmatch(part.text) for part in columns[-1]) and all(
        _NUMBER.fullmatch(part.text) for part in columns[0]
    )
    if long > 1 or contents:
        return ""
    return markdown.table([[row[n].text if n in row else "" for n in numbers] for row in cells])


def _is_column(parts: Sequence[Line]) -> bool:
    """Return whether all parts but the head, at most, are aligned, and are no marks of a list."""
    edges = ((part.left, part.right, (part.left + part.right) / 2) for part in parts)
    sides = zip(*edges, strict=True)
    aligned = max(sum(abs(at - median(side)) <= ALIGNED for at in side) for side in sides)
    marks = sum(_MARK.fullmatch(part.text) is not None for part in parts)
    return len(parts) > 1 and aligned >= len(parts) - 1 and 2 * marks <= len(parts)
