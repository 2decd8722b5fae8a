"""CSV, TSV and Parquet: each row is a document, its text in a named column."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.reading import Failure, ReadFailure, Reading, Record
from pipeline.documents.readers.rows import record_of

SEPARATORS = ",;\t|"
"""Of a CSV file; the most frequent one in its first line is taken (spreadsheets of a language
with a decimal comma write semicolons). A TSV file has tabs, as its name says."""

PARQUET_ROWS = 1024
"""Rows read at once."""


def read_csv(
    data: bytes, text_field: str, title_fields: Sequence[str], separators: str = SEPARATORS
) -> Reading:
    """Read a table with a header line, quoted as RFC 4180 has it; blank lines are skipped.

    Returns:
        Records named by row from 1, the header not counted. Failures of rows are
        ``bad_table`` (more cells than columns, or a quote that does not end)
        and ``empty_record``.

    Raises:
        ReadFailure: ``missing_text_field`` (no column of that name), ``bad_table`` (the header),
            ``empty_file``, or see :func:`pipeline.documents.readers.decode.decode`.
    """
    text = decode(data)
    head = text.lstrip("\n").partition("\n")[0]
    separator = max(separators, key=head.count)
    # Of the whole process: only ever raised, since others read CSV too.
    csv.field_size_limit(max(len(text), csv.field_size_limit()))
    # Strict, since a quote that is left open would swallow the rows behind it in silence.
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = _rows(table)
    columns = next(rows, [])
    if isinstance(columns, str):
        raise ReadFailure("bad_table", f"the header: {columns}")
    _require(columns, text_field)
    return _reading((_named(row, columns) for row in rows), text_field, title_fields)


def _rows(table: Any) -> Iterator[list[str] | str]:
    """Yield the rows of a CSV reader, or what is wrong with one."""
    while True:
        line = table.line_num + 1
        try:
            row = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            yield f"line {line}: {error}; mend its quotes"
        else:
            if row:
                yield row


def _named(row: list[str] | str, columns: Sequence[str]) -> Mapping[str, str] | str:
    if isinstance(row, str):
        return row
    if len(row) <= len(columns):  # empty cells at the end may be left out
        return dict(zip_longest(columns, row, fillvalue=""))
    return (
        f"{len(row)} cells found; expected {len(columns)}, as the header has; put cells with a "
        "separator in quotes"
    )


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
    if list(columns).count(text_field) > 1:
        raise ReadFailure(
            "bad_table", f"several columns are named {text_field!r}; expected one; rename them"
        )


def _reading(
    rows: Iterable[Mapping[str, Any] | str], text_field: str, title_fields: Sequence[str]
) -> Reading:
    records: list[Record] = []
    failures: list[Failure] = []
    for number, row in enumerate(rows, start=1):
        if isinstance(row, str):
            failures.append(Failure(str(number), "bad_table", row))
            continue
        found = record_of(row, str(number), text_field, title_fields)
        if isinstance(found, Failure):
            failures.append(found)
        else:
            records.append(found._replace(span_end=len(found.text)))
    if not records and not failures:
        raise ReadFailure("empty_file", "no row found", 0, 1)
    return Reading(records, failures)
