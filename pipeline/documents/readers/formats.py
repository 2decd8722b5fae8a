"""The formats that are read: one object each, from which all else about formats is derived.

A format more is a function in a module of this package and an entry of :data:`READERS`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pipeline.documents.left_out import entries, ledger
from pipeline.documents.readers import (
    docx,
    epub,
    mail,
    man,
    markdown,
    pandoc,
    pdf,
    records,
    rst,
    sheets,
    slides,
    web,
)
from pipeline.documents.readers.reading import ReadFailure, Reading
from pipeline.documents.readers.zipped import kind_of, read_gzip, read_zip

if TYPE_CHECKING:  # a worker process needs no pydantic, which takes long to load
    from pipeline.settings import IngestSettings

_TEXT = {
    "empty_file": "there is no text in it",
    "binary_file": "it holds NUL bytes",
    "undecodable": "it is in no encoding that is known",
}
_ZIP = {
    "empty_file": "there is no text in it",
    "zip_bomb": "it unpacks to far more than its size",
    "too_many_members": "it holds more files than any document does",
    "too_large": "a part of it unpacks to more than the limit",
    "encrypted_member": "a part of it needs a password or a key",
    "unreadable_member": "a part of it is damaged",
}
_OFFICE = _ZIP | {
    "xml_entities": "its XML declares entities, as bombs do",
    "encrypted_office": "it needs a password",
}
_ARCHIVE = _ZIP | {
    "unreadable_archive": "it is damaged",
    "nested_archive": "it holds an archive, which is not unpacked",
    "unsafe_path": "a name in it leads out of the folder",
}
_FIELDS = _TEXT | {
    "missing_text_field": "a record has no string in ingest.text_field",
    "empty_record": "the text of a record is empty",
}
_MAIL = _TEXT | {"attachment_not_read": "a mail is read without what is attached to it"}
_PDF = {
    "empty_file": "there is no text in it",
    "encrypted_pdf": "it needs a password",
    "needs_ocr": "its pages are pictures; run ocrmypdf on it first",
    "no_text_in_pdf": "its pages hold neither text nor pictures",
}
_JSON = _FIELDS | {"bad_json": "it is not JSON"}
_ROWS = _FIELDS | {"bad_table": "a row has more or fewer cells than the header"}
_PK = b"PK\x03\x04"
_PPTX = "ppt/presentation.xml"


@dataclass(frozen=True, slots=True)
class Reader:
    """A format: its name, how its files are recognised, what reads them and may go wrong."""

    name: str
    extensions: tuple[str, ...]
    function: Callable[..., Reading]
    """Gets the bytes of a file; with ``fields`` also the names of the fields of text and title.
    It raises a :class:`ReadFailure`, whose reason is one of those below."""
    reasons: Mapping[str, str]  # why it may give no document, beside ``unreadable_`` with the name
    magic: bytes = b""  # first bytes of its files, where they are always the same
    member: str = ""  # name of a file that tells it from other zip files
    mark: re.Pattern[bytes] | None = None  # what they hold, if others have the extensions too
    pages: str = ""  # what a page is called, where form feeds separate pages
    converted: bool = True  # whether places count in what the reader gave, not in the file
    fields: bool = False  # whether text and title are in named fields
    archive: bool = False  # whether it holds files, which are read one by one


_DOCBOOK = re.compile(rb"docbook\.org/ns/docbook|<!DOCTYPE[^<>\[]*DocBook", re.IGNORECASE)
_LATEX = r"\newcommand{\textbar}{|}\newcommand{\cline}[1]{}"
"""Pandoc 3.9 drops the bar, and writes the columns of the line into the next cell."""


def _pandoc(name: str, *extensions: str, before: str = "", **more: Any) -> Reader:
    read = partial(pandoc.read_text, source=name, before=before)
    return Reader(name, extensions, read, _TEXT, **more)


READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        Reader("markdown", (".md", ".markdown", ".mdown"), markdown.read, _TEXT, converted=False),
        Reader("html", (".html", ".htm", ".xhtml"), web.read, _TEXT, converted=False),
        Reader("text", (".txt", ".text"), markdown.read_plain, _TEXT, converted=False),
        Reader("rst", (".rst",), rst.read, _TEXT),
        # Headings below the third level are list items by default.
        _pandoc("org", ".org", before="#+OPTIONS: H:9\n"),
        _pandoc("latex", ".tex", ".latex", ".ltx", before=_LATEX),
        _pandoc("ipynb", ".ipynb"),
        _pandoc("mediawiki", ".mediawiki", ".wiki"),
        _pandoc("docbook", ".dbk", ".docbook", ".xml", mark=_DOCBOOK),
        Reader("man", tuple(man.EXTENSIONS.split()), man.read, _TEXT, mark=man.BEGINS),
        _pandoc("pod", ".pod"),
        _pandoc("rtf", ".rtf", magic=b"{\\rtf"),
        Reader("pdf", (".pdf",), pdf.read, _PDF, b"%PDF-", pages="page"),
        *(
            Reader(name, tuple(ends.split()), partial(markdown.read_code, language=name), _TEXT)
            for name, ends in markdown.LANGUAGES.items()
        ),
        Reader("docx", (".docx",), docx.read, _OFFICE, _PK, "word/document.xml"),
        Reader("odt", (".odt",), docx.read_odt, _OFFICE, _PK),
        Reader("xlsx", (".xlsx", ".xlsm"), sheets.read, _OFFICE, _PK, "xl/workbook.xml"),
        Reader("ods", (".ods",), partial(sheets.read, name="ods"), _OFFICE, _PK),
        Reader("pptx", (".pptx",), slides.read, _OFFICE, _PK, _PPTX, pages="slide"),
        Reader("epub", (".epub",), epub.read, _ZIP, _PK, epub.CONTAINER, converted=False),
        Reader("mail", (".eml",), mail.read, _MAIL),
        Reader("jsonl", (".jsonl", ".ndjson"), records.read_jsonl, _JSON, fields=True),
        Reader("json", (".json",), records.read_json, _JSON, fields=True),
        Reader("csv", (".csv",), records.read_csv, _ROWS, fields=True),
        Reader("tsv", (".tsv",), partial(records.read_csv, separators="\t"), _ROWS, fields=True),
        Reader("parquet", (".parquet",), records.read_parquet, _FIELDS, b"PAR1", fields=True),
        Reader("zip", (".zip",), read_zip, _ARCHIVE, _PK, archive=True),
        Reader("gzip", (".gz",), read_gzip, _ARCHIVE, b"\x1f\x8b", archive=True),
    )
}
"""Name -> reader."""

READ_REASONS = {name: line for reader in READERS.values() for name, line in reader.reasons.items()}
READ_REASONS["forgotten"] = "its text was taken out for good by `tuneloop forget`"
"""Reason for which a file is not read -> a line about it."""
EXTENSIONS = {suffix: reader.name for reader in READERS.values() for suffix in reader.extensions}
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LOCKED = "EncryptedPackage".encode("utf-16-le")  # stream of a locked one: [MS-OFFCRYPTO] 1.3.3
_MAGIC = {
    b"PK\x03\x04": "a zip file or an Office document",
    b"\x1f\x8b": "a gzip file",
    b"\x89PNG": "a picture (PNG)",
    b"\xff\xd8\xff": "a picture (JPEG)",
    b"GIF8": "a picture (GIF)",
    b"\x7fELF": "a program",
    b"PAR1": "a Parquet file",
    b"{\\rtf": "a document in Rich Text Format",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\xfd7zXZ\x00": "an xz file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"SQLite format 3\x00": "a database (SQLite)",
    _OLD_OFFICE: "a document of Office 2003 or older",
}
"""First bytes of what is often found under a wrong name."""
_MEMBERS = {reader.member: reader.name for reader in READERS.values() if reader.member}


def extension(source: str) -> str:
    """Return the file name extension of a source in lower case."""
    return PurePosixPath(source).suffix.lower()


def format_of(suffix: str, data: bytes) -> str:
    """Return the format of a file: by its extension, as long as its first bytes agree.

    A PDF is one under any name, and of zip files what they hold says which kind they are.
    ReadFailure: ``unknown_format``, ``encrypted_office``, ``wrong_extension``.
    """
    if data.startswith(b"%PDF-"):
        return "pdf"
    if suffix not in EXTENSIONS:
        raise ReadFailure(
            "unknown_format",
            f"extension {suffix!r} found; expected one of {' '.join(EXTENSIONS)}; convert the file "
            "or exclude it with ingest.exclude",
        )
    reader = READERS[EXTENSIONS[suffix]]
    if data.startswith(_OLD_OFFICE) and _LOCKED in data:
        raise ReadFailure(
            "encrypted_office", "it needs a password; save it without one and add that file"
        )
    for magic, what in _MAGIC.items():
        if data.startswith(magic) and magic != reader.magic:
            raise ReadFailure(
                "wrong_extension",
                f"extension {suffix!r}, but the content is {what}; expected them to agree; give "
                "the file its own extension",
            )
    if reader.mark and data.strip() and not reader.mark.search(data):
        raise ReadFailure(
            "unknown_format",
            f"extension {suffix!r}, and nothing in it that tells {reader.name}; convert the file "
            "or exclude it with ingest.exclude",
        )
    if data.startswith(_PK):
        return kind_of(data, _MEMBERS) or reader.name
    return reader.name


def read(kind: str, data: bytes, settings: "IngestSettings", source: str = "") -> Reading:
    """Read a file of a known format; ReadFailure: the file as a whole gives no document."""
    reader = READERS[kind]
    more: tuple[Any, ...] = ()
    if reader.fields:
        more = (settings.text_field, settings.title_fields)
    elif reader.archive:
        limit = int(settings.max_file_megabytes * 10**6)
        more = (source, limit, partial(_read_member, settings=settings))
    with ledger() as noted:
        reading = reader.function(data, *more)
    records = [record._replace(kind=record.kind or kind) for record in reading.records]
    if records:  # what is left out of one of many is not told apart
        records[0] = records[0]._replace(left_out=records[0].left_out or entries(noted))
    return Reading(records, reading.failures)


def _read_member(name: str, data: bytes, settings: "IngestSettings") -> Reading:
    kind = format_of(extension(name), data)
    if READERS[kind].archive:
        raise ReadFailure(
            "nested_archive", "an archive in an archive; unpack it and add what it holds"
        )
    return read(kind, data, settings, name)
