"""Records of JSON Lines, CSV, TSV and Parquet: each is a document, its text in a named field."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from typing import Any, NamedTuple

from pipeline.documents.readers.code import fenced
from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.reading import Failure, ReadFailure, Reading, Record

SEPARATORS = ",;\t|"
"""Of a CSV file: the one that cuts most of its first lines into as many cells as the first of them
is taken (spreadsheets of a language with a decimal comma write semicolons). A TSV file has tabs, as
its name says."""

LINES_ASKED = 50

_NAMED = re.compile(r"\A\n*sep=([,;\t|:])[ \t]*\n", re.IGNORECASE)
"""A first line of spreadsheet programs that names the separator, and is no row."""

PARQUET_ROWS = 1024
"""Rows read at once."""


class _Row(NamedTuple):
    """A record before its fields are looked at."""

    number: int
    """Line or row from 1, the header not counted."""
    value: Any
    span: tuple[int, int] | None = None
    """Characters in the decoded file; None: as long as its text."""


def read_jsonl(data: bytes, text_field: str, title_fields: Sequence[str]) -> Reading:
    """Read the named text field of each line; a bad line fails alone, a blank one is skipped.

    Returns:
        Records named by line number from 1, spans of their line in the decoded file. Failures
        are ``bad_json``, ``missing_text_field`` (absent, or not a string) and ``empty_record``.

    Raises:
        ReadFailure: See :func:`pipeline.documents.readers.decode.decode`; a file without any
            record is ``empty_file``.
    """
    return _reading(_lines(decode(data)), text_field, title_fields)


def read_json(data: bytes, text_field: str, title_fields: Sequence[str]) -> Reading:
    """Read a JSON file: an array of records, or an object with the text field, as JSON Lines.

    An export has the array in an object: ``{"articles": [...]}``. All else is configuration, of
    which people ask by its keys and how they are nested: code, as it stands.

    Returns:
        As :func:`read_jsonl` does, records numbered from 1 in the array.

    Raises:
        ReadFailure: ``bad_json``, ``empty_file``, or see
            :func:`pipeline.documents.readers.decode.decode`.
    """
    text = decode(data)
    if not text.strip():
        raise ReadFailure("empty_file", "no text found", float(len(text)), 1)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReadFailure(
            "bad_json", f"not JSON: {error}; expected one value; give JSON Lines the name .jsonl"
        ) from error
    if isinstance(value, Mapping):
        inside = [each for each in value.values() if _are_records(each, text_field)]
        if isinstance(value.get(text_field), str):
            inside = [[value]]
        records = inside[0] if len(inside) == 1 else None
    else:
        records = value if _are_records(value, text_field) else None
    if records is not None:
        rows = (_Row(number, each) for number, each in enumerate(records, start=1))
        return _reading(rows, text_field, title_fields)
    if not value and not isinstance(value, int | float):
        raise ReadFailure("empty_file", f"{text.strip()[:20]} found; expected a record", 0, 1)
    return fenced(text, "json")


def _are_records(value: Any, text_field: str) -> bool:
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        return False
    return any(text_field in each for each in value)


def _lines(text: str) -> Iterator[_Row | Failure]:
    start = 0
    for number, line in enumerate(text.split("\n"), start=1):
        span = start, start + len(line)
        start = span[1] + 1
        if not line.strip():
            continue
        try:
            yield _Row(number, json.loads(line), span=span)
        except (ValueError, RecursionError) as error:  # RecursionError: thousands of open brackets
            yield Failure(str(number), "bad_json", f"line {number} is not JSON: {error}")


def read_csv(
    data: bytes, text_field: str, title_fields: Sequence[str], separators: str = SEPARATORS
) -> Reading:
    """Read a table with a header line, quoted as RFC 4180 has it; blank lines are skipped.

    Returns:
        Records named by row from 1, the header not counted. Where the text is the last column, it
        may hold separators without quotes. Failures of rows are ``bad_table`` (more cells than
        columns, or a quote that does not end) and ``empty_record``.

    Raises:
        ReadFailure: ``missing_text_field`` (no column of that name), ``bad_table`` (the header),
            ``empty_file``, or see :func:`pipeline.documents.readers.decode.decode`.
    """
    columns, rows, separator = _csv(data, separators)
    _require(columns, text_field)
    if columns[-1] == text_field:
        rows = (_last_cell_whole(row, len(columns), separator) for row in rows)
    named = (_named(number, row, columns) for number, row in enumerate(rows, start=1))
    return _reading(named, text_field, title_fields)


def csv_rows(data: bytes, separators: str = SEPARATORS) -> Iterator[dict[str, str]]:
    """Yield the rows of a table with a header line by column; rows as :func:`read_csv` has them.

    Raises:
        ReadFailure: a row cannot be read, or see :func:`read_csv`.
    """
    columns, rows, _ = _csv(data, separators)
    for number, row in enumerate(rows, start=1):
        found = _named(number, row, columns)
        if isinstance(found, Failure):
            raise ReadFailure(found.reason, found.message)
        yield found.value


def _csv(data: bytes, separators: str) -> tuple[list[str], Iterator[list[str] | str], str]:
    """Return the columns of a table, its rows (or what is wrong with one) and its separator."""
    text = decode(data)
    # Of the whole process: only ever raised, since others read CSV too.
    csv.field_size_limit(max(len(text), csv.field_size_limit()))
    if first := _NAMED.match(text):
        text, separator = text[first.end() :], first[1]
    else:
        separator = max(separators, key=lambda each: _agreement(text, each))
    # Strict, since a quote that is left open would swallow the rows behind it in silence.
    rows = _cells(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    columns = next(rows, [])
    if isinstance(columns, str):
        raise ReadFailure("bad_table", f"the header: {columns}")
    return columns, rows, separator


def _agreement(text: str, separator: str) -> tuple[int, int]:
    """Return how many of the first rows have as many cells as the header, and how many it has."""
    rows = _cells(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    first = [row for row in islice(rows, LINES_ASKED) if not isinstance(row, str)]
    cells = len(first[0]) if first else 0
    return (sum(len(row) == cells for row in first), cells) if cells > 1 else (0, cells)


def _cells(table: Any) -> Iterator[list[str] | str]:
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


def _last_cell_whole(row: list[str] | str, columns: int, separator: str) -> list[str] | str:
    """Return a row whose last cell, the text, was cut at separators that stand without quotes."""
    if isinstance(row, str) or len(row) <= columns:
        return row
    return [*row[: columns - 1], separator.join(row[columns - 1 :])]


def _named(number: int, row: list[str] | str, columns: Sequence[str]) -> _Row | Failure:
    if isinstance(row, str):
        return Failure(str(number), "bad_table", row)
    if len(row) <= len(columns):  # empty cells at the end may be left out
        return _Row(number, dict(zip_longest(columns, row, fillvalue="")))
    message = (
        f"{len(row)} cells found; expected {len(columns)}, as the header has; put cells with a "
        "separator in quotes"
    )
    return Failure(str(number), "bad_table", message)


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
        names = [name for name in (text_field, *title_fields) if name in columns]
        batches = file.iter_batches(PARQUET_ROWS, columns=names)
        rows = (row for batch in batches for row in batch.to_pylist())
        numbered = (_Row(number, row) for number, row in enumerate(rows, start=1))
        return _reading(numbered, text_field, title_fields)
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
    rows: Iterable[_Row | Failure], text_field: str, title_fields: Sequence[str]
) -> Reading:
    reading = Reading([], [])
    for row in rows:
        record = row if isinstance(row, Failure) else _record(row, text_field, title_fields)
        if isinstance(record, Failure):
            reading.failures.append(record)
        else:
            reading.records.append(record)
    if not reading.records and not reading.failures:
        raise ReadFailure("empty_file", "no record found", 0, 1)
    return reading


def _record(row: _Row, text_field: str, title_fields: Sequence[str]) -> Record | Failure:
    """Return the document in a record, or why there is none; of a mapping named fields count."""
    number, value = str(row.number), row.value
    if not isinstance(value, Mapping) or not isinstance(value.get(text_field), str):
        fields = sorted(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
        return Failure(
            number,
            "missing_text_field",
            f"record {number}: {fields} found; expected a string in {text_field!r}; "
            "set ingest.text_field",
        )
    text = encodable(value[text_field])
    if not text.strip():
        return Failure(number, "empty_record", f"record {number}: {text_field!r} is empty", 0, 1)
    titles = [value[field] for field in title_fields if isinstance(value.get(field), str)]
    title = encodable(" ".join(titles[0].split())) if titles else ""
    return Record(number, title, text, *(row.span or (0, len(text))))


def encodable(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON may escape but UTF-8 cannot hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
