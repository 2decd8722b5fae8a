"""PPTX: a heading a slide, text boxes, tables as Markdown, and the speaker's notes.

Slides are joined by form feeds, as PDF pages are, so that a chunk leads back to its slide.
"""

import io
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from pipeline.documents.readers.reading import ReadFailure, Reading, whole
from pipeline.documents.readers.zipped import opened, refuse_entities
from pipeline.text.exponents import lowered, raised, settled


def read(data: bytes) -> Reading:
    """Read a presentation; its title is that of the first slide.

    Raises:
        ReadFailure: ``unreadable_pptx``, ``xml_entities``, ``empty_file``, or see
            :func:`pipeline.documents.readers.zipped.opened`.
    """
    from pptx import Presentation

    with opened(data, "unreadable_pptx") as archive:
        refuse_entities(archive)
    try:
        slides = [list(_slide(slide)) for slide in Presentation(io.BytesIO(data)).slides]
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


def _slide(slide: Any) -> Iterator[str]:
    """Yield the title of a slide, then its texts."""
    title = slide.shapes.title
    yield " ".join(_text(title.text_frame).split()) if title is not None else ""
    for shape in slide.shapes:
        if title is None or shape.shape_id != title.shape_id:
            yield from _texts(shape)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = _text(slide.notes_slide.notes_text_frame).strip()
        if notes:
            yield notes


def _texts(shape: Any) -> Iterator[str]:
    """Yield the texts of a shape, those inside a group included."""
    if hasattr(shape, "shapes"):
        for part in shape.shapes:
            yield from _texts(part)
    elif getattr(shape, "has_table", False):
        rows = [[_cell(_text(cell.text_frame)) for cell in row.cells] for row in shape.table.rows]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        yield "\n".join([lines[0], f"|{' --- |' * len(rows[0])}", *lines[1:]])
    elif shape.has_text_frame:
        paragraphs = (
            f"{'  ' * paragraph.level}- {_words(paragraph)}"
            if paragraph.level
            else _words(paragraph)
            for paragraph in shape.text_frame.paragraphs
        )
        text = "\n".join(line for line in paragraphs if line.strip())
        if text:
            yield text


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
