"""What of a home is a document's: its rows by their ids, its words wherever they were copied.

Copies of its text are in places that have no ids: excerpts in ledgers and reports, prompts in the
reply cache, tasks and logs of servers. They are known by runs of five words that the document,
its chunks or its pairs have and no other document, chunk or pair does. The runs are kept as hashes,
so that a forgetting that was killed goes on when the text is gone already.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from pipeline.core.errors import InputError
from pipeline.core.home import Home
from pipeline.core.record import Record
from pipeline.core.store import DROPPED, PART
from pipeline.documents.files.read_file import text_digest
from pipeline.text.words import words

RUN = 5
"""Words in a row by which a text is known again; fewer are a phrase of anybody's."""
LEAST = 3
"""Words of a text from which it counts as a whole where it has less than a run."""
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

    doc_ids: tuple[str, ...]
    """Of the document, and of those with exactly its text."""
    sources: tuple[str, ...]
    texts: tuple[str, ...]
    """Digests of what the reader gave."""
    near: tuple[str, ...]
    """Near copies, by deduplication, and other versions: not forgotten with it."""
    models: tuple[str, ...]
    ids: frozenset[str]
    """Of the documents, their chunks and pairs."""
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


def held_by(home: Home, name: str) -> Held:
    """Find a document, by its id or its source, in all data sets; an InputError without any."""
    tables = [item for item in home.manifests() if item.dataset in SOURCES]
    frames = [(item.dataset, home.store.parquet(home.dataset(str(item)), PART)) for item in tables]
    raw = [row for kind, frame in frames if kind == "raw_documents" for row in frame.to_dicts()]
    texts = {text_digest(row["text"]) for row in raw if name in (row["doc_id"], row["source"])}
    own = [row for row in raw if text_digest(row["text"]) in texts]
    if not own:
        raise InputError(
            f"forget: no document {name!r} in any data set; expected an id or a path below the "
            "input folder, as `tuneloop show raw_documents` prints them"
        )
    ids = documents = {row["doc_id"] for row in own}
    sources = {row["source"] for row in own}
    # A pair may be made of two documents: it goes with either, the chunk of the other one stays.
    for column, keys in (("chunk_id", ("doc_id",)), ("pair_id", IDS)):
        found = set()
        for _, frame in frames:
            if column in frame.columns:
                known = [column, *(key for key in keys if key in frame.columns and key != column)]
                for own_id, *rest in frame.select(known).iter_rows():
                    if not ids.isdisjoint((own_id, *rest)):
                        found.add(own_id)
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
        for row in home.store.parquet(home.dataset(str(item)), DROPPED).to_dicts():
            pair = {row["id"], row["related_id"]}
            near |= pair - documents if pair & documents else set()
    return Held(
        doc_ids=tuple(sorted(documents)),
        sources=tuple(sorted(sources)),
        texts=tuple(sorted(texts)),
        near=tuple(sorted(key for key in near if key)),
        models=(),
        ids=frozenset(ids),
        runs=frozenset(mine),
    )
