"""PPTX: a heading a slide, text boxes, tables as Markdown, and the speaker's notes.

Slides are joined by form feeds, as PDF pages are, so that a chunk leads back to its slide.
"""

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from itertools import groupby, zip_longest
from typing import Any

from pipeline.documents.left_out import leave_out, words
from pipeline.documents.readers.office import opened_office
from pipeline.documents.readers.reading import Reading, whole
from pipeline.text.exponents import lowered, raised, settled
from pipeline.text.markdown import OPENS_BLOCK, table

ROW = 300_000  # English metric units (a third of an inch) within which shapes stand in one row
FOOT_FROM = 0.8  # share of the height of a slide below which its foot stands
LONGEST_FOOT = 12  # words of what may be the foot of each slide
FOOTERS = ("DATE", "FOOTER", "HEADER", "SLIDE_NUMBER")
Foot = tuple[int, int, str]  # row, distance from the left, and text
_MARKS = ("buChar", "buAutoNum", "buBlip")


def read(data: bytes) -> Reading:
    """Read a presentation, named by its first slide; raises as :mod:`.office` does."""
    from pptx import Presentation

    with opened_office(data, "pptx"):
        deck = Presentation(io.BytesIO(data))
        shown = list(deck.slides)
        feet = _feet(shown, FOOT_FROM * (deck.slide_height or 0))
        slides = [list(_slide(slide, feet)) for slide in shown]
    # A line break inside a paragraph comes as a vertical tab.
    text = "\f".join(
        "\n\n".join([f"# {title or f'Slide {number}'}", *texts])
        for number, (title, *texts) in enumerate(slides, start=1)
    ).replace("\v", "\n")
    return whole(next((slide[0] for slide in slides if slide[0]), ""), text)


def _slide(slide: Any, feet: Set[Foot]) -> Iterator[str]:
    """Yield the title of a slide, then its texts from the top down."""
    title = slide.shapes.title
    yield " ".join(_text(title.text_frame).split()) if title is not None else ""
    for shape in sorted(slide.shapes, key=_place):
        if (foot := _foot(shape)) and foot in feet:
            leave_out("page_edges", words(foot[-1]))
        elif title is None or shape.shape_id != title.shape_id:
            yield from _texts(shape)
    frame = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    if frame is not None and (notes := _text(frame).strip()):
        yield notes


def _place(shape: Any) -> tuple[int, int]:
    """Return where a shape stands: its row, and how far to the right."""
    return (shape.top or 0) // ROW, shape.left or 0


def _feet(slides: Sequence[Any], top: float) -> Set[Foot]:
    """Return what stands at the foot of most slides, at the same place: date, footer, number."""
    shapes = [shape for slide in slides for shape in slide.shapes]
    seen = Counter(_foot(shape) for shape in shapes if (shape.top or 0) >= top)
    enough = max(2, len(slides) / 2)
    feet = {foot for foot, count in seen.items() if foot and count >= enough}
    return feet | {foot for shape in shapes if _kind(shape) in FOOTERS and (foot := _foot(shape))}


def _foot(shape: Any) -> Foot | None:
    """Return the place and the text of a shape, digits aside; None for one without a short text."""
    text = shape.text_frame.text.strip() if shape.has_text_frame else ""
    if not text or len(text.split()) > LONGEST_FOOT:
        return None
    return *_place(shape), re.sub(r"\d+", "0", text)


def _kind(shape: Any) -> str:
    """Return what a placeholder is for, ``""`` for another shape."""
    return shape.placeholder_format.type.name if shape.is_placeholder else ""


def _texts(shape: Any) -> Iterator[str]:
    if hasattr(shape, "shapes"):
        for part in sorted(shape.shapes, key=_place):
            yield from _texts(part)
    elif getattr(shape, "has_table", False):
        yield table([[_text(cell.text_frame) for cell in row.cells] for row in shape.table.rows])
    elif getattr(shape, "has_chart", False):
        yield from _chart(shape.chart)
    elif shape._element.tag.endswith("}pic"):
        leave_out("pictures", 1)
    elif shape._element.tag.endswith("}graphicFrame"):  # a diagram, a film, an object
        leave_out("embedded", 1)
    elif shape.has_text_frame:
        paragraphs = (_paragraph(paragraph, shape) for paragraph in shape.text_frame.paragraphs)
        if text := "\n".join(line for line in paragraphs if line.strip()):
            yield text


def _chart(chart: Any) -> Iterator[str]:
    if chart.has_title and chart.chart_title.has_text_frame:
        yield _text(chart.chart_title.text_frame)
    for plot in chart.plots:
        series = list(plot.series)
        columns = [list(plot.categories), *(list(each.values) for each in series)]
        rows = [["", *(each.name for each in series)], *zip_longest(*columns, fillvalue="")]
        yield table([["" if cell is None else str(cell) for cell in row] for row in rows])


def _paragraph(paragraph: Any, shape: Any) -> str:
    """Return a paragraph, as an item of a list where the slide shows a mark before it."""
    words = _words(paragraph)
    if words.strip() and (paragraph.level or _has_bullet(paragraph, shape)):
        return f"{'  ' * paragraph.level}- {words}"
    return OPENS_BLOCK.sub(r"\\\g<0>", words)


def _has_bullet(paragraph: Any, shape: Any) -> bool:
    """Whether a paragraph has a mark of its own, or that of the body of a slide with several."""
    set_as = paragraph._p.pPr
    if set_as is not None and set_as.find("{*}buNone") is not None:
        return False
    if set_as is not None and any(set_as.find(f"{{*}}{mark}") is not None for mark in _MARKS):
        return True
    several = sum(bool(each.text.strip()) for each in shape.text_frame.paragraphs) > 1
    return several and _kind(shape) in ("BODY", "OBJECT")


def _text(frame: Any) -> str:
    return "\n".join(map(_words, frame.paragraphs))


def _words(paragraph: Any) -> str:
    """Return the text of a paragraph, its raised and lowered runs told from the others."""
    words = ""
    for height, runs in groupby(paragraph._p.content_children, _height):
        text = "".join(run.text for run in runs)
        if height and text.strip():
            text = (lowered if height == "-" else raised)(words, text.strip())
        words += text
    return settled(words)


def _height(run: Any) -> str:
    """Return ``+`` for a raised run, ``-`` for a lowered one."""
    set_as = run.find("{*}rPr")
    baseline = "" if set_as is None else set_as.get("baseline", "")
    return "" if not baseline.strip("0%") else "-" if baseline[0] == "-" else "+"
