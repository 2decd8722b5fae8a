"""Slides, books, tables, mails, reStructuredText and archives, from real files made here."""

import gzip
import io
import zipfile
from email.message import EmailMessage

import polars as pl
import pytest

from pipeline.ingest.readers.formats import extension, format_of, read
from pipeline.ingest.readers.reading import ReadFailure, Reading
from pipeline.ingest.readers.zipped import HIGHEST_RATIO
from pipeline.settings import IngestSettings

SETTINGS = IngestSettings(text_field="body", max_file_megabytes=2)
PUMP = "The pump starts when the tank is half full, and stops at the upper mark."


def reading(name: str, data: bytes) -> Reading:
    return read(format_of(extension(name), data), data, SETTINGS, name)


def failure(name: str, data: bytes) -> str:
    with pytest.raises(ReadFailure) as error:
        reading(name, data)
    return error.value.failure.reason


def zipped(members: dict[str, bytes | str], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def slides() -> bytes:
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


def test_a_slide_is_a_section_with_its_table_and_notes():
    (record,) = reading("deck.pptx", slides()).records
    assert record.title == "Pump care"
    assert f"# Pump care\n\n{PUMP}\n  - Check the seal\n\nSay that" in record.text
    assert "# Limits\n\n| Part | Bar\\|max |\n| --- | --- |\n| Valve | 4.2 |" in record.text


def test_a_book_is_read_chapter_by_chapter_in_reading_order():
    found = reading("pumps.epub", book())
    assert [record.record for record in found.records] == [
        "OEBPS/one page.xhtml",
        "OEBPS/two.xhtml",
    ]
    assert found.records[0].title == "Pumps - Care"
    assert {record.kind for record in found.records} == {"html"}
    assert PUMP in found.records[0].text
    assert failure("x.epub", zipped({"mimetype": "application/epub+zip"})) == "unreadable_epub"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_row_of_a_table_is_a_document_with_its_title(separator: str):
    head, text = f"id{separator}title{separator}body", f'1{separator}Care{separator}"{PUMP}"'
    found = reading("t.csv", f"{head}\n{text}\n2{separator}None{separator}\n".encode())
    assert [(r.record, r.title, r.text) for r in found.records] == [("1", "Care", PUMP)]
    assert [(f.record, f.reason) for f in found.failures] == [("2", "empty_record")]
    with pytest.raises(ReadFailure, match=r"columns .* expected 'body'; set ingest.text_field"):
        reading("t.csv", b"a,b\n1,2\n")


def test_parquet_gives_what_csv_gives():
    stream = io.BytesIO()
    pl.DataFrame({"title": ["Care", None], "body": [PUMP, None], "n": [1, 2]}).write_parquet(stream)
    found = reading("t.parquet", stream.getvalue())
    assert [(r.record, r.title, r.text) for r in found.records] == [("1", "Care", PUMP)]
    assert [f.reason for f in found.failures] == ["missing_text_field"]
    assert failure("t.parquet", stream.getvalue()[:-40]) == "unreadable_parquet"


def test_a_mail_is_its_body_and_names_its_attachments():
    mail = EmailMessage()
    mail["Subject"] = "Pümp\n care".replace("\n", "")
    mail.set_content(f"{PUMP} Größe 4.", charset="iso-8859-1", cte="quoted-printable")
    mail.add_alternative("<p>html</p>", subtype="html")
    mail.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="plan.pdf")
    found = reading("m.eml", mail.as_bytes())
    (record,) = found.records
    assert (record.title, record.text.strip(), record.kind) == (
        "Pümp care",
        f"{PUMP} Größe 4.",
        "text",
    )
    assert [(f.record, f.reason) for f in found.failures] == [("plan.pdf", "attachment_not_read")]
    page = EmailMessage()
    page.set_content(f"<p>{PUMP}</p>", subtype="html")
    assert reading("m.eml", page.as_bytes()).records[0].kind == "html"
    assert failure("m.eml", b"Subject: x\n\n") == "empty_file"


