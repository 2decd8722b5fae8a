"""Records of JSON Lines, CSV, TSV and Parquet: each is a document, its text in a named field.

They are named by line or row from 1, a header not counted. A file without any record is
``empty_file``. A record fails alone: as ``bad_json``, ``bad_table`` (more cells than columns, or a
quote that does not end), ``missing_text_field`` (absent, or not a string) or ``empty_record``.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from typing import Any

from pipeline.documents.readers.decode import decode, encodable
from pipeline.documents.readers.reading import (
    Failure,
    ReadFailure,
    Reading,
    Record,
    failing_as,
    fenced,
)

SEPARATORS = ",;\t|"
"""Of a CSV file: the one that cuts most of its first lines into as many cells as the first of them
is taken (spreadsheets of a language with a decimal comma write semicolons). A TSV file has tabs, as
its name says."""
LINES_ASKED = 50
_NAMED = re.compile(r"\A\n*sep=([,;\t|:])[ \t]*\n", re.IGNORECASE)
"""A first line of spreadsheet programs that names the separator, and is no row."""
PARQUET_ROWS = 1024  # rows read at once
_Row = tuple[int, Any, tuple[int, int] | None]
"""Number; what it holds; its characters in the decoded file (None: as long as its text)."""


def read_jsonl(data: bytes, text_field: str, title_fields: Sequence[str]) -> Reading:
    """Read each line that is not blank; spans are those of lines; raises as :mod:`.decode` does."""
    return _reading(_lines(decode(data)), text_field, title_fields)


def read_json(data: bytes, text_field: str, title_fields: Sequence[str]) -> Reading:
    """Read a JSON file: an array of records, or an object with the text field, as JSON Lines.

    An export has the array in an object: ``{"articles": [...]}``. All else is configuration, of
    which people ask by its keys and how they are nested: code, as it stands. ReadFailure:
    ``bad_json``, ``empty_file``, or of :func:`.decode.decode`.
    """
    text = decode(data)
    if not text.strip():
        return fenced(text, "json")
    with failing_as("bad_json", "; expected one value; give JSON Lines the name .jsonl"):
        value = json.loads(text)
    candidates = value.values() if isinstance(value, Mapping) else [value]
    inside = [each for each in candidates if _are_records(each, text_field)]
    if isinstance(value, Mapping) and isinstance(value.get(text_field), str):
        inside = [[value]]
    if len(inside) == 1:
        rows = ((number, each, None) for number, each in enumerate(inside[0], start=1))
        return _reading(rows, text_field, title_fields)
    if not value and not isinstance(value, int | float):
        raise ReadFailure("empty_file", f"{text.strip()[:20]} found; expected a record", 0, 1)
    return fenced(text, "json")


def _are_records(value: Any, text_field: str) -> bool:
    rows = isinstance(value, list) and all(isinstance(each, Mapping) for each in value)
    return rows and any(text_field in each for each in value)


def _lines(text: str) -> Iterator[_Row | Failure]:
    start = 0
    for number, line in enumerate(text.split("\n"), start=1):
        span = start, start + len(line)
        start = span[1] + 1
        if not line.strip():
            continue
        try:
            yield number, json.loads(line), span
        except (ValueError, RecursionError) as error:  # RecursionError: thousands of open brackets
            message = f"line {number} is not JSON: {error}"
            yield Failure("bad_json", message, record=str(number))


def read_csv(
    data: bytes, text_field: str, title_fields: Sequence[str], separators: str = SEPARATORS
) -> Reading:
    """Read a table with a header line, quoted as RFC 4180 has it; blank lines are skipped.

    Where the text is the last column, it may hold separators without quotes. ReadFailure:
    ``missing_text_field`` (no column of that name), ``bad_table`` (the header), ``empty_file``, or
    of :func:`.decode.decode`.
    """
    return _reading(_rows(data, separators, text_field), text_field, title_fields)


def csv_rows(data: bytes, separators: str = SEPARATORS) -> Iterator[dict[str, str]]:
    """Yield the rows of a table as :func:`read_csv` has them by column; ReadFailure: a bad one."""
    for row in _rows(data, separators):
        if isinstance(row, Failure):
            raise ReadFailure(row.reason, row.message)
        yield row[1]


def _rows(data: bytes, separators: str, text_field: str | None = None) -> Iterator[_Row | Failure]:
    """Yield the rows of a table by column, which has to have the text field if there is one."""
    text = decode(data)
    # Of the whole process: only ever raised, since others read CSV too.
    csv.field_size_limit(max(len(text), csv.field_size_limit()))
    if first := _NAMED.match(text):
        text, separator = text[first.end() :], first[1]
    else:
        separator = max(separators, key=lambda each: _agreement(text, each))
    rows = _cells(text, separator)
    columns = next(rows, [])
    if isinstance(columns, str):
        raise ReadFailure("bad_table", f"the header: {columns}")
    if text_field is not None:
        _require(columns, text_field)
    joint = separator if text_field is not None and columns[-1] == text_field else ""
    for number, row in enumerate(rows, start=1):
        yield _named(number, row, columns, joint)


def _agreement(text: str, separator: str) -> tuple[int, int]:
    """Return how many of the first rows have as many cells as the header, and how many it has."""
    rows = islice(_cells(text, separator), LINES_ASKED)
    first = [row for row in rows if not isinstance(row, str)]
    cells = len(first[0]) if first else 0
    return (sum(len(row) == cells for row in first), cells) if cells > 1 else (0, cells)


def _cells(text: str, separator: str) -> Iterator[list[str] | str]:
    # Strict, since a quote that is left open would swallow the rows behind it in silence.
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
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


def _named(number: int, row: list[str] | str, columns: Sequence[str], joint: str) -> _Row | Failure:
    """Return a row by column; a ``joint`` puts together a last cell that was cut there."""
    if isinstance(row, str):
        return Failure("bad_table", row, record=str(number))
    if joint and len(row) > len(columns):
        last = len(columns) - 1
        row = [*row[:last], joint.join(row[last:])]
    if len(row) <= len(columns):  # empty cells at the end may be left out
        return number, dict(zip_longest(columns, row, fillvalue="")), None
    message = (
        f"{len(row)} cells found; expected {len(columns)}, as the header has; put cells with a "
        "separator in quotes"
    )
    return Failure("bad_table", message, record=str(number))


def read_parquet(data: bytes, text_field: str, title_fields: Sequence[str]) -> Reading:
    """Read a Parquet file, some rows at a time.

    ReadFailure: ``missing_text_field``, ``bad_table``, ``empty_file``, ``unreadable_parquet``.
    """
    import pyarrow.parquet as pq

    if not data:
        raise ReadFailure("empty_file", "0 bytes found", 0, 1)
    with failing_as("unreadable_parquet"):
        file = pq.ParquetFile(io.BytesIO(data))
        columns = file.schema_arrow.names
        _require(columns, text_field)
        names = [name for name in (text_field, *title_fields) if name in columns]
        batches = file.iter_batches(PARQUET_ROWS, columns=names)
        rows = (row for batch in batches for row in batch.to_pylist())
        numbered = ((number, row, None) for number, row in enumerate(rows, start=1))
        return _reading(numbered, text_field, title_fields)


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
    found = [
        row if isinstance(row, Failure) else _record(row, text_field, title_fields) for row in rows
    ]
    if not found:
        raise ReadFailure("empty_file", "no record found", 0, 1)
    records = [each for each in found if isinstance(each, Record)]
    return Reading(records, [each for each in found if isinstance(each, Failure)])


def _record(row: _Row, text_field: str, title_fields: Sequence[str]) -> Record | Failure:
    """Return the document in a record, or why there is none; of a mapping named fields count."""
    number, value, span = str(row[0]), *row[1:]
    if not isinstance(value, Mapping) or not isinstance(value.get(text_field), str):
        fields = sorted(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
        found = f"record {number}: {fields} found; expected a string in {text_field!r}"
        return Failure("missing_text_field", f"{found}; set ingest.text_field", record=number)
    text = encodable(value[text_field])
    if not text.strip():
        message = f"record {number}: {text_field!r} is empty"
        return Failure("empty_record", message, 0, 1, record=number)
    titles = [value[field] for field in title_fields if isinstance(value.get(field), str)]
    title = encodable(" ".join(titles[0].split())) if titles else ""
    return Record(number, title, text, *(span or (0, len(text))))
