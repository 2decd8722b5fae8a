"""Real files in zip: slides, books and workbooks, made here; and what a reader says of a file."""

import io
import zipfile

import pytest

from pipeline.documents.readers.formats import extension, format_of, read
from pipeline.documents.readers.reading import ReadFailure, Reading
from pipeline.settings import IngestSettings

SETTINGS = IngestSettings(text_field="body", max_file_megabytes=2)
PUMP = "The pump starts when the tank is half full, and stops at the upper mark."


def reading(name: str, data: bytes) -> Reading:
    """Read a file by its name."""
    return read(format_of(extension(name), data), data, SETTINGS, name)


def failure(name: str, data: bytes) -> str:
    """Return why a file gives nothing."""
    with pytest.raises(ReadFailure) as error:
        reading(name, data)
    return error.value.failure.reason


def zipped(members: dict[str, bytes | str], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def slides() -> bytes:
    """Return a presentation of two slides, with a note and a table."""
    from pptx import Presentation
    from pptx.util import Inches

    deck = Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text = "Pump care"
    body = first.placeholders[1].text_frame
    body.text = PUMP
    inner = body.add_paragraph()
    inner.text, inner.level = "Check the seal", 1
    first.notes_slide.notes_text_frame.text = "Say that the seal is cheap."
    second = deck.slides.add_slide(deck.slide_layouts[5])
    second.shapes.title.text = "Limits"
    table = second.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    for place, text in enumerate(("Part", "Bar|max", "Valve", "4.2")):
        table.cell(place // 2, place % 2).text = text
    stream = io.BytesIO()
    deck.save(stream)
    return stream.getvalue()


def book(chapter: str = f"<h1>Care</h1><p>{PUMP}</p>") -> bytes:
    """Return a book of two chapters."""
    page = f"<!DOCTYPE html><html><head><title>Care</title></head><body>{chapter}</body></html>"
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:'
            'container"><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
            "OEBPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf" '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>Pumps</dc:title>'
            '</metadata><manifest><item id="b" href="two.xhtml"/><item id="a" '
            'href="one%20page.xhtml"/></manifest><spine><itemref idref="a"/><itemref idref="b"/>'
            "</spine></package>",
            "OEBPS/one page.xhtml": page,
            "OEBPS/two.xhtml": "<html><body><p>Second chapter.</p></body></html>",
        }
    )


OPEN = "urn:oasis:names:tc:opendocument:xmlns:"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DAY, MOMENT, HOUR = range(1, 4)
"""Formats of cells in :func:`workbook`: numbers shown as a date, a date and time, a time."""


def workbook(*sheets: tuple[str, str, str]) -> bytes:
    """Return a workbook of Excel with sheets: name, state, and what is inside, as XML."""
    numbers = range(1, len(sheets) + 1)
    listed = "".join(
        f'<sheet name="{name}" sheetId="{n}" state="{state}" r:id="r{n}"/>'
        for n, (name, state, _) in zip(numbers, sheets, strict=True)
    )
    links = "".join(_link(f"r{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in numbers)
    formats = "".join(f'<xf numFmtId="{number}"/>' for number in (0, 14, 22, 21))
    return zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"/>',
            "_rels/.rels": _links(_link("r1", "officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f'<workbook xmlns="{SHEET}" xmlns:r="{OFFICE}">'
            f"<sheets>{listed}</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": _links(links + _link("r0", "styles", "styles.xml")),
            "xl/styles.xml": f'<styleSheet xmlns="{SHEET}"><cellXfs>{formats}</cellXfs>'
            "</styleSheet>",
            **{
                f"xl/worksheets/sheet{n}.xml": f'<worksheet xmlns="{SHEET}">{inside}</worksheet>'
                for n, (*_, inside) in zip(numbers, sheets, strict=True)
            },
        }
    )


def _link(name: str, kind: str, target: str) -> str:
    return f'<Relationship Id="{name}" Type="{OFFICE}/{kind}" Target="{target}"/>'


def _links(links: str) -> str:
    return f'<Relationships xmlns="{PACKAGE}/relationships">{links}</Relationships>'


def open_workbook(tables: str, manifest: str = "") -> bytes:
    """Return a workbook of OpenDocument, whose first member is its media type, not packed."""
    names = " ".join(f'xmlns:{name}="{OPEN}{name}:1.0"' for name in ("office", "table", "text"))
    names += f' xmlns:style="{OPEN}style:1.0"'
    hidden = (
        '<office:automatic-styles><style:style style:name="hidden" style:family="table">'
        '<style:table-properties table:display="false"/></style:style></office:automatic-styles>'
    )
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "META-INF/manifest.xml": f'<manifest xmlns="{OPEN}manifest:1.0">{manifest}</manifest>',
            "content.xml": f"<office:document-content {names}>{hidden}<office:body>"
            f"<office:spreadsheet>{tables}</office:spreadsheet></office:body>"
            "</office:document-content>",
        },
        zipfile.ZIP_STORED,
    )
