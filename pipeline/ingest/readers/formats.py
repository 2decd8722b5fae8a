"""Which reader reads a file."""

from pathlib import PurePosixPath

from pipeline.ingest.readers import docx, jsonl, markdown, pdf, plain, web
from pipeline.ingest.readers.reading import ReadFailure, Reading
from pipeline.settings import IngestSettings

READERS_VERSION = 1
"""Raise it with any change of what a reader returns: cached readings are then made anew."""

EXTENSIONS = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".mdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".txt": "text",
    ".text": "text",
    ".pdf": "pdf",
    ".docx": "docx",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def extension(source: str) -> str:
    """Return the file name extension of a source in lower case."""
    return PurePosixPath(source).suffix.lower()


def format_of(suffix: str, data: bytes) -> str:
    """Return the format of a file: by its extension, but a PDF is one under any name.

    Raises:
        ReadFailure: ``unknown_format``.
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
    return EXTENSIONS[suffix]


def read(kind: str, data: bytes, settings: IngestSettings) -> Reading:
    """Read a file of a known format.

    Args:
        kind: One of :data:`schemas.documents.FORMATS`.
        data: The whole file.
        settings: Field names of JSONL records.

    Raises:
        ReadFailure: The file as a whole gives no document.
    """
    if kind == "jsonl":
        return jsonl.read(data, settings.text_field, settings.title_fields)
    readers = {
        "markdown": markdown.read,
        "html": web.read,
        "text": plain.read,
        "pdf": pdf.read,
        "docx": docx.read,
    }
    return readers[kind](data)
