"""Archives, and files that are not what their name says."""

import gzip
import io
import random
import zipfile

import pytest

from pipeline.documents.readers.formats import format_of
from pipeline.documents.readers.zipped import HIGHEST_RATIO
from tests.pipeline.documents.packing import PUMP, book, failure, reading, slides, zipped


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


def test_a_member_with_a_password_or_an_odd_name_has_its_reason():
    data = bytearray(zipped({"a.md": PUMP, ".": PUMP, "b.md": PUMP}, zipfile.ZIP_STORED))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= 1
    found = reading("locked.zip", bytes(data))
    assert [r.record for r in found.records] == ["b.md"]
    assert {f.record: f.reason for f in found.failures} == {
        "a.md": "encrypted_member",
        ".": "unknown_format",
    }


def test_a_gzip_file_is_what_its_name_says():
    (record,) = reading("care.md.gz", gzip.compress(f"# Care\n\n{PUMP}".encode())).records
    assert (record.title, record.kind) == ("Care", "markdown")
    assert failure("care.tar.gz", gzip.compress(b"x", mtime=0)) == "unknown_format"
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
@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("word/document.xml", LAUGHS),
        ("word/other.bin", LAUGHS),
        ("word/document.xml", LAUGHS.encode("utf-16")),
        ("word/document.xml", f"<!--{' ' * 5000}-->{LAUGHS.partition('?>')[2]}"),
        ("word/document.xml", f"<!--{' ' * (2**20 + 50)}-->{LAUGHS.partition('?>')[2]}"),
    ],
)
def test_office_files_that_declare_entities_are_refused(name: str, part: str, content: str):
    data = zipped({part: content, "noise": random.Random(0).randbytes(2**14)})
    assert failure(name, data) == "xml_entities"


def test_a_drawing_with_a_document_type_is_no_reason_to_refuse_an_office_file():
    stream = io.BytesIO(slides())
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("ppt/media/a.svg", '<!DOCTYPE svg PUBLIC "x" "y"><svg/>')
    assert reading("deck.pptx", stream.getvalue()).records


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
        ("a.html", gzip.compress(b"x", mtime=0)),
        ("a.csv", b"PAR1"),
        ("a.txt", b"7z\xbc\xaf\x27\x1c\x00\x04"),
        ("a.md", b"SQLite format 3\x00"),
    ],
)
def test_a_wrong_extension_is_told_with_what_the_file_is(name: str, data: bytes):
    assert failure(name, data) == "wrong_extension"


def test_of_zip_files_the_content_decides():
    assert format_of(".docx", slides()) == "pptx"
    assert format_of(".zip", book()) == "epub"
    assert format_of(".zip", zipped({"a.md": PUMP})) == "zip"
    assert format_of(".docx", zipped({"a.md": PUMP})) == "docx"
    assert reading("deck.zip", slides()).records[0].title == "Pump care"


def test_an_office_file_with_a_password_is_told():
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le")
    assert failure("a.docx", ole) == "encrypted_office"
    assert failure("a.zip", zipped({"a.md": PUMP, "b.pptx": ole})[:-4]) == "unreadable_archive"
    (found,) = reading("a.zip", zipped({"b.pptx": ole})).failures
    assert (found.record, found.reason) == ("b.pptx", "encrypted_office")


@pytest.mark.parametrize("name", ["x.pptx", "x.epub", "x.zip", "x.docx", "x.parquet", "x.eml"])
def test_empty_and_cut_files_have_a_reason(name: str):
    assert failure(name, b"") in {"empty_file"}
    whole = {"x.pptx": slides(), "x.epub": book(), "x.zip": zipped({"a.txt": PUMP})}.get(name)
    if whole:
        for length in (10, len(whole) // 2, len(whole) - 3):
            assert failure(name, whole[:length]).startswith("unreadable")
