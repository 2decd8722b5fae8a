"""Bullets of a PDF page that are drawn, not written, as browsers print them."""

from collections.abc import Sequence
from typing import Any

from pipeline.documents.readers.pdf_columns import Line
from pipeline.documents.readers.pdf_tables import MOST_DRAWN
from pipeline.documents.readers.pdf_type import Box

SIZE = (1.5, 9.0)
"""Points of a bullet across; browsers print 3 to 5."""

SQUARE = 0.25
"""Share by which its height and width differ at most."""

NEAR = 1.5
"""Type sizes between it and its text at most; browsers leave about a half."""

MOST_BULLETS = 200
"""Of a page; more are the points of a diagram."""

BULLET = "\u2022"


def bullets(page: Any) -> list[Box]:
    """Return the edges of what is drawn as small as a bullet."""
    from pypdfium2 import raw

    found = []
    for number, drawn in enumerate(page.get_objects(filter=[raw.FPDF_PAGEOBJ_PATH], max_depth=1)):
        if number >= MOST_DRAWN:
            return []
        box = Box(*drawn.get_bounds())
        width, height = box.right - box.left, box.top - box.bottom
        if SIZE[0] <= width <= SIZE[1] and abs(width - height) <= SQUARE * width:
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
    return level and 0 < line.left - box.right <= NEAR * line.style.size
