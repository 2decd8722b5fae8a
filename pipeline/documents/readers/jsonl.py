"""JSON Lines: each record is a document."""

import json
from collections.abc import Sequence
from typing import Any

from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.reading import Failure, ReadFailure, Reading, Record
from pipeline.documents.readers.rows import record_of


def read(data: bytes, text_field: str, title_fields: Sequence[str]) -> Reading:
    """Read the named text field of each line; a bad line fails alone.

    Returns:
        Records named by line number from 1, spans of their line in the decoded file. Failures
        are ``bad_json``, ``missing_text_field`` (absent, or not a string) and ``empty_record``.

    Raises:
        ReadFailure: See :func:`pipeline.documents.readers.decode.decode`; a file without any
            record is ``empty_file``.
    """
    text = decode(data)
    records: list[Record] = []
    failures: list[Failure] = []
    start = 0
    for number, line in enumerate(text.split("\n"), start=1):
        end = start + len(line)
        if line.strip():
            found = _record(line, str(number), text_field, title_fields)
            if isinstance(found, Failure):
                failures.append(found)
            else:
                records.append(found._replace(span_start=start, span_end=end))
        start = end + 1
    if not records and not failures:
        raise ReadFailure("empty_file", "no record found", 0, 1)
    return Reading(records, failures)


def _record(
    line: str, number: str, text_field: str, title_fields: Sequence[str]
) -> Record | Failure:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError) as error:  # RecursionError: thousands of open brackets
        return Failure(number, "bad_json", f"line {number} is not JSON: {error}")
    return record_of(value, number, text_field, title_fields)
