"""Elements that are put together when they end: the page, lists, items, quotes, cells, tables."""

import re
from dataclasses import dataclass, field
from typing import Any

from pipeline.documents.clean.web.names import HEADINGS

LONG_TERMS = 80
"""Characters from which the terms of one definition stand on a line each."""
_LINE_START = re.compile(r"\n(?=[^\n])")
_BLOCK = re.compile(r"`{3}|\|")
MOST_COLUMNS = 20
"""Columns that spans may fill; more are a mistake or an attack."""
REPEATED = 10_000
"""Characters of cells over several rows that are repeated: no small page becomes a large text."""
_BOLD = re.compile(r"\*\*([^*]*)\*\*")
_NO_CELLS = frozenset((*HEADINGS, "table", "dl", "blockquote"))
_ENTRIES_FROM = 3
"""Rows of one column from which they are entries, such as a header and two functions."""


@dataclass(slots=True)
class Part:
    """Blocks in the making."""

    items: bool = False
    """Whether its blocks are the items of a list."""
    number: int | None = None
    """Of the next item of an ordered list; None for other parts."""
    tight: bool = False
    """Whether a list follows the text before it without a blank line, as in an item."""
    blocks: list[str] = field(default_factory=list)
    _terms: list[str] = field(default_factory=list)
    """Terms that wait for their definition."""
    _lists: set[int] = field(default_factory=set)
    """Places of the lists among the blocks."""

    def add(self, block: str, is_list: bool = False) -> None:
        """Add a block."""
        if is_list and self.items and self.blocks:
            block = f"  {indented(block, 2)}"  # outside the items of the list that it is in
        elif is_list and self.tight:
            self._lists.add(len(self.blocks))
        self.blocks.append(block)

    def term(self, text: str) -> None:
        """Add a term that a definition will follow."""
        if self.items and "\n" not in text:
            self._terms.append(text)
        else:
            self.add(text)

    def define(self, text: str, width: int) -> None:
        """Add a definition of the terms before it, as an item indented by a width."""
        if not self._terms:
            self.add(f"{' ' * width}{indented(text, width)}" if self.items else text)
            return
        gap = "\n\n" if _BLOCK.match(text) else "\n"
        self.blocks.append(f"- {indented(self._head() + gap + text, width)}")

    def close_terms(self) -> None:
        """Add the terms that no definition followed."""
        if self._terms:
            self.blocks.append(f"- {self._head()}")

    def _head(self) -> str:
        terms, self._terms = self._terms, []
        return ("\n" if sum(map(len, terms)) > LONG_TERMS else ", ").join(terms)

    def in_a_line(self) -> str:
        """Return the blocks as the one line that a cell of a table has."""
        lines = (line for block in self.blocks for line in block.split("\n"))
        return "<br>".join(filter(None, (" ".join(line.split()) for line in lines)))

    def joined(self) -> str:
        """Return the blocks as one text."""
        if len(self.blocks) == 1:
            return self.blocks[0]
        if self.items:
            loose = any("\n\n" in block for block in self.blocks)
            return ("\n\n" if loose else "\n").join(self.blocks)
        pieces: list[str] = []
        for place, block in enumerate(self.blocks):
            tight = place in self._lists and place - 1 not in self._lists
            pieces += ["\n" if tight else "\n\n", block]
        return "".join(pieces[1:])


def indented(text: str, width: int) -> str:
    """Return a text with all lines but the first and the empty ones indented."""
    return _LINE_START.sub("\n" + " " * width, text) if width and "\n" in text else text


def is_data(table: Any) -> bool:
    """Whether a table is data; else it lays out the page and is unfolded into its blocks.

    Data has two columns, or one of some entries under a header; it has a header or two rows, and
    holds what fits on a line of Markdown, lists or paragraphs only under a header.
    """
    if table.get("role") in ("presentation", "none"):
        return False
    header = blocks = False
    rows = widest = 0
    for element in table.iterdescendants():
        tag = element.tag
        if tag in _NO_CELLS:
            return False
        if tag == "pre" and "\n" in "".join(element.itertext()).strip():
            return False
        if tag == "tr":
            rows += 1
            widest = max(widest, len(element))
        elif tag in ("th", "thead"):
            header = True
        elif tag in ("ul", "ol") or (tag == "p" and element.getnext() is not None):
            blocks = True
    if widest < 2:
        return header and rows >= _ENTRIES_FROM
    return header or (rows > 1 and not blocks)


@dataclass(slots=True)
class _Row:
    foot: bool
    """Whether it stands at the end, wherever the page has it."""
    heading: bool = True
    cells: list[str] = field(default_factory=list)


class Table:
    """The rows of a table of data."""

    def __init__(self) -> None:
        self._rows: list[_Row] = []
        self._below: dict[int, tuple[int, str]] = {}
        """Column -> rows that its cell still fills, and what stands there."""
        self._repeated = 0

    def row(self, foot: bool = False) -> None:
        """Begin a row, which may belong to the foot of the table."""
        self._fill()
        self._rows.append(_Row(foot))

    def cell(self, text: str, cell: Any) -> None:
        """Add a cell to the row, given its text."""
        if not self._rows:
            self.row()
        self._fill()
        self._rows[-1].heading &= cell.tag == "th"
        row = self._rows[-1].cells
        text = text.replace("\\|", "|").replace("|", "\\|")
        down = _span(cell, "rowspan")
        for number in range(_span(cell, "colspan")):
            shown = "" if number else text
            if number and len(row) >= MOST_COLUMNS:
                break
            if down > 1 and len(row) < MOST_COLUMNS:
                self._below[len(row)] = (down - 1, shown)
            row.append(shown)

    def _fill(self) -> None:
        """Fill the next columns of the row as far as cells of earlier rows reach down to them."""
        while self._rows and (column := len(self._rows[-1].cells)) in self._below:
            rows, text = self._below.pop(column)
            if rows > 1:
                self._below[column] = (rows - 1, text)
            self._repeated += len(text)
            self._rows[-1].cells.append(text if self._repeated <= REPEATED else "")

    def markdown(self) -> str:
        """Return the table; empty when it has no text."""
        # The first row is the header when all its cells are headings or bold; else the header is
        # empty, since Markdown has no table without one.
        self._fill()
        rows = [row for row in self._rows if any(row.cells)]
        rows.sort(key=lambda row: row.foot)
        if not rows:
            return ""
        width, head = max(len(row.cells) for row in rows), list[str]()
        if rows[0].heading or all(_BOLD.fullmatch(cell) for cell in rows[0].cells):
            head = [_BOLD.sub(r"\1", cell) for cell in rows.pop(0).cells]
        head += [""] * (width - len(head))
        lines = [_line(head), "|" + "---|" * width, *(_line(row.cells) for row in rows)]
        return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _span(cell: Any, name: str) -> int:
    value = cell.get(name)
    return max(1, int(value)) if value and re.fullmatch(r"\d{1,5}", value) else 1


def pictured(element: Any) -> str:
    """Return what stands behind the first picture in an element: a sign for yes, or for no."""
    names = (
        child.get("alt") or child.get("title") or child.get("aria-label") or child.findtext("title")
        for child in element.iter("img", "i", "svg", "span")
    )
    return next(filter(None, names), "")
