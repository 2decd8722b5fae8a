"""What of a home is a document's: its rows by their ids, its words wherever they were copied.

Copies that have no ids (excerpts in ledgers and reports, prompts in the reply cache, tasks and logs
of servers) are known by runs of five words that the document, its chunks or its pairs have and no
other one does, kept as hashes: a killed forgetting goes on when the text is gone already.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import polars as pl

from flows.views.trace import models_trained_on
from pipeline.core.home import Home
from pipeline.core.record import Record
from pipeline.documents.files.read_file import text_digest
from pipeline.text.words import words

RUN = 5  # words in a row by which a text is known again; fewer are a phrase of anybody's
LEAST = 3  # words of a text from which it counts as a whole where it has less than a run
IDS = ("doc_id", "chunk_id", "other_chunk_id", "pair_id", "id")
WORDED = ("text", "title", "section", "instruction", "input", "response", "evidence", "history",
          "question", "answer", "original_response")  # fmt: skip
"""Columns with words of the document or of what was made of it."""
SOURCES = ("raw_documents", "documents", "trimmed_documents", "unique_documents", "chunks",
           "gold_rows", "gold_pairs", "candidate_pairs", "traffic_pairs", "screened_pairs",
           "settled_pairs", "clean_pairs")  # fmt: skip
"""Data sets with texts of documents and of what was made of them: of others are copies."""


class Held(Record):
    """How a document is known in a home."""

    doc_ids: tuple[str, ...]  # of the document, and of those with exactly its text
    sources: tuple[str, ...]
    texts: tuple[str, ...]  # digests of what the reader gave
    near: tuple[str, ...]  # near copies, by deduplication, and other versions: they stay
    models: tuple[str, ...]
    ids: frozenset[str]  # of the documents, their chunks and pairs
    runs: frozenset[int]

    def names(self, row: dict[str, Any]) -> bool:
        """Whether a row is the document's, by its ids."""
        return any(row.get(name) in self.ids for name in IDS)

    def holds(self, value: Any) -> bool:
        """Whether a value, such as a text or a row, has a run of the document's words."""
        return any(run in self.runs for text in strings(value) for run in runs(text))


def strings(value: Any) -> Iterator[str]:
    """Yield the texts in a value; of JSON in a text, those that it holds."""
    if isinstance(value, str):
        if value[:1] in ("{", "[", '"'):
            with contextlib.suppress(ValueError, RecursionError):
                yield from strings(json.loads(value))
        yield value
    elif isinstance(value, dict):
        for item in value.items():
            yield from strings(list(item))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings(item)


def runs(text: str) -> Iterator[int]:
    """Yield the hashes of the runs of words in a text."""
    found = words(text)
    for at in range(max(len(found) - RUN + 1, int(len(found) >= LEAST))):
        run = " ".join(found[at : at + RUN]).encode()
        yield int.from_bytes(hashlib.blake2b(run, digest_size=8).digest())


def held_by(home: Home, name: str) -> Held | None:
    """Find a document, by its id or its source, in all data sets; None where none has it."""
    tables = [item for item in home.manifests() if item.dataset in SOURCES]
    frames = [(item.dataset, home.rows(home.dataset(str(item)))) for item in tables]
    raw = [row for kind, frame in frames if kind == "raw_documents" for row in frame.to_dicts()]
    texts = {text_digest(row["text"]) for row in raw if name in (row["doc_id"], row["source"])}
    own = [row for row in raw if text_digest(row["text"]) in texts]
    if not own:
        return None
    ids = documents = {row["doc_id"] for row in own}
    sources = {row["source"] for row in own}
    # A pair may be made of two documents: it goes with either, the chunk of the other one stays.
    for column, keys in (("chunk_id", ("doc_id",)), ("pair_id", IDS)):
        found: set[str] = set()
        for _, frame in frames:
            if column in frame.columns:
                known = pl.col(sorted({column, *keys}.intersection(frame.columns)))
                found.update(frame.filter(pl.any_horizontal(known.is_in(sorted(ids))))[column])
        ids = ids | (found - {""})
    mine: set[int] = set()
    others: list[list[Any]] = []
    for _, frame in frames:
        for row in frame.iter_rows(named=True):
            worded = [row[name] for name in WORDED if name in row]
            if ids.isdisjoint(row.get(key) for key in IDS):
                others.append(worded)
            else:
                mine.update(run for text in strings(worded) for run in runs(text))
    for worded in others:
        mine.difference_update(run for text in strings(worded) for run in runs(text))
    near = {row["doc_id"] for row in raw if row["source"] in sources} - documents
    for item in (item for item in tables if item.dataset == "unique_documents"):
        for row in home.rows(home.dataset(str(item)), dropped=True).iter_rows(named=True):
            pair = {row["id"], row["related_id"]}
            near |= pair - documents if pair & documents else set()
    learned = (model for key in sorted(documents) for model in models_trained_on(home, key))
    return Held(
        doc_ids=tuple(sorted(documents)),
        sources=tuple(sorted(sources)),
        texts=tuple(sorted(texts)),
        near=tuple(sorted(key for key in near if key)),
        models=tuple(dict.fromkeys(map(str, learned))),
        ids=frozenset(ids),
        runs=frozenset(mine),
    )
