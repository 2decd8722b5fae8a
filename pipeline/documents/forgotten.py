"""Documents that were forgotten: refused by the digest of their text, of which no word is kept."""

from pathlib import Path

from pipeline.core.journal import append, read_rows
from pipeline.core.record import Record

LEDGER = "forgotten.jsonl"


class Forgotten(Record):
    """A line of ``<home>/forgotten.jsonl``; the last of its documents counts."""

    doc_ids: tuple[str, ...]
    sources: tuple[str, ...]
    texts: tuple[str, ...]  # digests: :func:`pipeline.documents.files.read_file.text_digest`
    models: tuple[str, ...]  # ``model/fingerprint`` of those that were trained on it
    at: str  # UTC, ISO 8601
    done: bool  # False: written before anything was removed


def forgotten(home: Path) -> list[Forgotten]:
    """Return the documents of a home that were forgotten, or are being."""
    rows = (Forgotten.model_validate(row) for row in read_rows(home / LEDGER))
    return list({row.doc_ids: row for row in rows}.values())


def refused(home: Path) -> frozenset[str]:
    """Return the digests of the texts that no document may have."""
    return frozenset(text for row in forgotten(home) for text in row.texts)


def note(home: Path, row: Forgotten) -> None:
    """Append a line, on the disk before this returns."""
    append(home / LEDGER, [row.model_dump(mode="json")])
