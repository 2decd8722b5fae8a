"""Slides, books, tables and mails, from real files made here."""

import io
import zipfile
from email.message import EmailMessage

import polars as pl
import pytest

from pipeline.documents.readers.reading import ReadFailure
from tests.pipeline.documents.packing import PUMP, book, failure, reading, slides, zipped


def test_a_slide_is_a_section_with_its_table_and_notes():
    (record,) = reading("deck.pptx", slides()).records
    assert record.title == "Pump care"
    assert f"# Pump care\n\n- {PUMP}\n  - Check the seal\n\nSay that" in record.text
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


def test_a_chapter_that_needs_a_key_fails_alone_and_one_named_twice_is_read_once():
    with zipfile.ZipFile(io.BytesIO(book())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["META-INF/encryption.xml"] = (
        b'<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData><e:CipherData>'
        b'<e:CipherReference URI="OEBPS/two.xhtml"/></e:CipherData></e:EncryptedData></encryption>'
    )
    again = b'<itemref idref="a"/>' * 1000 + b"</spine>"
    members["OEBPS/book.opf"] = members["OEBPS/book.opf"].replace(b"</spine>", again)
    found = reading("pumps.epub", zipped(members))
    assert [record.record for record in found.records] == ["OEBPS/one page.xhtml"]
    assert [(f.record, f.reason) for f in found.failures] == [
        ("OEBPS/two.xhtml", "encrypted_member")
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_row_of_a_table_is_a_document_with_its_title(separator: str):
    head, text = f"id{separator}title{separator}body", f'1{separator}Care{separator}"{PUMP}"'
    found = reading("t.csv", f"{head}\n{text}\n2{separator}None{separator}\n".encode())
    assert [(r.record, r.title, r.text) for r in found.records] == [("1", "Care", PUMP)]
    assert [(f.record, f.reason) for f in found.failures] == [("2", "empty_record")]
    with pytest.raises(ReadFailure, match=r"columns .* expected 'body'; set ingest.text_field"):
        reading("t.csv", b"a,b\n1,2\n")


def test_a_row_with_stray_separators_or_quotes_fails_alone_and_swallows_nothing():
    rows = [
        "body,title",
        "one, two,Care",
        '"one"x,Care',
        f'"{PUMP}",Short',
        ",Only",
        '"open,A',
        "b,B",
    ]
    found = reading("t.csv", "\n".join(rows).encode())
    assert [(r.record, r.text) for r in found.records] == [("3", PUMP)]
    assert {f.record: f.reason for f in found.failures} == {
        "1": "bad_table",
        "2": "bad_table",
        "4": "empty_record",
        "5": "bad_table",
    }
    assert "line 6" in found.failures[-1].message
    assert failure("t.csv", b"body,body\na,b\n") == "bad_table"
    assert failure("t.csv", b'"body\n') == "bad_table"
    assert reading("t.tsv", b"body\none, two; three").records[0].text == "one, two; three"


@pytest.mark.parametrize(
    "table",
    [
        "sep=;\ntitle;body\nKeys;A, B; C",
        '"title, of, a, drawer";body\nKeys;"A, B; C"',
        "title, short;size, weight;body\nKeys;1;A, B; C\nSeals;2;Grey",
        "body\tn\nA, B; C\t1",
        "n,body\n1,A, B; C",
    ],
)
def test_the_separator_is_the_one_that_cuts_all_rows_alike(table: str):
    found = reading("t.csv", table.encode())
    assert found.records[0].text == "A, B; C"
    assert found.failures == []


def test_parquet_gives_what_csv_gives():
    stream = io.BytesIO()
    pl.DataFrame({"title": ["Care", None], "body": [PUMP, None], "n": [1, 2]}).write_parquet(stream)
    found = reading("t.parquet", stream.getvalue())
    assert [(r.record, r.title, r.text) for r in found.records] == [("1", "Care", PUMP)]
    assert [f.reason for f in found.failures] == ["missing_text_field"]
    assert failure("t.parquet", stream.getvalue()[:-40]) == "unreadable_parquet"


def test_slides_are_read_from_the_top_down_without_their_feet():
    from pptx import Presentation
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    deck = Presentation()
    for number in (1, 2, 3):
        shapes = deck.slides.add_slide(deck.slide_layouts[5]).shapes
        shapes.title.text = f"Part {number}"
        for text, left, top in (
            ("# include is no heading", 1, 4),
            (f"12 March, page {number}", 1, 7),
            ("to the right", 5, 2),
            ("first", 1, 2),
        ):
            box = shapes.add_textbox(Inches(left), Inches(top), Inches(3), Inches(1))
            box.text_frame.text = f"{text} {number}" if text == "first" else text
    numbers = CategoryChartData()
    numbers.categories = ["May", "June"]
    numbers.add_series("Flow", (3.5, 4.5))
    kind = XL_CHART_TYPE.COLUMN_CLUSTERED
    shapes.add_chart(kind, Inches(1), Inches(5), Inches(4), Inches(2), numbers)
    stream = io.BytesIO()
    deck.save(stream)
    (record,) = reading("deck.pptx", stream.getvalue()).records
    pages = record.text.split("\f")
    assert pages[0] == "# Part 1\n\nfirst 1\n\nto the right\n\n\\# include is no heading"
    assert pages[2].startswith("# Part 3\n\nfirst 3\n\n")
    assert "|  | Flow |\n| --- | --- |\n| May | 3.5 |\n| June | 4.5 |" in pages[2]


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


@pytest.mark.parametrize("plain", ["", " \n\u00a0\n", "Your program shows no HTML."])
def test_a_plain_form_that_says_nothing_gives_way_to_the_html_one(plain: str):
    mail = EmailMessage()
    mail.set_content(plain)
    mail.add_alternative(f"<style>p {{}}</style><p>{PUMP} {PUMP}</p>", subtype="html")
    (record,) = reading("m.eml", mail.as_bytes()).records
    assert record.kind == "html" and PUMP in record.text


def test_all_text_parts_of_a_mail_are_read_in_their_order():
    mail = EmailMessage()
    mail.set_content("Before the picture.")
    mail.add_attachment(b"x", maintype="image", subtype="png", disposition="inline", filename="p")
    for text, subtype in (("Behind < it.", "plain"), ("<p>At the end.</p>", "html")):
        part = EmailMessage()
        part.set_content(text, subtype=subtype)
        mail.attach(part)
    note = EmailMessage()
    note.set_content("not read")
    note.add_header("Content-Disposition", "attachment", filename="note.txt")
    mail.attach(note)
    found = reading("m.eml", mail.as_bytes())
    assert found.records[0].kind == "html"
    assert [line for line in found.records[0].text.splitlines() if line] == [
        "<p>Before the picture.",
        "</p>",
        "<p>Behind &lt; it.",
        "</p>",
        "<p>At the end.</p>",
    ]
    assert {failure.record for failure in found.failures} == {"p", "note.txt"}


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("iso-2022-jp", "ポンプの手入れ"),
        ("hz", "水泵的维护"),
        ("koi8-r", "Уход за насосом весной"),
        ("no-such", PUMP),
    ],
)
def test_a_mail_is_decoded_as_it_says(charset: str, text: str):
    head = f"Subject: =?utf-8?q?Pumpe?=\nContent-Type: text/plain; charset={charset}\n\n"
    body = text.encode("ascii" if charset == "no-such" else charset)
    (record,) = reading("m.eml", head.encode() + body).records
    assert (record.title, record.text) == ("Pumpe", text)
