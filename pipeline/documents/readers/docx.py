"""Word and OpenDocument texts: a zip file from a stranger is looked at before pandoc reads it."""

import io
import zipfile
from typing import Any

from pipeline.documents.readers.pandoc import document, markdown
from pipeline.documents.readers.reading import Reading
from pipeline.documents.readers.remarks import leave_out_comments
from pipeline.documents.readers.word_styles import WORD as _WORD
from pipeline.documents.readers.word_styles import tell_styles
from pipeline.documents.readers.zipped import (
    MOST_UNPACKED,
    content,
    opened,
    refuse_entities,
    refuse_password,
)

_TEXT = "word/document.xml"
_STYLES = "word/styles.xml"
_CHOICE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"

_MOST_COLUMNS = 63
"""Of a table in Word."""


def read(data: bytes) -> Reading:
    """Read a Word file; the title is its first heading.

    Raises:
        ReadFailure: ``unreadable_docx``, ``xml_entities``, ``empty_file``, or see
            :func:`pipeline.documents.readers.zipped.opened`.
    """
    with opened(data, "unreadable_docx") as archive:
        refuse_entities(archive)
        leave_out_comments(archive)
        data = _told_to_pandoc(archive) or data
    return document(markdown(data, "docx", "unreadable_docx"))


def read_odt(data: bytes) -> Reading:
    """Read an OpenDocument text, as LibreOffice writes it.

    Raises:
        ReadFailure: As of :func:`read`, and ``encrypted_office``.
    """
    with opened(data, "unreadable_odt") as archive:
        refuse_password(archive)
        refuse_entities(archive)
        leave_out_comments(archive)
    return document(markdown(data, "odt", "unreadable_odt"))


def _told_to_pandoc(archive: zipfile.ZipFile) -> bytes | None:
    """Return a Word file with what pandoc 3.9 would leave out of it in other elements, or None."""
    from lxml import etree

    if _TEXT not in archive.namelist():
        return None
    try:
        root = etree.fromstring(content(archive, archive.getinfo(_TEXT), MOST_UNPACKED))
        styles = (
            etree.fromstring(content(archive, archive.getinfo(_STYLES), MOST_UNPACKED))
            if _STYLES in archive.namelist()
            else etree.Element(f"{_WORD}styles")
        )
    except etree.XMLSyntaxError:
        return None  # pandoc will say what is wrong
    for moved in list(root.iter(f"{_WORD}moveTo")):
        moved.tag = f"{_WORD}ins"
        moved.set(f"{_WORD}author", "")
    for field in list(root.iter(f"{_WORD}fldSimple")):
        if "HYPERLINK" not in field.get(f"{_WORD}instr", ""):
            field.tag = f"{_WORD}smartTag"
    for directed in list(root.iter(f"{_WORD}bdo", f"{_WORD}dir")):
        directed.tag = f"{_WORD}smartTag"
    tell_styles(root, styles)
    for box in list(root.iter(_CHOICE)):
        _behind_its_paragraph(box)
    for table in root.iter(f"{_WORD}tbl"):
        grid = table.find(f"{_WORD}tblGrid")
        if grid is not None:
            widest = max((sum(map(_width, row)) for row in table.iter(f"{_WORD}tr")), default=0)
            for _ in range(min(widest, _MOST_COLUMNS) - len(grid)):
                etree.SubElement(grid, f"{_WORD}gridCol", {f"{_WORD}w": "1000"})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as changed:
        for member in archive.infolist():
            name = member.filename
            if name not in (_TEXT, _STYLES) and name.endswith((".xml", ".rels")):
                changed.writestr(name, content(archive, member, MOST_UNPACKED))
        changed.writestr(_TEXT, etree.tostring(root))
        changed.writestr(_STYLES, etree.tostring(styles))
    return stream.getvalue()


def _behind_its_paragraph(box: Any) -> None:
    """Move the paragraphs of a text box behind the one that it is anchored in."""
    inside = next(box.iter(f"{_WORD}txbxContent"), None)
    paragraph = next(box.iterancestors(f"{_WORD}p"), None)
    if inside is not None and paragraph is not None:
        box.getparent().remove(box)
        for part in reversed(inside):
            paragraph.addnext(part)


def _width(cell: Any) -> int:
    """Return the columns of a cell; 0 for what is none."""
    span = cell.find(f"{_WORD}tcPr/{_WORD}gridSpan")
    value = "" if span is None else span.get(f"{_WORD}val", "")
    return 0 if cell.tag != f"{_WORD}tc" else int(value) if value.isdecimal() else 1
