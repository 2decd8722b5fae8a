"""JSON Lines: each record is a document."""

import json
from collections.abc import Sequence
from typing import Any

from pipeline.ingest.readers.decode import decode
from pipeline.ingest.readers.reading import Failure, ReadFailure, Reading, Record


def read(data: bytes, text_field: str, title_fields: Sequence[str]) -> Reading:
    """Read the named text field of each line; a bad line fails alone.

    Args:
        data: The whole file; blank lines are skipped.
        text_field: Field that holds the text of a record.
        title_fields: Fields that may hold its title, best first.

    Returns:
        Records named by line number from 1, spans of their line in the decoded file. Failures
        are ``bad_json``, ``missing_text_field`` (absent, or not a string) and ``empty_record``.

    Raises:
        ReadFailure: See :func:`pipeline.ingest.readers.decode.decode`; a file without any
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
    if not isinstance(value, dict) or not isinstance(value.get(text_field), str):
        fields = sorted(value) if isinstance(value, dict) else type(value).__name__
        return Failure(
            number,
            "missing_text_field",
            f"line {number}: {fields} found; expected a string in {text_field!r}; "
            "set ingest.text_field",
        )
    text = _encodable(value[text_field])
    if not text.strip():
        return Failure(number, "empty_record", f"line {number}: {text_field!r} is empty", 0, 1)
    titles = [value[field] for field in title_fields if isinstance(value.get(field), str)]
    return Record(number, _encodable(" ".join(titles[0].split())) if titles else "", text, 0, 0)


def _encodable(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON may escape but UTF-8 cannot hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
