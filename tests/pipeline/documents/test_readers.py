import io
import json
import zipfile

import pytest

from pipeline.documents.readers import docx, formats, markdown, pdf, records, web
from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.reading import ReadFailure
from pipeline.settings import IngestSettings
from tests.pipeline.documents import making


def one(reading):
    [record] = reading.records
    assert not reading.failures
    return record


def reason(call, *arguments) -> str:
    with pytest.raises(ReadFailure) as error:
        call(*arguments)
    return error.value.failure.reason


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Größe ≥ 5 °C".encode(), "Größe ≥ 5 °C"),
        ("\ufeffmark".encode(), "mark"),
        ("Größe".encode("utf-16"), "Größe"),
        ("Größe".encode("utf-32"), "Größe"),
        (
            "The limit of 32 °C in Orléans, £40 a unit.".encode("latin-1"),
            "The limit of 32 °C in Orléans, £40 a unit.",
        ),
        ("Größe, Höhe: ".encode() + b"it\x92s", "Größe, Höhe: it\u2019s"),
        ("Größe, Höhe, Übermaß: ".encode() + b"\xe2\x80 5", "Größe, Höhe, Übermaß: \ufffd 5"),
        ("The “limit” is 5 °C: “no” more.".encode("cp1252"), "The “limit” is 5 °C: “no” more."),
        (
            "Жёлтый клапан открывается, когда почва сухая, и закрывается вечером.".encode("cp1251"),
            "Жёлтый клапан открывается, когда почва сухая, и закрывается вечером.",
        ),
        (b"a\r\nb\rc\n", "a\nb\nc\n"),
    ],
)
def test_the_encoding_is_found(data: bytes, text: str):
    assert decode(data) == text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty_file"),
        (b"\x89PNG\r\n\x00\x00", "binary_file"),
        (bytes(range(1, 256)) * 3, "undecodable"),
        (b"\xff\xfea", "undecodable"),
    ],
)
def test_what_is_no_text_is_named(data: bytes, expected: str):
    assert reason(decode, data) == expected


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# Set points #\ntext", "Set points"),
        ("---\ntitle: 'From the front'\n---\ntext", "From the front"),
        ("---\ntitle: front\n---\n## Heading wins", "Heading wins"),
        ("Under\n=====\ntext", "Under"),
        ("```\n# not this\n```\n\n# This", "This"),
        ("no heading", ""),
    ],
)
def test_markdown_keeps_its_text_and_finds_a_title(text: str, title: str):
    record = one(markdown.read(text.encode()))
    assert (record.title, record.text, record.span_start, record.span_end) == (
        title,
        text,
        0,
        len(text),
    )


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("FIRMWARE 4.3\nVersion 4.3.0.0", "FIRMWARE 4.3"),
        ("A sentence is no title.\nMore.", ""),
        ("only line", ""),
    ],
)
def test_plain_text_takes_a_first_line_that_looks_like_a_title(text: str, title: str):
    assert one(markdown.read_plain(text.encode())).title == title


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("<title>Pump care | Help</title><h1>Pump care</h1>", "Pump care"),
        ("<title>A &amp; B</title><h1>Site</h1>", "A & B"),
        ("<h1>Only <b>this</b></h1>", "Only this"),
        ("<p>x</p>", ""),
    ],
)
def test_html_keeps_its_tags_and_finds_a_title(page: str, title: str):
    record = one(web.read(page.encode()))
    assert (record.title, record.text) == (title, page)


def test_html_is_decoded_as_it_declares():
    page = '<meta charset="iso-8859-2"><p>Zażółć gęślą jaźń</p>'
    assert one(web.read(page.encode("iso-8859-2"))).text == page


def test_jsonl_records_carry_line_and_span_and_bad_lines_fail_alone():
    lines = [
        '{"text": "one", "title": " T "}',
        "",
        "{oops",
        '{"body": "x"}',
        "[1]",
        '{"text": 5}',
        '{"text": " "}',
        json.dumps({"text": "\ud800 lone"}),
        '{"text": "last"}',
    ]
    text = "\n".join(lines)
    reading = records.read_jsonl(text.encode(), "text", ("subject", "title"))
    assert [(record.record, record.title) for record in reading.records] == [
        ("1", "T"),
        ("8", ""),
        ("9", ""),
    ]
    assert [(failure.record, failure.reason) for failure in reading.failures] == [
        ("3", "bad_json"),
        ("4", "missing_text_field"),
        ("5", "missing_text_field"),
        ("6", "missing_text_field"),
        ("7", "empty_record"),
    ]
    for record in reading.records:
        assert text[record.span_start : record.span_end] == lines[int(record.record) - 1]
    reading.records[1].text.encode()  # a lone surrogate would fail here


