"""Small real files made in the tests: PDF pages and Word documents, without a library."""

import io
import zipfile
from collections.abc import Sequence
from html import escape
from pathlib import Path

from pipeline.core.cache import Cache
from pipeline.core.outcome import Outcome, table
from pipeline.core.runner import LOCAL, Runner
from pipeline.documents.files.files import scan
from pipeline.documents.files.ingest import ingest
from pipeline.settings import IngestSettings
from schemas.documents import RawDocuments

Line = tuple[str, float, float, str]
"""Text, distance to the line above in points, type size in points, F (regular) or B (bold)."""


def pdf(
    pages: Sequence[Sequence[Line]], *, encrypted: bool = False, drawn: Sequence[bytes] = ()
) -> bytes:
    """Return a PDF file with the lines of each page from the top down.

    What is drawn (operators, a run of them a page) comes after the lines.
    """
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
    ]
    kids = []
    for number, page in enumerate(pages):
        height = 800.0
        drawing = b""
        for text, gap, size, font in page:
            height -= gap
            shown = (
                text.encode("cp1252")
                .replace(b"\\", rb"\\")
                .replace(b"(", rb"\(")
                .replace(b")", rb"\)")
            )
            drawing += f"BT /{font} {size} Tf 50 {height} Td (".encode() + shown + b") Tj ET\n"
        drawing += b"".join(drawn[number : number + 1])
        objects.append(b"<< /Length %d >>\nstream\n" % len(drawing) + drawing + b"endstream")
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources << /Font << /F 3 0 R /B 4 0 R /M 5 0 R >> >> >>" % len(objects)
        )
        kids.append(len(objects))
    objects[1] = (
        b"<< /Type /Pages /Count %d /Kids [" % len(kids)
        + b" ".join(b"%d 0 R" % kid for kid in kids)
        + b"] >>"
    )
    extra = b""
    if encrypted:  # a user password whose check can't succeed
        objects.append(
            b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <"
            + b"41" * 32
            + b"> /U <"
            + b"42" * 32
            + b"> >>"
        )
        extra = b" /Encrypt %d 0 R /ID [<00> <00>]" % len(objects)
    return pdf_of(*objects, trailer=extra)


def pdf_of(*objects: bytes, trailer: bytes = b"", previous: int | None = None) -> bytes:
    """Return a PDF of numbered objects with a true cross-reference table."""
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    loop = b"" if previous is None else b" /Prev %d" % (start if previous < 0 else previous)
    out += b"trailer\n<< /Size %d /Root 1 0 R" % (len(objects) + 1) + loop + trailer
    return bytes(out + b" >>\nstartxref\n%d\n%%%%EOF\n" % start)


def body(*lines: str) -> list[Line]:
    """Return lines of one paragraph in 11 points; a wide gap stands above the first."""
    return [(line, 26 if number == 0 else 14, 11, "F") for number, line in enumerate(lines)]


def docx(blocks: str, styles: str = "") -> bytes:
    """Return a Word file with WordprocessingML blocks as its body, and styles of its own."""
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    package = "http://schemas.openxmlformats.org/package/2006"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    related = f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}'
    word = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    named = "application/vnd.openxmlformats-package.relationships+xml"
    style = '<w:style w:type="paragraph" w:styleId="H{0}"><w:name w:val="heading {0}"/></w:style>'
    headings = style.format(1) + style.format(2)
    types = (
        f'<Default Extension="rels" ContentType="{named}"/>'
        f'<Override PartName="/word/document.xml" ContentType="{word}.document.main+xml"/>'
        f'<Override PartName="/word/styles.xml" ContentType="{word}.styles+xml"/>'
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">{types}</Types>',
        "_rels/.rels": f'{related}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": f'{related}/styles" Target="styles.xml"/></Relationships>',
        "word/styles.xml": f"<w:styles {space}>{headings}{styles}</w:styles>",
        "word/document.xml": f"<w:document {space}><w:body>{blocks}</w:body></w:document>",
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{content}')
    return stream.getvalue()


def paragraph(text: str, style: str = "") -> str:
    """Return a paragraph of a Word file."""
    look = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{look}<w:r><w:t>{escape(text)}</w:t></w:r></w:p>"


def grid(*rows: Sequence[str]) -> str:
    """Return a table of a Word file."""
    cells = ("".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) for row in rows)
    return "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in cells) + "</w:tbl>"


def read(
    root: Path | str,
    home: Path,
    settings: IngestSettings | None = None,
    runner: Runner = LOCAL,
) -> Outcome[RawDocuments]:
    """Scan and ingest a folder."""
    settings = settings or IngestSettings()
    files = scan(root, settings, home / "index.json")
    return ingest(files, settings, Cache(home / "cache"), runner)


def raw(text: str, kind: str = "markdown", title: str = "A title", number: int = 0):
    """Return one row of RawDocuments."""
    return {
        "doc_id": f"{number:016x}",
        "source": f"file-{number}",
        "format": kind,
        "title": title,
        "text": text,
        "span_start": 0,
        "span_end": len(text),
    }


def raws(*rows):
    """Return a table of RawDocuments."""
    return table(RawDocuments, rows)


PROSE = (
    "The controller opens the valve of a bed when its soil is dry, and it closes the valve again "
    "when the set point is reached. A program can wait for the evening, since water that falls "
    "on warm leaves is lost to the air. Each valve has a limit of its own, so that a broken "
    "sensor cannot flood the bed during a weekend without anybody near."
)
"""Four sentences of 61 words that pass every rule."""
