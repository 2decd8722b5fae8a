"""Assign families of documents, or of sections of a few, to train, validation and test."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.errors import InputError, SettingsError
from pipeline.core.outcome import Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.dedup.families import FEWEST, Families, find_families
from pipeline.pairs.assignment import FEW, Assignment, Unit
from pipeline.settings import SplitSettings
from schemas.documents import Chunks, UniqueDocuments
from schemas.pairs import SPLITS, GoldRows, Splits

ENOUGH = 60
"""Sections wanted of a document: a test split of 15 % then has 9, and the gate asks for 6."""
SHORTEST_RUN = 3
"""Chunks of about a page: a section is not cut finer than that while there are others."""


def split(
    documents: DataFrame[UniqueDocuments],
    chunks: DataFrame[Chunks],
    settings: SplitSettings,
    gold: DataFrame[GoldRows] | None = None,
    previous: DataFrame[Splits] | None = None,
) -> Outcome[Splits]:
    """Assign each family of documents to a split; of few documents, each family of sections.

    A family is what shares a quarter of its content (:mod:`pipeline.dedup.families`), so that no
    test document has a train document nearer than that.

    What an earlier split assigned keeps its place (``previous``: of the corpus that the latest
    model was trained on). Where a new document ties two of them, both go where the stricter one
    is: train before validation before test, since a model has learned from it. A new family goes
    by the salted hash of its name; families with gold rows move until the test split has
    ``settings.gold_rows`` of ``settings.gold_documents``; a split that came out empty gets one
    (:class:`pipeline.pairs.assignment.Assignment`).

    Returns:
        One row a document, or one a chunk, and one for each gold row without a document
        (``chunk_id`` is its id then), sorted by ``doc_id`` and ``chunk_id``; nothing is dropped.
        Metrics: those of :func:`_metrics`, families ``moved`` to fill an empty split, and
        ``sections`` (0: documents were split).

    Raises:
        InputError: there are fewer than three families.
        SettingsError: the shares of validation and test leave nothing for train.
    """
    if settings.validation + settings.test >= 1:
        raise SettingsError(
            f"split: validation {settings.validation:g} and test {settings.test:g} found; "
            "expected a sum below 1, the rest is for train; lower split.validation or split.test"
        )
    whole = _by_document(documents.height, settings, previous)
    units, texts = _documents(documents, gold) if whole else _sections(documents, chunks, gold)
    found = find_families(texts)
    # A gold row without a document is a unit of its own.
    ids = [] if gold is None else gold.filter(doc_id="")["pair_id"].to_list()
    units += [Unit(key, [{"doc_id": "", "chunk_id": key}], 1) for key in ids]
    known = {} if previous is None else dict(previous.select("unit_id", "split").iter_rows())
    families = _families(units, found, known)
    if len(families) < FEWEST:
        unit = "documents" if whole else f"sections in {documents.height} documents"
        raise InputError(
            f"split: {len(families)} {unit} found; expected at least {FEWEST}, one each for train, "
            "validation and test; add documents, or longer ones, that are not copies of one another"
            + (', or take split.unit = "section"' if whole else "")
        )
    assignment = Assignment(families, settings)
    moved = assignment.assign(known)
    rows = [
        row | {"unit_id": unit.name, "cluster_id": name, "split": assignment.split[name]}
        for name, members in families.items()
        for unit in members
        for row in unit.rows
    ]
    kept = table(Splits, sorted(rows, key=lambda row: (row["doc_id"], row["chunk_id"])))
    metrics = _metrics(kept, units, families, found)
    metrics |= {"moved": float(moved), "sections": 0.0 if whole else float(len(families))}
    return Outcome(kept, drops([]), documents.height, documents.height, metrics)


def _by_document(count: int, settings: SplitSettings, previous: DataFrame[Splits] | None) -> bool:
    """Whether documents are split as a whole: enough of them for a test split of a few."""
    if settings.unit != "auto":
        return settings.unit == "document"
    before = None if previous is None else previous.filter(pl.col("doc_id") != "")
    if before is not None and before.height:
        return (before["chunk_id"] == "").all()
    return count * settings.test >= FEW or (count >= FEWEST and not settings.test)


def _documents(
    documents: DataFrame[UniqueDocuments], gold: DataFrame[GoldRows] | None
) -> tuple[list[Unit], pl.Series]:
    counts = Counter([] if gold is None else gold["doc_id"])
    ordered = documents.sort("doc_id")
    units = [
        Unit(name, [{"doc_id": doc_id, "chunk_id": ""}], counts[doc_id])
        for doc_id, name in ordered.select("doc_id", "cluster_id").iter_rows()
    ]
    return units, ordered["text"]


def _sections(
    documents: DataFrame[UniqueDocuments],
    chunks: DataFrame[Chunks],
    gold: DataFrame[GoldRows] | None,
) -> tuple[list[Unit], pl.Series]:
    counts = Counter([] if gold is None else gold["chunk_id"])
    found = sections_of(chunks.join(documents.select("doc_id", "cluster_id"), on="doc_id"))
    units = []
    for name, members in found:
        rows = [{column: row[column] for column in ("doc_id", "chunk_id")} for row in members]
        units.append(Unit(name, rows, sum(counts[row["chunk_id"]] for row in rows)))
    texts = ["\n".join(row["text"] for row in members) for _, members in found]
    return units, pl.Series(texts, dtype=pl.String)


def _families(
    units: Sequence[Unit], found: Families, known: Mapping[str, str]
) -> dict[str, list[Unit]]:
    """Return the units of each family, which has the name of its first unit.

    The first is one that was assigned before, if there is any, so that a family keeps its name.
    """
    together: dict[int, list[Unit]] = defaultdict(list)
    for number, unit in enumerate(units):
        together[int(found.family[number]) if number < len(found.family) else number].append(unit)
    for members in together.values():
        members.sort(key=lambda unit: (unit.name not in known, unit.name))
    return {members[0].name: members for members in together.values()}


def _metrics(
    kept: DataFrame[Splits],
    units: Sequence[Unit],
    families: Mapping[str, Sequence[Unit]],
    found: Families,
) -> dict[str, float]:
    """Return rows of documents and gold rows a split, what the test split is made of, and more.

    ``closest`` is the largest share that a unit has in common with one of another split.
    """
    where = dict(kept.select("unit_id", "split").iter_rows())
    rows = Counter(kept.filter(pl.col("doc_id") != "")["split"])
    gold: Counter[str] = Counter()
    for unit in units:
        gold[where[unit.name]] += unit.gold
    part = np.array([SPLITS.index(where[unit.name]) for unit in units[: len(found.family)]])
    test = [members for members in families.values() if where[members[0].name] == "test"]
    counts: dict[str, Any] = {name: rows[name] for name in SPLITS}
    counts |= {f"gold_{name}": gold[name] for name in SPLITS}
    counts |= {
        "gold_documents": sum(any(unit.gold for unit in members) for members in test),
        "test_units": sum(map(len, test)),
        "test_families": len(test),
        "families": len(families),
        "largest_family": max(map(len, families.values())),
        "bond": found.bond,
        "closest": found.closest(part),
    }
    return {name: float(value) for name, value in counts.items()}


class Section(NamedTuple):
    """Consecutive chunks under one heading, or some of them."""

    heading: list[str]
    chunks: list[dict[str, Any]]


def sections_of(chunks: pl.DataFrame) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the name and the chunks, with the ``cluster_id`` of their document, of each section.

    Sections of a document are those of the fewest heading levels that give :data:`ENOUGH` of
    them, else of all levels; their chunks stay together. Where headings are that few, a section of
    many chunks is cut into runs of consecutive ones. A section is named after its document's
    cluster and its heading, so that it keeps its name when the text is edited.
    """
    rows = chunks.sort("cluster_id", "start", "chunk_id").to_dicts()
    by_document = [list(group) for _, group in groupby(rows, lambda row: row["doc_id"])]
    sections = [section for document in by_document for section in _cut(document)]
    if len(sections) < FEWEST:
        sections = [Section(_path(row), [row]) for row in rows]
    before: Counter[tuple[str, ...]] = Counter()
    named = []
    for heading, members in sections:
        key = (members[0]["cluster_id"], *heading)
        named.append((short_id(*key, str(before[key])), members))
        before[key] += 1
    return named


def _cut(document: list[dict[str, Any]]) -> list[Section]:
    """Return the sections of the chunks of a document, in order."""
    sections = [Section([], document)]
    for depth in range(1, max(len(_path(row)) for row in document) + 1):
        by = groupby(document, lambda row: _path(row)[:depth])  # noqa: B023 - used up at once
        sections = [Section(heading, list(group)) for heading, group in by]
        if len(sections) >= ENOUGH:
            return sections
    longest = max(SHORTEST_RUN, ceil(len(document) / ENOUGH))
    return [run for section in sections for run in _runs(section, longest)]


def _runs(section: Section, longest: int) -> Iterator[Section]:
    """Yield the chunks of a section in runs of about equal length."""
    size = len(section.chunks)
    count = ceil(size / longest)
    for number in range(count):
        part = section.chunks[number * size // count : (number + 1) * size // count]
        yield Section(section.heading, part)


def _path(row: dict[str, Any]) -> list[str]:
    return row["section"].split(" > ") if row["section"] else []


SPLIT = Stage(
    "split",
    split,
    Splits,
    {"documents": UniqueDocuments, "chunks": Chunks, "gold": GoldRows, "previous": Splits},
    section="split",
    dataset="splits",
)
