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
from pipeline.documents.readers.reading import ReadFailure, Reading, whole
from pipeline.documents.readers.remarks import leave_out_comments
from pipeline.documents.readers.zipped import opened, refuse_entities
from pipeline.text.exponents import lowered, raised, settled

ROW = 300_000
"""English metric units (a third of an inch) within which shapes stand in one row."""

FOOT_FROM = 0.8
"""Share of the height of a slide below which its foot stands."""

LONGEST_FOOT = 12
"""Words of what may be the foot of each slide."""

Foot = tuple[int, int, str]
"""Row, distance from the left, and text."""

_MARKS = ("buChar", "buAutoNum", "buBlip")
OPENS_BLOCK = re.compile(r"#{1,6}(?=\s)|`{3}|~{3}")


def read(data: bytes) -> Reading:
    """Read a presentation; its title is that of the first slide.

    Raises:
        ReadFailure: ``unreadable_pptx``, ``xml_entities``, ``empty_file``, or see
            :func:`pipeline.documents.readers.zipped.opened`.
    """
    from pptx import Presentation

    with opened(data, "unreadable_pptx") as archive:
        refuse_entities(archive)
        leave_out_comments(archive)
    try:
        deck = Presentation(io.BytesIO(data))
        shown = list(deck.slides)
        feet = _feet(shown, FOOT_FROM * (deck.slide_height or 0))
        slides = [list(_slide(slide, feet)) for slide in shown]
    except MemoryError:
        raise
    # KeyError, XMLSyntaxError, PackageNotFoundError, AttributeError: whatever a damaged file does.
    except Exception as error:
        raise ReadFailure("unreadable_pptx", f"{type(error).__name__}: {error}") from error
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
        if (title is None or shape.shape_id != title.shape_id) and _foot(shape) not in feet:
            yield from _texts(shape)
    feet_here = [foot for shape in slide.shapes if (foot := _foot(shape)) and foot in feet]
    leave_out("page_edges", sum(words(text) for *_, text in feet_here))
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = _text(slide.notes_slide.notes_text_frame).strip()
        if notes:
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
    return feet | {foot for shape in shapes if _is_footer(shape) and (foot := _foot(shape))}


def _foot(shape: Any) -> Foot | None:
    """Return the place and the text of a shape, digits aside; None for one without a short text."""
    text = shape.text_frame.text.strip() if shape.has_text_frame else ""
    if not text or len(text.split()) > LONGEST_FOOT:
        return None
    return *_place(shape), re.sub(r"\d+", "0", text)


def _is_footer(shape: Any) -> bool:
    from pptx.enum.shapes import PP_PLACEHOLDER as KIND

    return shape.is_placeholder and shape.placeholder_format.type in (
        KIND.DATE, KIND.FOOTER, KIND.HEADER, KIND.SLIDE_NUMBER,
    )  # fmt: skip


def _texts(shape: Any) -> Iterator[str]:
    """Yield the texts of a shape, those inside a group included."""
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
        text = "\n".join(line for line in paragraphs if line.strip())
        if text:
            yield text


def _chart(chart: Any) -> Iterator[str]:
    """Yield the title of a chart, and its numbers as a table."""
    if chart.has_title and chart.chart_title.has_text_frame:
        yield _text(chart.chart_title.text_frame)
    for plot in chart.plots:
        series = list(plot.series)
        columns = [list(plot.categories), *(list(each.values) for each in series)]
        rows = [["", *(each.name for each in series)], *zip_longest(*columns, fillvalue="")]
        yield table([["" if cell is None else str(cell) for cell in row] for row in rows])


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as a table in Markdown; the first row is its header."""
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join([lines[0], f"|{' --- |' * len(rows[0])}", *lines[1:]])


def _paragraph(paragraph: Any, shape: Any) -> str:
    """Return a paragraph, as an item of a list where the slide shows a mark before it."""
    words = _words(paragraph)
    if words.strip() and (paragraph.level or _has_bullet(paragraph, shape)):
        return f"{'  ' * paragraph.level}- {words}"
    return OPENS_BLOCK.sub(r"\\\g<0>", words)


def _has_bullet(paragraph: Any, shape: Any) -> bool:
    """Whether a paragraph has a mark of its own, or that of the body of a slide with several."""
    from pptx.enum.shapes import PP_PLACEHOLDER as KIND

    set_as = paragraph._p.pPr
    if set_as is not None and set_as.find("{*}buNone") is not None:
        return False
    if set_as is not None and any(set_as.find(f"{{*}}{mark}") is not None for mark in _MARKS):
        return True
    body = shape.is_placeholder and shape.placeholder_format.type in (KIND.BODY, KIND.OBJECT)
    return body and sum(bool(each.text.strip()) for each in shape.text_frame.paragraphs) > 1


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


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