def test_members_of_an_archive_are_read_as_files_and_fail_alone():
    data = zipped(
        {
            "docs/pump.md": f"# Care\n\n{PUMP}",
            "rows.csv": f'body\n"{PUMP}"\n""\n',
            "deck.pptx": slides(),
            "../evil.txt": PUMP,
            "/abs.txt": PUMP,
            "C:\\x.txt": PUMP,
            "inner.zip": zipped({"a.txt": PUMP}),
            "picture.png": b"\x89PNG\r\n",
            "large.txt": ("word " * 100 + "\n") * 5000,
        },
        zipfile.ZIP_STORED,
    )
    found = reading("all.zip", data)
    assert {(r.record, r.kind) for r in found.records} == {
        ("docs/pump.md", "markdown"),
        ("rows.csv#1", "csv"),
        ("deck.pptx", "pptx"),
    }
    assert {f.record: f.reason for f in found.failures} == {
        "rows.csv#2": "empty_record",
        "../evil.txt": "unsafe_path",
        "/abs.txt": "unsafe_path",
        "C:\\x.txt": "unsafe_path",
        "inner.zip": "nested_archive",
        "picture.png": "unknown_format",
        "large.txt": "too_large",
    }


def test_a_gzip_file_is_what_its_name_says():
    (record,) = reading("care.md.gz", gzip.compress(f"# Care\n\n{PUMP}".encode())).records
    assert (record.title, record.kind) == ("Care", "markdown")
    assert failure("care.tar.gz", gzip.compress(b"x")) == "unknown_format"
    assert failure("care.md.gz", gzip.compress(b"text " * 20)[:-9]) == "unreadable_archive"
    assert failure("care.txt.gz", gzip.compress(bytes(2**21 - 1))) == "zip_bomb"


def test_bombs_are_known_before_they_are_unpacked():
    assert failure("bomb.zip", zipped({"a.txt": b" " * 2**26})) == "zip_bomb"
    assert failure("bomb.docx", zipped({"word/document.xml": b" " * 2**26})) == "zip_bomb"
    many = zipped({f"{number}.txt": "" for number in range(10_001)})
    assert failure("many.zip", many) == "too_many_members"
    assert HIGHEST_RATIO < 1032


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    '<!ENTITY lol2 "&lol;&lol;&lol;">]><w:document>&lol2;</w:document>'
)


@pytest.mark.parametrize("name", ["bomb.docx", "bomb.pptx"])
def test_office_files_that_declare_entities_are_refused(name: str):
    assert failure(name, zipped({"word/document.xml": LAUGHS})) == "xml_entities"


def test_entities_in_a_book_stay_unexpanded():
    secret = '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><html><body><p>&x;</p></body></html>'
    data = book()
    bad = zipped({"META-INF/container.xml": secret})
    assert failure("x.epub", bad) == "unreadable_epub"
    assert "root:" not in reading("x.epub", data).records[0].text


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.md", b"\x89PNG\r\n\x1a\n"),
        ("a.txt", zipped({"x": "y"})),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("a.html", gzip.compress(b"x")),
        ("a.csv", b"PAR1"),
    ],
)
def test_a_wrong_extension_is_told_with_what_the_file_is(name: str, data: bytes):
    assert failure(name, data) == "wrong_extension"


@pytest.mark.parametrize("name", ["x.pptx", "x.epub", "x.zip", "x.docx", "x.parquet", "x.eml"])
def test_empty_and_cut_files_have_a_reason(name: str):
    assert failure(name, b"") in {"empty_file"}
    whole = {"x.pptx": slides(), "x.epub": book(), "x.zip": zipped({"a.txt": PUMP})}.get(name)
    if whole:
        for length in (10, len(whole) // 2, len(whole) - 3):
            assert failure(name, whole[:length]).startswith("unreadable")
