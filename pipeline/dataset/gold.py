"""Gold pairs: questions with answers that an expert wrote, attached to their documents."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.cache import canonical_json, short_id
from pipeline.dedup.shingles import words
from pipeline.generate.pairs import pair_id
from pipeline.outcome import Drop, Outcome, drops, table
from schemas.documents import RawDocuments, UniqueDocuments
from schemas.drops import Drops
from schemas.pairs import SettledPairs
from schemas.splits import Splits

FIELDS = ("question", "answer", "document")
"""Fields of a gold row, all of them text that is not empty; others are ignored."""


def attach_gold(
    rows: Sequence[Mapping[str, Any]],
    documents: DataFrame[UniqueDocuments],
    duplicates: DataFrame[Drops],
    raw: DataFrame[RawDocuments],
    splits: DataFrame[Splits],
    name: str,
) -> Outcome[SettledPairs]:
    """Make settled pairs of gold rows; each has the split of the document that answers it.

    Args:
        rows: objects with ``question``, ``answer`` and ``document`` (the source path of the
            document below the input folder; a record of a JSONL file as ``path#line``).
        documents: survivors.
        duplicates: what deduplicate dropped; a question about a duplicate follows its survivor.
        raw: documents as they were read, to find a document by its source.
        splits: split and cluster of each survivor.
        name: file of the gold rows, kept as ``generator``.

    Returns:
        Pairs of origin and status ``gold``, sorted by ``pair_id``. Dropped:
        ``malformed_row`` (value: fields that are missing, empty or no text; the id is a hash of
        the row), ``unknown_document`` (no such source was read), ``document_dropped`` (it was
        read but let go, ``related_id``), ``duplicate_question`` (the same words as
        ``related_id``; the smallest pair_id stays).
    """
    read: dict[str, list[str]] = defaultdict(list)
    for doc_id, source in raw.select("doc_id", "source").sort("doc_id").iter_rows():
        read[source].append(doc_id)
    home = _homes(documents, duplicates)
    place = {row["doc_id"]: row for row in splits.iter_rows(named=True)}
    pairs: list[dict[str, Any]] = []
    dropped: list[Drop] = []
    for row in rows:
        bad = [
            field
            for field in FIELDS
            if not (isinstance(row.get(field), str) and row[field].strip())
        ]
        if bad:
            text = canonical_json(dict(row))
            excerpt = f"{', '.join(bad)} missing, empty or no text: {text}"
            dropped.append(Drop(short_id(text), "malformed_row", excerpt, float(len(bad)), 0.0))
            continue
        question, answer, source = (row[field].strip() for field in FIELDS)
        survivors = [home[doc_id] for doc_id in read[source] if doc_id in home]
        if not survivors:
            dropped.append(_homeless(question, answer, source, read[source]))
            continue
        pairs.append(_pair(question, answer, place[survivors[0]], name))
    kept, repeated = _distinct(pairs)
    return Outcome(table(SettledPairs, kept), drops(dropped + repeated), rows_in=len(rows))


def _homes(documents: DataFrame[UniqueDocuments], duplicates: DataFrame[Drops]) -> dict[str, str]:
    """Return the survivor of each document that survived or lost against one that did."""
    home = {doc_id: doc_id for doc_id in documents["doc_id"]}
    lost = duplicates.filter(pl.col("related_id").is_not_null())
    home.update(
        (doc_id, survivor)
        for doc_id, survivor in lost.select("id", "related_id").iter_rows()
        if survivor in home and doc_id not in home
    )
    return home


def _homeless(question: str, answer: str, source: str, known: list[str]) -> Drop:
    """Return the drop of a row without a surviving document; ``known`` was read from its source."""
    excerpt = f"{source}: {question}"
    if known:
        key = pair_id(question, "", answer, known[0], "gold")
        return Drop(key, "document_dropped", excerpt, related_id=known[0])
    return Drop(pair_id(question, "", answer, source, "gold"), "unknown_document", excerpt, 0, 1)


def _pair(question: str, answer: str, place: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {
        "pair_id": pair_id(question, "", answer, place["doc_id"], "gold"),
        "instruction": question,
        "input": "",
        "response": answer,
        "evidence": "",
        "chunk_id": "",
        "doc_id": place["doc_id"],
        "seed_task_id": "",
        "generator": name,
        "prompt_version": "",
        "origin": "gold",
        "score": None,
        "split": place["split"],
        "cluster_id": place["cluster_id"],
        "status": "gold",
        "original_response": None,
        "reviewer": None,
    }


def _distinct(pairs: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Drop]]:
    """Return one pair a question, and the others as drops."""
    kept: dict[str, dict[str, Any]] = {}
    dropped = []
    for pair in sorted(pairs, key=lambda pair: pair["pair_id"]):
        first = kept.setdefault(" ".join(words(pair["instruction"])), pair)
        if first is not pair:
            dropped.append(
                Drop(
                    pair["pair_id"],
                    "duplicate_question",
                    pair["instruction"],
                    1.0,
                    1.0,
                    first["pair_id"],
                )
            )
    return list(kept.values()), dropped
