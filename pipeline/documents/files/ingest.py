"""The ingest stage: each file becomes documents or a named failure, once.

What a file gave is cached by its content, so it is neither read nor parsed again, in a later
run or after a kill -9, and the text of a file that has left its folder is still there.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import Cache, short_id
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.runner import LOCAL, Runner
from pipeline.core.stage import Stage
from pipeline.documents.files.files import SourceFile
from pipeline.documents.files.read_files import read_files
from pipeline.documents.left_out import rows_left_out
from pipeline.documents.readers.reading import Record
from pipeline.settings import IngestSettings
from schemas.documents import LeftOut, RawDocuments


def ingest(
    files: Sequence[SourceFile],
    settings: IngestSettings,
    cache: Cache,
    runner: Runner = LOCAL,
    refused: frozenset[str] = frozenset(),
) -> Outcome[RawDocuments]:
    """Read files into documents; the cache holds what each gave, by content and extension.

    The result does not depend on who reads; ``refused`` are digests of texts that were forgotten.

    Returns:
        Documents sorted by ``doc_id``. Rows are records: a file that failed as a whole counts
        one. Reasons: :data:`.readers.formats.READ_REASONS`, those of files that are not to be
        opened (:class:`.files.SourceFile`) and of a reader that met a limit (:mod:`.read_files`),
        and ``same_document`` (same source and text, from two folders).
        The table ``left_out`` lists what readers left out on purpose.
        Metrics: ``files``, ``files_read`` (opened now), ``files_gone``.
    """
    ordered = sorted(files, key=lambda file: (file.source, file.sha256, str(file.path)))
    seen: set[str] = set()
    dropped: list[Drop] = []
    left_out: list[dict[str, Any]] = []
    opened = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal opened
        readings = read_files(ordered, settings, cache, runner, refused)
        for file, reading in zip(ordered, readings, strict=True):
            opened += reading.opened
            for record in reading.records:
                row = _row(file.source, record)
                name = row["doc_id"]
                if name in seen:
                    dropped.append(
                        Drop(row["source"], "same_document", row["title"], related_id=name)
                    )
                else:
                    seen.add(name)
                    left_out.extend(rows_left_out(row, record.left_out))
                    yield row
            for failure in reading.failures:
                dropped.append(Drop(_name(file.source, failure.record), *failure[:4]))

    kept = cast("DataFrame[RawDocuments]", table(RawDocuments, rows()).sort(pl.col("doc_id")))
    return Outcome(
        kept,
        drops(dropped),
        rows_in=kept.height + len(dropped),
        metrics={
            "files": float(len(ordered)),
            "files_read": float(opened),
            "files_gone": float(sum(file.path is None for file in ordered)),
        },
        tables={"left_out": (LeftOut, table(LeftOut, left_out).sort("doc_id", "kind"))},
    )


def _row(source: str, record: Record) -> dict[str, Any]:
    source = _name(source, record.record)
    return {
        "doc_id": short_id(source, record.text),
        "source": source,
        "format": record.kind,
        "title": record.title or PurePosixPath(source.partition("#")[0]).stem,
        "text": record.text,
        "span_start": record.span_start,
        "span_end": record.span_end,
    }


def _name(source: str, record: str) -> str:
    return f"{source}#{record}" if record else source


INGEST = Stage("ingest", ingest, RawDocuments, section="ingest", dataset="raw_documents")
