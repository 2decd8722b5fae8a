"""Lines of a PDF page in reading order, its tables as Markdown, its raised letters told."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from math import sin
from statistics import median_low
from typing import Any, NamedTuple

from pipeline.documents.readers import pdf_direction, pdf_tables
from pipeline.documents.readers.pdf_columns import (
    Line,
    Style,
    as_code,
    by_column,
    whole_rows,
    with_tables,
)
from pipeline.documents.readers.pdf_tables import BROKEN
from pipeline.documents.readers.pdf_type import Box, Letters
from pipeline.text.exponents import lowered, raised, settled

GUTTER = 1.8
"""Heights of a capital letter (0.7 of the type size) that a gap between two columns has at least:
1.3 type sizes. Papers have 1.7 to 2.4; a word space of justified text stays below 1."""
SMALLER = 0.85  # of the type size beside it, at most; superscripts usually have 0.6 to 0.75
SHIFTED = (0.05, 0.7)  # type sizes from its baseline to that of the line; the next line is one away
WORD_SPACE = 0.2  # heights of a capital letter that a gap between two words has at least
TURNED = 0.1  # sine of the angle of turned text: a stamp in the margin, the label of an axis
_FILLER = "\1"  # in place of the line ends that pdfium sees around a superscript


class _Letter(NamedTuple):
    """A letter of a line, inside one cell or outside all."""

    text: str
    number: int  # on the page
    left: float
    right: float
    cell: tuple[int, int, int] | None  # table, row and column
    spaces: int  # spaces before it; more than one in monospaced type only
    height: str  # ``+`` of a superscript, ``-`` of a subscript, else empty
    pitch: float  # points from letter to letter of a monospaced line, else 0
    code: bool  # monospaced, in a line of other type


def lines(page: Any) -> list[Line]:
    """Return the lines of a page; one that ends in a broken word ends in a hyphen."""
    textpage = page.get_textpage()
    letters = Letters(textpage)
    tables = pdf_tables.grids(page)
    found: list[Line] = []
    cells: dict[int, dict[tuple[int, int], list[str]]] = defaultdict(lambda: defaultdict(list))
    places: dict[int, int] = {}  # of a table among the lines
    start = 0
    # Characters of the text and of the page count alike: pdfium numbers UTF-16 units, and
    # text outside the first plane shifts what follows by one, which only blurs sizes.
    text = _unbroken(letters, textpage.get_text_range()).replace(BROKEN, f"{BROKEN}\n")
    for row, line in enumerate(text.split("\n")):
        for part in _parts(letters, line, start, tables):
            if part[0].cell is None:
                found.append(_line(letters, part, row))
                continue
            table, at_row, at_column = part[0].cell
            if table not in places:
                places[table] = len(found)
                top = tables[table].rows[0]
                found.append(Line("", top, Style(0, False), 0, 0, row))
            cells[table][at_row, at_column].append(_text(part))
        start += len(line) + (0 if line.endswith(BROKEN) else 1)
    for table, place in places.items():
        found[place] = found[place]._replace(text=pdf_tables.markdown(tables[table], cells[table]))
    marks = pdf_tables.bullets(page)
    textpage.close()
    page.close()
    return pdf_tables.with_bullets(whole_rows(with_tables(by_column(found))), marks)


def _unbroken(page: Letters, text: str) -> str:
    """Take out the line ends on either side of a superscript or subscript."""

    def join(found: re.Match[str]) -> str:
        before, after = found.start(1) - 1, found.end(1)
        gap = page.box(after).left - page.box(before).right
        smaller, larger = sorted((page.size(before), page.size(after)))
        shift = abs(page.baseline(before) - page.baseline(after))
        near = SHIFTED[0] * larger < shift < SHIFTED[1] * larger and smaller <= SMALLER * larger
        beside = -larger / 4 < gap < larger
        return found[0].translate({10: _FILLER, 13: _FILLER}) if near and beside else found[0]

    return re.sub(r"(?<=\S)([ ]*\r\n[ ]*)(?=\S)", join, text)


def _parts(
    page: Letters, line: str, start: int, tables: Sequence[pdf_tables.Grid]
) -> Iterator[list[_Letter]]:
    """Yield the runs of letters of a line without a wide gap, inside one cell or outside all."""
    boxes = [page.box(start + place) for place in range(len(line))]
    tallest = max((top - bottom for _, bottom, _, top in boxes), default=0)
    heights = _heights(page, line, start, boxes)
    step = page.pitch(line, start)
    order: Sequence[int] = range(len(line))
    backwards = pdf_direction.is_right_to_left(line)
    code = set() if step or backwards else page.code(line, start)
    if step or backwards:
        sides = (page.place(start + place) for place in range(len(line)))
        boxes = [
            Box(left, box.bottom, right, box.top)
            for box, (left, right) in zip(boxes, sides, strict=True)
        ]
    if backwards:
        order = pdf_direction.reading_order(line, boxes)
    letters: list[_Letter] = []
    spaced = joins = False
    for place in order:
        letter = " " if place == pdf_direction.SPACE else line[place]
        if letter == _FILLER:
            joins = True
            continue
        if letter.isspace() or letter == "\0":
            spaced = True
            continue
        left, bottom, right, top = boxes[place]
        middle = ((left + right) / 2, (bottom + top) / 2)
        cell = next(((n, *at) for n, grid in enumerate(tables) if (at := grid.cell(*middle))), None)
        if letter == BROKEN and letters:  # made up, it has no place of its own
            left, right, cell = letters[-1].right, letters[-1].right, letters[-1].cell
        before = letters[-1] if letters else None
        # Numbers in right-to-left text jump back and forth: no gap is told there.
        gap = left - before.right if before and not backwards else 0.0
        spaces = max(int(spaced), round(gap / step)) if step else int(spaced)
        if before and (cell != before.cell or gap > GUTTER * tallest > 0):
            yield letters
            letters = []
        shown = "-" if letter == BROKEN and cell is None else letter
        height = heights.get(place, "")
        if before and height and gap < tallest:
            spaces = 0  # pdfium takes the gap for a space
        elif before and joins and letter.isalnum() and gap > WORD_SPACE * tallest:
            spaces = max(spaces, 1)
        is_code = place in code
        letters.append(
            _Letter(shown, start + place, left, right, cell, spaces, height, step, is_code)
        )
        spaced = joins = False
    if letters:
        yield letters


def _heights(page: Letters, line: str, start: int, boxes: Sequence[Box]) -> dict[int, str]:
    """Return the places in a line of what is raised (``+``) or lowered (``-``)."""
    places = [place for place, letter in enumerate(line) if letter.isalnum()]
    if len(places) < 2:
        return {}
    feet = [boxes[place][1] for place in places]
    foot = median_low(feet)
    usual = start + places[feet.index(foot)]
    size, baseline = page.size(usual), page.baseline(usual)
    found = {}
    least = SHIFTED[0] * size
    for place, (_, bottom, _, _) in enumerate(boxes):
        # Most stand on the baseline, and pdfium need not be asked how they are set.
        if abs(bottom - foot) < least or line[place].isspace():
            continue
        if line[place] != _FILLER and 0 < page.size(start + place) <= SMALLER * size:
            shift = (page.baseline(start + place) - baseline) / size
            if SHIFTED[0] < abs(shift) < SHIFTED[1]:
                found[place] = "+" if shift > 0 else "-"
    return found


def _text(letters: Sequence[_Letter]) -> str:
    text = ""
    for (height, code), same in groupby(letters, lambda letter: (letter.height, letter.code)):
        run = "".join(" " * each.spaces * (each is not letters[0]) + each.text for each in same)
        if code and not height and (text or len(run) > 1):  # one letter is Word's bullet
            run = f"{' ' * run.startswith(' ')}{as_code(run.strip())}"
        text += {"+": raised, "-": lowered}[height](text, run.strip()) if height else run
    text = settled(text)
    return pdf_direction.mirrored(text) if pdf_direction.is_right_to_left(text) else text


def _line(page: Letters, letters: Sequence[_Letter], row: int) -> Line:
    head, first, text = letters[0], letters[0].number, _text(letters)
    # The last character may be a hyphen that pdfium made up, without a font.
    last = first + max(0, len(text) - 2)
    bold = page.font(first).bold and page.font(last).bold
    turned = abs(sin(page.angle(first))) > TURNED
    style = Style(round(page.size(first), 1), bold, head.pitch > 0, turned)
    left, right = min(each.left for each in letters), max(each.right for each in letters)
    return Line(text, page.baseline(first), style, left, right, row, head.spaces, head.pitch)
