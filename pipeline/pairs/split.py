"""Assign clusters of documents, or sections of a few, to train, validation and test."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.errors import InputError, SettingsError
from pipeline.core.outcome import Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.dedup.search import find_duplicates
from pipeline.settings import DedupSettings, SplitSettings
from schemas.documents import Chunks, UniqueDocuments
from schemas.pairs import SPLITS, Splits

ENOUGH = 60
"""Sections wanted: a test split of 15 % then has 9, and the gate asks for 6 independent ones."""

SHORTEST_RUN = 3
"""Chunks of about a page: a section is not cut finer than that while there are others."""

FEWEST = 3
"""One for each split."""


class Section(NamedTuple):
    """Consecutive chunks under one heading, or some of them."""

    heading: list[str]
    chunks: list[dict[str, Any]]


def split(
    documents: DataFrame[UniqueDocuments], chunks: DataFrame[Chunks], settings: SplitSettings
) -> Outcome[Splits]:
    """Assign each document to a split by the salted hash of its cluster.

    Of fewer than three documents each section is assigned, by the hash of
    its cluster; ``settings.unit`` decides otherwise.

    The sha256 of salt and ``cluster_id`` gives each cluster a place in [0, 1): below
    ``settings.test`` it is test, then validation, then train. The place depends on nothing else,
    so documents that are added later never move the ones that are there. The one exception is
    for small corpora: when a split with a share above 0 came out empty, it gets the cluster
    whose place is nearest to it from the largest other split, so that the corpus can be judged
    at all; that cluster may return to its own split once others have come.

    Args:
        documents: surviving documents; ``doc_id`` and ``cluster_id`` are read.
        chunks: of these documents, for their sections.
        settings: section ``split``.

    Returns:
        One row a document, or one a chunk, sorted by ``doc_id`` and ``chunk_id``; nothing is
        dropped. Metrics: rows a split (``train``, ``validation``, ``test``), ``moved`` clusters,
        and clusters that are ``sections``.

    Raises:
        InputError: there are fewer than three clusters.
        SettingsError: the shares of validation and test leave nothing for train.
    """
    if settings.validation + settings.test >= 1:
        raise SettingsError(
            f"split: validation {settings.validation:g} and test {settings.test:g} found; "
            "expected a sum below 1, the rest is for train; lower split.validation or split.test"
        )
    whole = documents.height >= FEWEST if settings.unit == "auto" else settings.unit == "document"
    found = (
        [{"chunk_id": ""} | row for row in documents.select("doc_id", "cluster_id").to_dicts()]
        if whole
        else _cluster_sections(documents, chunks)
    )
    places = {row["cluster_id"]: _place(settings.salt, row["cluster_id"]) for row in found}
    if len(places) < FEWEST:
        unit = "documents" if whole else f"sections in {documents.height} documents"
        raise InputError(
            f"split: {len(places)} {unit} found; expected at least {FEWEST}, one each for train, "
            "validation and test; add documents, or longer ones, that are not copies of one another"
            + (', or take split.unit = "section"' if whole else "")
        )
    assigned = {cluster: _by_share(place, settings) for cluster, place in places.items()}
    moved = _fill_empty(assigned, places, settings)
    rows = [
        row | {"split": assigned[row["cluster_id"]]}
        for row in sorted(found, key=lambda row: (row["doc_id"], row["chunk_id"]))
    ]
    counts = Counter(row["split"] for row in rows)
    return Outcome(
        table(Splits, rows),
        drops([]),
        rows_in=documents.height,
        rows_kept=documents.height,
        metrics={name: float(counts[name]) for name in SPLITS}
        | {"moved": float(moved), "sections": 0.0 if whole else float(len(places))},
    )


def _place(salt: str, cluster: str) -> float:
    """Return the place of a cluster in [0, 1): the first 53 bits of the salted sha256."""
    digest = hashlib.sha256(f"{salt}\0{cluster}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)


def _by_share(place: float, settings: SplitSettings) -> str:
    if place < settings.test:
        return "test"
    return "validation" if place < settings.test + settings.validation else "train"


def _fill_empty(assigned: dict[str, str], places: dict[str, float], settings: SplitSettings) -> int:
    """Give each empty split one cluster and return how many were moved."""
    centres = {
        "test": settings.test / 2,
        "validation": settings.test + settings.validation / 2,
        "train": 1.0,
    }
    wanted = {"test": settings.test > 0, "validation": settings.validation > 0, "train": True}
    moved = 0
    for name in ("train", "test", "validation"):
        counts = Counter(assigned.values())
        if counts[name] or not wanted[name]:
            continue
        donor = max(counts, key=lambda other: (counts[other], other))
        nearest = min(
            (cluster for cluster, where in assigned.items() if where == donor),
            key=lambda cluster: (abs(places[cluster] - centres[name]), cluster),
        )
        assigned[nearest] = name
        moved += 1
    return moved


def _cluster_sections(
    documents: DataFrame[UniqueDocuments], chunks: DataFrame[Chunks]
) -> list[dict[str, str]]:
    """Return ``doc_id``, ``chunk_id`` and ``cluster_id`` of each chunk, a cluster being a section.

    Sections of a document are those of the fewest heading levels that give :data:`ENOUGH` of
    them, else of all levels; their chunks stay together. Where headings are that few, a section of
    many chunks is cut into runs of consecutive ones. Sections that are near duplicates, or inside
    others, are one cluster. A cluster is named after its document's cluster and its heading, so it
    keeps its split when the text is edited or a document is added.
    """
    named = chunks.join(documents.select("doc_id", "cluster_id"), on="doc_id")
    rows = named.sort("cluster_id", "start", "chunk_id").to_dicts()
    by_document = [list(group) for _, group in groupby(rows, lambda row: row["doc_id"])]
    found = _clusters([section for document in by_document for section in _sections(document)])
    if len({row["cluster_id"] for row in found}) < FEWEST:
        return _clusters([Section(_path(row), [row]) for row in rows])
    return found


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
    """Return each chunk with the cluster of its section: of duplicates the first one's."""
    before: Counter[tuple[str, ...]] = Counter()
    names = []
    for heading, chunks in sections:
        key = (chunks[0]["cluster_id"], *heading)
        names.append(short_id(*key, str(before[key])))
        before[key] += 1
    texts = pl.Series(["\n".join(row["text"] for row in section.chunks) for section in sections])
    # Sections that differ in numbers alone are no copies, and still too alike for two splits.
    settings = DedupSettings(keep_siblings=False)
    longest_first = -texts.str.len_chars().cast(pl.Int64).to_numpy()
    survivors = find_duplicates(texts, longest_first, settings, limit=len(texts)).survivor
    first: dict[int, str] = {}
    for name, survivor in zip(names, survivors, strict=True):
        first.setdefault(survivor, name)
    return [
        {"doc_id": row["doc_id"], "chunk_id": row["chunk_id"], "cluster_id": first[survivor]}
        for section, survivor in zip(sections, survivors, strict=True)
        for row in section.chunks
    ]


SPLIT = Stage(
    "split",
    split,
    Splits,
    {"documents": UniqueDocuments, "chunks": Chunks},
    section="split",
    dataset="splits",
)
