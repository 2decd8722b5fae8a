"""Sections: the parts of a few documents that are split where whole documents are too few."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import polars as pl

from pipeline.core.cache import short_id
from pipeline.dedup.families import FEWEST

ENOUGH = 60
"""Sections wanted of a document: a test split of 15 % then has 9, and the gate asks for 6."""

SHORTEST_RUN = 3
"""Chunks of about a page: a section is not cut finer than that while there are others."""


class Section(NamedTuple):
    """Consecutive chunks under one heading, or some of them."""

    heading: list[str]
    chunks: list[dict[str, Any]]


def sections_of(chunks: pl.DataFrame) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the name and the chunks of each section.

    Sections of a document are those of the fewest heading levels that give :data:`ENOUGH` of
    them, else of all levels; their chunks stay together. Where headings are that few, a section of
    many chunks is cut into runs of consecutive ones. A section is named after its document's
    cluster and its heading, so that it keeps its name when the text is edited.

    Args:
        chunks: with the ``cluster_id`` of their document.
    """
    rows = chunks.sort("cluster_id", "start", "chunk_id").to_dicts()
    by_document = [list(group) for _, group in groupby(rows, lambda row: row["doc_id"])]
    sections = [section for document in by_document for section in _sections(document)]
    if len(sections) < FEWEST:
        sections = [Section(_path(row), [row]) for row in rows]
    before: Counter[tuple[str, ...]] = Counter()
    named = []
    for heading, members in sections:
        key = (members[0]["cluster_id"], *heading)
        named.append((short_id(*key, str(before[key])), members))
        before[key] += 1
    return named


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
