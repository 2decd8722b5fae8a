"""Comments in Office files are counted, and are no text."""

import io
import zipfile

import pytest
from xlsxwriter import Workbook

from tests.pipeline.documents import making
from tests.pipeline.documents.packing import open_workbook, reading, slides
from tests.pipeline.documents.test_pandoc import odt

SAID = "Check this limit &amp; ask Ms Doe"
NOTE = (
    '<office:annotation xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator>Jo Doe</dc:creator>'
    f"<dc:date>2026-01-01T00:00:00</dc:date><text:p>{SAID}</text:p></office:annotation>"
)
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def with_parts(data: bytes, parts: dict[str, str]) -> bytes:
    """Return an Office file with more parts."""
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return stream.getvalue()


def with_note(data: bytes, before: str) -> bytes:
    """Return an OpenDocument file with a comment before some text of its content."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for member in old.infolist():
            text = old.read(member)
            if member.filename == "content.xml":
                assert text.count(before.encode()) >= 1
                text = text.replace(before.encode(), (NOTE + before).encode(), 1)
            new.writestr(member, text)
    return made.getvalue()


def commented_workbook(threads: bool = False) -> bytes:
    stream = io.BytesIO()
    with Workbook(stream) as book:
        sheet = book.add_worksheet("Limits")
        sheet.write_row(0, 0, ["Part", "Bar"])
        sheet.write_row(1, 0, ["Valve", 5])
        sheet.write_comment("B2", "Check this limit & ask Ms Doe", {"author": "Jo Doe"})
    thread = f'<ThreadedComments><threadedComment ref="B2"><text>{SAID}</text></threadedComment>'
    parts = {"xl/threadedComments/threadedComment1.xml": thread + "</ThreadedComments>"}
    return with_parts(stream.getvalue(), parts if threads else {})


def commented_text() -> bytes:
    said = f'<w:comments xmlns:w="{WORD}"><w:comment w:author="Jo Doe">'
    said += f"<w:p><w:r><w:t>{SAID}</w:t></w:r></w:p></w:comment></w:comments>"
    return with_parts(making.docx(making.paragraph("Valve")), {"word/comments.xml": said})


OPEN_SHEET = (
    '<table:table table:name="Limits"><table:table-row><table:table-cell '
    'office:value-type="string"><text:p>Valve</text:p></table:table-cell></table:table-row>'
    "</table:table>"
)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.xlsx", commented_workbook()),
        ("a.xlsx", commented_workbook(threads=True)),
        ("a.ods", with_note(open_workbook(OPEN_SHEET), "<text:p>Valve")),
        ("a.odt", with_note(odt(), "About")),
        ("a.docx", commented_text()),
        (
            "a.pptx",
            with_parts(
                slides(),
                {"ppt/comments/comment1.xml": f"<p:cmLst><p:text>{SAID}</p:text></p:cmLst>"},
            ),
        ),
    ],
)
def test_the_words_of_comments_are_counted_and_left_out(name, data):
    (record,) = reading(name, data).records
    assert ("comments", 7, "") in record.left_out
    assert "Doe" not in record.text


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.ods", open_workbook(OPEN_SHEET)), ("a.odt", odt()), ("a.pptx", slides())],
)
def test_a_file_without_comments_has_no_entry(name, data):
    (record,) = reading(name, data).records
    assert "comments" not in {omission.kind for omission in record.left_out}
