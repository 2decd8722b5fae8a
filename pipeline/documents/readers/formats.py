"""Which reader reads a file."""

from collections.abc import Callable
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pipeline.documents.readers import (
    archive,
    docx,
    epub,
    jsonl,
    mail,
    markdown,
    pdf,
    plain,
    rst,
    slides,
    tables,
    web,
)
from pipeline.documents.readers.reading import ReadFailure, Reading
from pipeline.documents.readers.zipped import kind_of

if TYPE_CHECKING:  # a worker process needs no pydantic, which takes long to load
    from pipeline.settings import IngestSettings

EXTENSIONS = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".mdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".txt": "text",
    ".text": "text",
    ".rst": "rst",
    ".pdf": "pdf",
    ".docx": "docx",
    ".pptx": "pptx",
    ".epub": "epub",
    ".eml": "mail",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".zip": "zip",
    ".gz": "gzip",
}

ARCHIVES = ("zip", "gzip")
"""Their members are read, but not archives among these."""

FIELDS = ("jsonl", "csv", "tsv", "parquet")
"""Formats whose text and title are in named fields."""

_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LOCKED = "EncryptedPackage".encode("utf-16-le")
"""Stream in which Office puts a document with a password ([MS-OFFCRYPTO] 1.3.3)."""

_ZIPPED = ("docx", "pptx", "epub", "zip")
_MAGIC = {
    b"PK\x03\x04": "a zip file or an Office document",
    b"\x1f\x8b": "a gzip file",
    b"\x89PNG": "a picture (PNG)",
    b"\xff\xd8\xff": "a picture (JPEG)",
    b"GIF8": "a picture (GIF)",
    b"\x7fELF": "a program",
    b"PAR1": "a Parquet file",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\xfd7zXZ\x00": "an xz file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"SQLite format 3\x00": "a database (SQLite)",
    _OLD_OFFICE: "a document of Office 2003 or older",
}
"""First bytes of what is often found under a wrong name."""

_EXPECTED = {b"PK\x03\x04": _ZIPPED, b"\x1f\x8b": ("gzip",), b"PAR1": ("parquet",)}


def extension(source: str) -> str:
    """Return the file name extension of a source in lower case."""
    return PurePosixPath(source).suffix.lower()


def format_of(suffix: str, data: bytes) -> str:
    """Return the format of a file: by its extension, as long as its first bytes agree.

    A PDF is one under any name, and of zip files what they hold says which kind they are.

    Raises:
        ReadFailure: ``unknown_format``, ``encrypted_office``, or ``wrong_extension`` when the
            first bytes are those of something else.
    """
    if data.startswith(b"%PDF-"):
        return "pdf"
    if suffix not in EXTENSIONS:
        raise ReadFailure(
            "unknown_format",
            f"extension {suffix!r} found; expected one of "
            f"{' '.join(EXTENSIONS)}; convert the file or exclude it with "
            "ingest.exclude",
        )
    kind = EXTENSIONS[suffix]
    if data.startswith(_OLD_OFFICE) and _LOCKED in data:
        raise ReadFailure(
            "encrypted_office", "it needs a password; save it without one and add that file"
        )
    for magic, what in _MAGIC.items():
        if data.startswith(magic) and kind not in _EXPECTED.get(magic, ()):
            raise ReadFailure(
                "wrong_extension",
                f"extension {suffix!r}, but the content is {what}; expected them to agree; give "
                "the file its own extension",
            )
    if kind in _ZIPPED and data.startswith(b"PK\x03\x04"):
        return kind_of(data) or kind
    return kind


def read(kind: str, data: bytes, settings: "IngestSettings", source: str = "") -> Reading:
    """Read a file of a known format.

    Args:
        kind: A value of :data:`EXTENSIONS`.
        data: The whole file.
        settings: Field names of records, and the size limit of the members of an archive.
        source: Name of the file.

    Raises:
        ReadFailure: The file as a whole gives no document.
    """
    if kind in ARCHIVES:
        limit = int(settings.max_file_megabytes * 10**6)
        member = partial(_read_member, settings=settings)
        if kind == "zip":
            return archive.read_zip(data, limit, member)
        return archive.read_gzip(data, source, limit, member)
    if kind in FIELDS:
        by_field: dict[str, Callable[..., Reading]] = {
            "jsonl": jsonl.read,
            "csv": tables.read_csv,
            "tsv": partial(tables.read_csv, separators="\t"),
            "parquet": tables.read_parquet,
        }
        return by_field[kind](data, settings.text_field, settings.title_fields)
    readers: dict[str, Callable[[bytes], Reading]] = {
        "markdown": markdown.read,
        "html": web.read,
        "text": plain.read,
        "rst": rst.read,
        "pdf": pdf.read,
        "docx": docx.read,
        "pptx": slides.read,
        "epub": epub.read,
        "mail": mail.read,
    }
    return readers[kind](data)


def _read_member(name: str, data: bytes, settings: "IngestSettings") -> Reading:
    """Read a member of an archive; its records know their format."""
    kind = format_of(extension(name), data)
    if kind in ARCHIVES:
        raise ReadFailure(
            "nested_archive", "an archive in an archive; unpack it and add what it holds"
        )
    reading = read(kind, data, settings, name)
    return reading._replace(
        records=[record._replace(kind=record.kind or kind) for record in reading.records]
    )
