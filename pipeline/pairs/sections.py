"""Sections of documents as clusters, for a corpus of too few documents to be split by them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.dedup.search import find_duplicates
from pipeline.settings import DedupSettings
from schemas.chunks import Chunks
from schemas.documents import UniqueDocuments

ENOUGH = 60
"""Sections wanted: a test split of 15 % then has 9, and the gate asks for 6 independent ones."""

SHORTEST_RUN = 3
"""Chunks of about a page: a section is not cut finer than that while there are others."""

FEWEST = 3
"""One for each split."""


def cluster_sections(
    documents: DataFrame[UniqueDocuments], chunks: DataFrame[Chunks]
) -> list[dict[str, str]]:
    """Return ``doc_id``, ``chunk_id`` and ``cluster_id`` of each chunk, a cluster being a section.

    Sections of a document are those of the fewest heading levels that give :data:`ENOUGH` of
    them, else of all levels; their chunks stay together. Where headings are that few, a section of
    many chunks is cut into runs of consecutive ones. Sections that are near duplicates are one
    cluster. A cluster is named after its document's cluster and its heading, so it keeps its split
    when the text is edited or a document is added.
    """
    named = chunks.join(documents.select("doc_id", "cluster_id"), on="doc_id")
    rows = named.sort("cluster_id", "start", "chunk_id").to_dicts()
    by_document = [list(group) for _, group in groupby(rows, lambda row: row["doc_id"])]
    found = _clusters([section for document in by_document for section in _sections(document)])
    if len({row["cluster_id"] for row in found}) < FEWEST:
        return _clusters([Section(_path(row), [row]) for row in rows])
    return found


class Section(NamedTuple):
    """Consecutive chunks under one heading, or some of them."""

    heading: list[str]
    chunks: list[dict[str, Any]]


def _sections(document: list[dict[str, Any]]) -> list[Section]:
    """Return the sections of the chunks of a document, in order."""
    sections = [Section([], document)]
    for depth in range(1, max(len(_path(row)) for row in document) + 1):
        by = groupby(document, lambda row: _path(row)[:depth])  # noqa: B023 - used up at once
        sections = [Section(heading, list(group)) for heading, group in by]
        if len(sections) >= ENOUGH:
            return sections
    longest = max(SHORTEST_RUN, -(-len(document) // ENOUGH))
    return [run for section in sections for run in _runs(section, longest)]


def _runs(section: Section, longest: int) -> Iterator[Section]:
    """Yield the chunks of a section in runs of about equal length."""
    size = len(section.chunks)
    count = -(-size // longest)
    for number in range(count):
        part = section.chunks[number * size // count : (number + 1) * size // count]
        yield Section(section.heading, part)


def _path(row: dict[str, Any]) -> list[str]:
    return row["section"].split(" > ") if row["section"] else []


def _clusters(sections: Sequence[Section]) -> list[dict[str, str]]:
    """Return each chunk with the cluster of its section: of near duplicates the first one's."""
    before: Counter[tuple[str, ...]] = Counter()
    names = []
    for heading, chunks in sections:
        key = (chunks[0]["cluster_id"], *heading)
        names.append(short_id(*key, str(before[key])))
        before[key] += 1
    texts = pl.Series(["\n".join(row["text"] for row in section.chunks) for section in sections])
    order, settings = np.arange(len(texts)), DedupSettings()
    alike = find_duplicates(texts, order, settings, limit=len(texts)).survivor
    return [
        {"doc_id": row["doc_id"], "chunk_id": row["chunk_id"], "cluster_id": names[survivor]}
        for section, survivor in zip(sections, alike, strict=True)
        for row in section.chunks
    ]