def test_jsonl_reads_the_named_fields():
    reading = records.read_jsonl(b'{"body": "b", "subject": "s"}', "body", ("subject",))
    assert (reading.records[0].text, reading.records[0].title) == ("b", "s")


def test_jsonl_survives_a_tower_of_brackets():
    assert records.read_jsonl(b"[" * 200_000, "text", ("title",)).failures[0].reason == "bad_json"


def test_pdf_gives_lines_pages_headings_and_paragraph_gaps():
    pages = [
        [
            ("Fernwick manual", 0, 9, "F"),
            ("Water and", 30, 16, "B"),
            ("frost", 20, 16, "B"),
            *making.body("The controller waters the irri-", "gation beds every evening."),
            *making.body("A second paragraph stands here."),
            ("Care", 26, 11, "B"),
            *making.body("Bold lines of body size head a section."),
        ],
        making.body("Page two."),
    ]
    record = one(pdf.read(making.pdf(pages)))
    assert record.title == "Water and frost"
    assert record.text == (
        "Fernwick manual\n\n# Water and frost\n\nThe controller waters the irri-\ngation beds "
        "every evening.\n\nA second paragraph stands here.\n\n## Care\n\nBold lines of body size "
        "head a section.\fPage two."
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty_file"),
        (b"%PDF-1.4\ngarbage", "unreadable_pdf"),
        (making.pdf([[]]), "no_text_in_pdf"),
        (making.pdf([making.body("secret")], encrypted=True), "encrypted_pdf"),
        (b"<html>404</html>", "unreadable_pdf"),
    ],
)
def test_a_pdf_without_text_says_why(data: bytes, expected: str):
    assert reason(pdf.read, data) == expected


def test_docx_headings_and_tables_become_markdown():
    blocks = (
        making.paragraph("Warranty", "H1")
        + making.paragraph("Valid for 3 | 4 years.")
        + making.paragraph("Periods", "H2")
        + making.grid(["Product", "Period"], ["FW-200", "36 months"], ["cable_tie*", ""])
    )
    record = one(docx.read(making.docx(blocks)))
    assert record.title == "Warranty"
    assert record.text == (
        "# Warranty\n\nValid for 3 | 4 years.\n\n## Periods\n\n| Product | Period |\n|---|---|"
        "\n| FW-200 | 36 months |\n| cable_tie* |  |"
    )


def bomb() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in range(9):
            archive.writestr(str(name), bytes(64 * 2**20))
    return stream.getvalue()


def plain_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("readme.txt", "not a document")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty_file"),
        (b"plain text", "unreadable_docx"),
        (making.docx(making.paragraph("x" * 500))[:-200], "unreadable_docx"),
        (making.docx("<w:p>"), "unreadable_docx"),
        (plain_zip(), "unreadable_docx"),
        (making.docx(""), "empty_file"),
    ],
)
def test_a_broken_word_file_says_why(data: bytes, expected: str):
    assert reason(docx.read, data) == expected


def test_a_zip_bomb_is_not_unpacked():
    assert reason(docx.read, bomb()) == "zip_bomb"


def test_a_pdf_is_one_under_any_name_and_other_formats_go_by_extension():
    data = making.pdf([making.body("Hello")])
    assert formats.format_of(".txt", data) == "pdf"
    assert formats.format_of(".htm", b"x") == "html"
    assert reason(formats.format_of, ".odp", b"x") == "unknown_format"
    assert reason(formats.format_of, "", b"x") == "unknown_format"
    assert one(formats.read("pdf", data, IngestSettings())).text == "Hello"


@pytest.mark.timeout(15)
@pytest.mark.parametrize("piece", [b"<!--", b"<a ", b"<title>", b"&#"])
def test_hostile_markup_is_read_in_time(piece: bytes):
    assert one(web.read(piece * 100_000)).text
