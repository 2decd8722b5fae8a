"""Sections of documents as clusters, for a corpus of too few documents to be split by them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.cache import short_id
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

    Sections are those of the fewest heading levels that give :data:`ENOUGH` of them, else of all
    levels; their chunks stay together. Where headings are that few, a section of many chunks is
    cut into runs of consecutive ones. Sections that are near duplicates are one cluster. A
    cluster is named after its document's cluster and its heading, so it keeps its split when the
    text is edited.
    """
    named = chunks.join(documents.select("doc_id", "cluster_id"), on="doc_id")
    rows = named.sort("cluster_id", "start", "chunk_id").to_dicts()
    deepest = max((len(_path(row)) for row in rows), default=0)
    for depth in range(1, max(1, deepest) + 1):
        groups = _sections(rows, depth)
        if len(groups) >= ENOUGH:
            return _named(groups, depth)
    longest = max(SHORTEST_RUN, -(-len(rows) // ENOUGH))
    found = _named([run for group in groups for run in _runs(group, longest)], depth)
    if len({row["cluster_id"] for row in found}) >= FEWEST:
        return found
    return _named([[row] for row in rows], depth)


def _sections(rows: list[dict[str, Any]], depth: int) -> list[list[dict[str, Any]]]:
    """Return consecutive chunks under the same headings, of so many levels."""
    by = groupby(rows, lambda row: (row["doc_id"], _path(row)[:depth]))
    return [list(group) for _, group in by]


def _path(row: dict[str, Any]) -> list[str]:
    return row["section"].split(" > ") if row["section"] else []


def _runs(group: list[dict[str, Any]], longest: int) -> Iterator[list[dict[str, Any]]]:
    """Yield consecutive chunks of a section in runs of about equal length."""
    count = -(-len(group) // longest)
    for number in range(count):
        yield group[number * len(group) // count : (number + 1) * len(group) // count]


def _named(sections: Sequence[Sequence[dict[str, Any]]], depth: int) -> list[dict[str, str]]:
    before: Counter[tuple[str, ...]] = Counter()
    names = []
    for section in sections:
        key = (section[0]["cluster_id"], *_path(section[0])[:depth])
        names.append(short_id(*key, str(before[key])))
        before[key] += 1
    texts = pl.Series(["\n".join(row["text"] for row in section) for section in sections])
    alike = find_duplicates(
        texts, np.arange(len(texts)), DedupSettings(), limit=max(1, len(texts))
    ).survivor
    return [
        {"doc_id": row["doc_id"], "chunk_id": row["chunk_id"], "cluster_id": names[survivor]}
        for section, survivor in zip(sections, alike, strict=True)
        for row in section
    ]
