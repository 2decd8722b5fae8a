"""What is drawn on a PDF page: tables, told by their rules, and bullets, as browsers print them."""

import ctypes
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

from pypdfium2 import raw

from pipeline.documents.readers.pdf_columns import Line
from pipeline.documents.readers.pdf_type import Box
from pipeline.text.markdown import table

BROKEN = "\ufffe"  # pdfium's character for a hyphen at the end of a line; it joins the two lines
NEAR = 2.0  # points within which two rules meet: they are 0.25 to 1.5 wide, or thin boxes
SHORTEST = 5.0  # points of a rule; ticks of a diagram and strokes of a drawn letter are shorter
TALLEST_ROW = 0.4  # of the height of the page; the frame of a printed web page is taller
MOST_RULES = 400  # of a direction; a page with more is a drawing, and time grows with their product
MOST_DRAWN = 5000  # drawn objects of a page that are looked at
BULLET_SIZE = (1.5, 9.0)  # points of a bullet across; browsers print 3 to 5
SQUARE = 0.25  # share by which its height and width differ at most
BESIDE = 1.5  # type sizes between it and its text at most; browsers leave about a half
MOST_BULLETS = 200  # of a page; more are the points of a diagram
BULLET = "\u2022"


class _Rule(NamedTuple):
    """A horizontal or vertical line."""

    at: float  # its y or x
    start: float
    end: float


_Rules = tuple[list[_Rule], list[_Rule]]


class Grid(NamedTuple):
    """A table of at least two rows and two columns."""

    rows: tuple[float, ...]  # rules from top to bottom, in points from the foot of the page
    columns: tuple[float, ...]  # rules from left to right
    edges: tuple[tuple[float, ...], ...]  # of each row its columns' rules; a merged cell lacks one

    def cell(self, x: float, y: float) -> tuple[int, int] | None:
        """Return row and column of a point, None outside the table."""
        if not (self.columns[0] < x < self.columns[-1] and self.rows[-1] < y < self.rows[0]):
            return None
        row = next(n for n, below in enumerate(self.rows[1:]) if y >= below)
        left = max((edge for edge in self.edges[row] if edge <= x), default=self.columns[0])
        return row, self.columns.index(left)


def markdown(grid: Grid, cells: Mapping[tuple[int, int], Sequence[str]]) -> str:
    """Return a table as Markdown; rows without text are left out."""
    rows = (
        [_text(cells.get((row, column), ())) for column in range(len(grid.columns) - 1)]
        for row in range(len(grid.rows) - 1)
    )
    return table([row for row in rows if any(row)])


def _text(lines: Sequence[str]) -> str:
    return " ".join(lines).replace(f"{BROKEN} ", "").replace(BROKEN, "-")


def pictures(page: Any) -> int:
    """Return the number of pictures of a page."""
    return sum(1 for _ in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=1))


def _paths(page: Any) -> list[Any]:
    """Return what is drawn on a page; too many are told by one more than :data:`MOST_DRAWN`."""
    paths = page.get_objects(filter=[raw.FPDF_PAGEOBJ_PATH], max_depth=1)
    return list(islice(paths, MOST_DRAWN + 1))


def grids(page: Any) -> list[Grid]:
    """Return the tables of a page that have rules between rows and between columns."""
    level: list[_Rule] = []
    upright: list[_Rule] = []
    for (left, bottom), (right, top) in _strokes(page):
        if abs(top - bottom) < NEAR and abs(right - left) >= SHORTEST:
            level.append(_Rule((top + bottom) / 2, *sorted((left, right))))
        elif abs(right - left) < NEAR and abs(top - bottom) >= SHORTEST:
            upright.append(_Rule((left + right) / 2, *sorted((bottom, top))))
    if max(len(level), len(upright)) > MOST_RULES:
        return []
    tables = (_grid(*group) for group in _connected(level, upright))
    highest = TALLEST_ROW * page.get_height()
    return [
        grid
        for grid in tables
        if grid and all(above - below < highest for above, below in pairwise(grid.rows))
    ]


