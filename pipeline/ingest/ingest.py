"""The ingest stage: each file becomes documents or a named failure, once.

What a file gave is cached by its content, so it is neither read nor parsed again, in a later
run or after a kill -9, and the text of a file that has left its folder is still there.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.cache import Cache, short_id
from pipeline.ingest.files import SourceFile
from pipeline.ingest.readers.formats import (
    EXTENSIONS,
    READERS_VERSION,
    extension,
    format_of,
    read,
)
from pipeline.ingest.readers.reading import Failure, ReadFailure, Reading, Record
from pipeline.outcome import Drop, Outcome, drops, table
from pipeline.progress import track
from pipeline.settings import IngestSettings
from schemas.documents import RawDocuments

MEGABYTE = 10**6


def ingest(
    files: Sequence[SourceFile], settings: IngestSettings, cache: Cache
) -> Outcome[RawDocuments]:
    """Read files into documents.

    Args:
        files: From :func:`pipeline.ingest.files.scan`.
        settings: Size limit and the field names of JSONL records.
        cache: Holds what each file gave, by content and extension.

    Returns:
        Documents sorted by ``doc_id``. Rows are records: a file that failed as a whole counts
        one. Reasons: ``empty_file``, ``binary_file``, ``undecodable``, ``unknown_format``,
        ``unreadable_file``, ``changed_file``, ``too_large``, ``unreadable_pdf``,
        ``encrypted_pdf``, ``no_text_in_pdf``, ``unreadable_docx``, ``bad_json``,
        ``missing_text_field``, ``empty_record``, ``vanished_file`` (left the folder, and its
        text is not cached) and ``same_document`` (same source and text, from two folders).
        Metrics: ``files``, ``files_read`` (opened now), ``files_gone``.
    """
    ordered = sorted(files, key=lambda file: (file.source, file.sha256, str(file.path)))
    documents: dict[str, dict[str, Any]] = {}
    dropped: list[Drop] = []
    opened = 0
    for file in track(ordered, "files"):
        kind, reading, was_read = _reading(file, settings, cache)
        opened += was_read
        for record in reading.records:
            row = _row(file.source, kind, record)
            if row["doc_id"] in documents:
                dropped.append(
                    Drop(row["source"], "same_document", row["title"], related_id=row["doc_id"])
                )
            else:
                documents[row["doc_id"]] = row
        dropped.extend(_failures(file.source, reading.failures))
    kept = cast(
        "DataFrame[RawDocuments]", table(RawDocuments, documents.values()).sort(pl.col("doc_id"))
    )
    return Outcome(
        kept,
        drops(dropped),
        rows_in=kept.height + len(dropped),
        metrics={
            "files": float(len(ordered)),
            "files_read": float(opened),
            "files_gone": float(sum(not file.present for file in ordered)),
        },
    )


def _reading(file: SourceFile, settings: IngestSettings, cache: Cache) -> tuple[str, Reading, bool]:
    """Return format, what the file gave, and whether it was opened for it."""
    limit = settings.max_file_megabytes * MEGABYTE
    if file.size > limit:
        return (
            "",
            _failed(
                "too_large",
                f"{file.size} bytes found; raise ingest.max_file_megabytes or split the file",
                file.size,
                limit,
            ),
            False,
        )
    key = _key(file, settings)
    if file.sha256:
        entry = cache.get(key)
        if entry is not None:
            return (
                entry["format"],
                Reading(
                    [Record(*record) for record in entry["records"]],
                    [Failure(*failure) for failure in entry["failures"]],
                ),
                False,
            )
    if file.path is None:
        return (
            "",
            _failed(
                "vanished_file",
                "it has left the folder and its text is not in the cache; put it back",
            ),
            False,
        )
    try:
        data = file.path.read_bytes()
    except OSError as error:
        return "", _failed("unreadable_file", f"{error.strerror}; mend its permissions"), True
    if hashlib.sha256(data).hexdigest() != file.sha256:
        # Under the key of the old content the new text would poison the cache.
        return "", _failed("changed_file", "changed while it was read; run again"), True
    kind, reading = _parse(file.source, data, settings)
    cache.put(key, {"format": kind, "records": reading.records, "failures": reading.failures})
    return kind, reading, True


def _parse(source: str, data: bytes, settings: IngestSettings) -> tuple[str, Reading]:
    try:
        kind = format_of(extension(source), data)
        return kind, read(kind, data, settings)
    except ReadFailure as error:
        return "", Reading([], [error.failure])


def _key(file: SourceFile, settings: IngestSettings) -> dict[str, Any]:
    """Content and all that decides how it is read; not the source, which a file may change."""
    suffix = extension(file.source)
    key = {"readers": READERS_VERSION, "sha256": file.sha256, "extension": suffix}
    if EXTENSIONS.get(suffix) == "jsonl":
        key |= {"text_field": settings.text_field, "title_fields": list(settings.title_fields)}
    return key


def _row(source: str, kind: str, record: Record) -> dict[str, Any]:
    source = _name(source, record.record)
    return {
        "doc_id": short_id(source, record.text),
        "source": source,
        "format": kind,
        "title": record.title or PurePosixPath(source.partition("#")[0]).stem,
        "text": record.text,
        "span_start": record.span_start,
        "span_end": record.span_end,
    }


def _failures(source: str, failures: Sequence[Failure]) -> Iterator[Drop]:
    for failure in failures:
        yield Drop(
            _name(source, failure.record),
            failure.reason,
            failure.message,
            failure.value,
            failure.threshold,
        )


def _name(source: str, record: str) -> str:
    return f"{source}#{record}" if record else source


def _failed(
    reason: str, message: str, value: float | None = None, threshold: float | None = None
) -> Reading:
    return Reading([], [Failure("", reason, message, value, threshold)])
