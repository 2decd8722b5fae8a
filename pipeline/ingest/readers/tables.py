"""CSV, TSV and Parquet: each row is a document, its text in a named column."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.ingest.readers.decode import decode
from pipeline.ingest.readers.reading import Failure, ReadFailure, Reading, Record
from pipeline.ingest.readers.rows import record_of

SEPARATORS = ",;\t|"
"""Of a CSV file; the most frequent one in its first line is taken (spreadsheets of a language
with a decimal comma write semicolons)."""

PARQUET_ROWS = 1024
"""Rows read at once."""


def read_csv(data: bytes, text_field: str, title_fields: Sequence[str]) -> Reading:
    """Read a table with a header line; columns may be separated by comma, semicolon, tab or bar.

    Raises:
        ReadFailure: ``missing_text_field`` (no column of that name), ``bad_table``, or see
            :func:`pipeline.ingest.readers.decode.decode`.
    """
    text = decode(data)
    head = text.partition("\n")[0]
    separator = max(SEPARATORS, key=head.count)
    csv.field_size_limit(max(len(text), 1))
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        columns = list(table.fieldnames or ())
        _require(columns, text_field)
        return _reading(table, text_field, title_fields)
    except csv.Error as error:
        raise ReadFailure("bad_table", f"line {table.line_num}: {error}; mend that line") from error


def read_parquet(data: bytes, text_field: str, title_fields: Sequence[str]) -> Reading:
    """Read a Parquet file, some rows at a time.

    Raises:
        ReadFailure: ``missing_text_field``, ``empty_file`` or ``unreadable_parquet``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not data:
        raise ReadFailure("empty_file", "0 bytes found", 0, 1)
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        columns = file.schema_arrow.names
        _require(columns, text_field)
        wanted = [name for name in (text_field, *title_fields) if name in columns]
        rows = (
            row
            for batch in file.iter_batches(PARQUET_ROWS, columns=wanted)
            for row in batch.to_pylist()
        )
        return _reading(rows, text_field, title_fields)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ReadFailure("unreadable_parquet", f"{type(error).__name__}: {error}") from error


def _require(columns: Sequence[str], text_field: str) -> None:
    if text_field not in columns:
        raise ReadFailure(
            "missing_text_field",
            f"columns {list(columns)[:20]} found; expected {text_field!r}; set ingest.text_field",
        )


def _reading(
    rows: Iterable[Mapping[str, Any]], text_field: str, title_fields: Sequence[str]
) -> Reading:
    records: list[Record] = []
    failures: list[Failure] = []
    for number, row in enumerate(rows, start=1):
        found = record_of(row, str(number), text_field, title_fields)
        if isinstance(found, Failure):
            failures.append(found)
        else:
            records.append(found._replace(span_end=len(found.text)))
    if not records and not failures:
        raise ReadFailure("empty_file", "no row found", 0, 1)
    return Reading(records, failures)
