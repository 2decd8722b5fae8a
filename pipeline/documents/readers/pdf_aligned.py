"""Tables of a PDF page without rules between their columns: cells stand below each other."""

import re
from collections.abc import Sequence
from itertools import groupby, pairwise
from statistics import median

from pipeline.documents.readers.pdf_columns import COLUMN_TEXT, Line, Style
from pipeline.text import markdown

LEAST_COLUMNS = 3  # terms and their meanings stand in two columns too, and so does prose
LEAST_ROWS = 3
MOST_ROWS = 80  # a page has fewer; the time grows with their square
FILLED = 0.6  # share of the cells of a table that have text
ROW_GAP = 2.6  # type sizes between the rows of a table at most
ALIGNED = 3.0  # points by which the cells of a column begin, end or have their middle in one line
_MARK = re.compile(r"[^\w\s]|\(?\w{1,3}[.)]")
_PAGE = re.compile(r"\d{1,4}|[ivxlc]{1,7}")
_NUMBER = re.compile(r"(?:[A-Z]|\d{1,2})(?:\.\d{1,3}){0,5}\.?")


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
