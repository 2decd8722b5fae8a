"""Rows of a table or of JSON Lines: each is a document of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.documents.readers.reading import Failure, Record


def record_of(
    row: Any, number: str, text_field: str, title_fields: Sequence[str]
) -> Record | Failure:
    """Return the document in a row, or why there is none.

    Returns:
        A record without a span, or ``missing_text_field`` or ``empty_record``.
    """
    if not isinstance(row, Mapping) or not isinstance(row.get(text_field), str):
        fields = sorted(map(str, row)) if isinstance(row, Mapping) else type(row).__name__
        return Failure(
            number,
            "missing_text_field",
            f"record {number}: {fields} found; expected a string in {text_field!r}; "
            "set ingest.text_field",
        )
    text = encodable(row[text_field])
    if not text.strip():
        return Failure(number, "empty_record", f"record {number}: {text_field!r} is empty", 0, 1)
    titles = [row[field] for field in title_fields if isinstance(row.get(field), str)]
    return Record(number, encodable(" ".join(titles[0].split())) if titles else "", text, 0, 0)


def encodable(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON may escape but UTF-8 cannot hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