def _strokes(page: Any) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    x, y = ctypes.c_float(), ctypes.c_float()
    for drawn in _paths(page)[:MOST_DRAWN]:
        matrix = drawn.get_matrix()
        begin = here = (0.0, 0.0)
        for place in range(max(0, raw.FPDFPath_CountSegments(drawn))):
            segment = raw.FPDFPath_GetPathSegment(drawn, place)
            if not raw.FPDFPathSegment_GetPoint(segment, x, y):
                continue
            point = matrix.on_point(x.value, y.value)
            kind = raw.FPDFPathSegment_GetType(segment)
            if kind == raw.FPDF_SEGMENT_LINETO:
                yield here, point
            elif kind == raw.FPDF_SEGMENT_MOVETO:
                begin = point
            if raw.FPDFPathSegment_GetClose(segment):
                yield point, begin
            here = point


def _connected(level: Sequence[_Rule], upright: Sequence[_Rule]) -> list[_Rules]:
    """Return the horizontal and vertical rules that touch each other, table by table."""
    if not level or not upright:
        return []
    import numpy as np
    from scipy.sparse.csgraph import connected_components

    rules = [*level, *upright]
    graph = np.zeros((len(rules), len(rules)))
    graph[: len(level), len(level) :] = [[_touch(row, each) for each in upright] for row in level]
    groups: dict[int, _Rules] = defaultdict(lambda: ([], []))
    for number, label in enumerate(connected_components(graph, directed=False)[1]):
        groups[label][number >= len(level)].append(rules[number])
    return list(groups.values())


def _touch(row: _Rule, column: _Rule) -> bool:
    within = row.start - NEAR <= column.at <= row.end + NEAR
    return within and column.start - NEAR <= row.at <= column.end + NEAR


def _grid(level: Sequence[_Rule], upright: Sequence[_Rule]) -> Grid | None:
    # A table may be open at its sides: the ends of its rules are edges too.
    rows = _distinct([*(rule.at for rule in level), *_ends(upright)])[::-1]
    columns = _distinct([*(rule.at for rule in upright), *_ends(level)])
    if len(rows) < 3 or len(columns) < 3 or not level or not upright:
        return None
    edges = []
    for above, below in pairwise(rows):
        middle = (above + below) / 2
        crossed = [columns[0], *(at for at, start, end in upright if start <= middle <= end)]
        edges.append(
            tuple(edge for edge in columns if any(abs(at - edge) <= NEAR for at in crossed))
        )
    return Grid(tuple(rows), tuple(columns), tuple(edges))


def _ends(rules: Sequence[_Rule]) -> list[float]:
    return [min(rule.start for rule in rules), max(rule.end for rule in rules)] if rules else []


def _distinct(values: Sequence[float]) -> list[float]:
    """Return sorted values without those that are near the one before."""
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value - kept[-1] > NEAR:
            kept.append(value)
    return kept


def bullets(page: Any) -> list[Box]:
    """Return the edges of what is drawn as small as a bullet."""
    paths = _paths(page)
    found = []
    for drawn in paths if len(paths) <= MOST_DRAWN else ():
        box = Box(*drawn.get_bounds())
        width, height = box.right - box.left, box.top - box.bottom
        if BULLET_SIZE[0] <= width <= BULLET_SIZE[1] and abs(width - height) <= SQUARE * width:
            found.append(box)
    return found if len(found) <= MOST_BULLETS else []


def with_bullets(lines: Sequence[Line], drawn: Sequence[Box]) -> list[Line]:
    """Return lines with a bullet before those that have one drawn on their left."""
    return [
        line._replace(text=f"{BULLET} {line.text}")
        if line.style.size and any(_marks(box, line) for box in drawn)
        else line
        for line in lines
    ]


def _marks(box: Box, line: Line) -> bool:
    level = line.baseline < (box.bottom + box.top) / 2 < line.baseline + line.style.size
    return level and 0 < line.left - box.right <= BESIDE * line.style.size
