"""Assign families of documents, or of sections of a few, to train, validation and test."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from math import ceil
from typing import Any

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
SHORTEST_RUN = 3  # chunks of about a page: a section is not cut finer while there are others
Section = tuple[list[str], list[dict[str, Any]]]  # heading path, consecutive chunks under it


def split(
    documents: DataFrame[UniqueDocuments],
    chunks: DataFrame[Chunks],
    settings: SplitSettings,
    gold: DataFrame[GoldRows] | None = None,
    previous: DataFrame[Splits] | None = None,
) -> Outcome[Splits]:
    """Assign each family of documents to a split; of few documents, each family of sections.

    A family shares a quarter of its content (:mod:`pipeline.dedup.families`), so that no test
    document has a train document nearer than that. What an earlier split assigned keeps its place
    (``previous``: of the corpus that the latest model was trained on); of two places that a new
    document ties together the stricter counts, train before validation before test, since a model
    has learned from it. New families go where :class:`pipeline.pairs.assignment.Assignment` says.

    Returns:
        One row a document, or one a chunk, and one for each gold row without a document
        (``chunk_id`` is its id then), sorted by ``doc_id`` and ``chunk_id``; nothing is dropped.
        Metrics: those of :func:`_metrics`, families ``moved`` to fill an empty split, and
        ``sections`` (0: documents were split). InputError: there are fewer than three families.
    """
    if settings.validation + settings.test >= 1:
        raise SettingsError(
            f"split: validation {settings.validation:g} and test {settings.test:g} found; "
            "expected a sum below 1, the rest is for train; lower split.validation or split.test"
        )
    gold = table(GoldRows, []) if gold is None else gold
    previous = table(Splits, []) if previous is None else previous
    whole = _by_document(documents.height, settings, previous)
    units, texts = _documents(documents, gold) if whole else _sections(documents, chunks, gold)
    found = find_families(texts)
    # A gold row without a document is a unit of its own.
    ids = gold.filter(doc_id="")["pair_id"].to_list()
    units += [Unit(key, [{"doc_id": "", "chunk_id": key}], 1) for key in ids]
    known = dict(previous.select("unit_id", "split").iter_rows())
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


def _by_document(count: int, settings: SplitSettings, previous: DataFrame[Splits]) -> bool:
    """Whether documents are split as a whole: enough of them for a test split of a few."""
    if settings.unit != "auto":
        return settings.unit == "document"
    before = previous.filter(pl.col("doc_id") != "")
    if before.height:
        return (before["chunk_id"] == "").all()
    return count * settings.test >= FEW or (count >= FEWEST and not settings.test)


def _documents(
    documents: DataFrame[UniqueDocuments], gold: DataFrame[GoldRows]
) -> tuple[list[Unit], pl.Series]:
    counts = Counter(gold["doc_id"])
    ordered = documents.sort("doc_id")
    units = [
        Unit(name, [{"doc_id": doc_id, "chunk_id": ""}], counts[doc_id])
        for doc_id, name in ordered.select("doc_id", "cluster_id").iter_rows()
    ]
    return units, ordered["text"]


def _sections(
    documents: DataFrame[UniqueDocuments],
    chunks: DataFrame[Chunks],
    gold: DataFrame[GoldRows],
) -> tuple[list[Unit], pl.Series]:
    counts = Counter(gold["chunk_id"])
    units, texts = [], []
    named = chunks.join(documents.select("doc_id", "cluster_id"), on="doc_id")
    for name, members in sections_of(named):
        rows = [{column: row[column] for column in ("doc_id", "chunk_id")} for row in members]
        units.append(Unit(name, rows, sum(counts[row["chunk_id"]] for row in rows)))
        texts.append("\n".join(row["text"] for row in members))
    return units, pl.Series(texts, dtype=pl.String)


def _families(
    units: Sequence[Unit], found: Families, known: Mapping[str, str]
) -> dict[str, list[Unit]]:
    """Return the units of each family by its first: one that was assigned before, if any was."""
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
    """Return rows and gold rows a split, what test is made of, and how close two splits are."""
    where = dict(kept.select("unit_id", "split").iter_rows())
    rows = Counter(kept.filter(pl.col("doc_id") != "")["split"])
    part = np.array([SPLITS.index(where[unit.name]) for unit in units[: len(found.family)]])
    test = [members for members in families.values() if where[members[0].name] == "test"]
    counts: dict[str, Any] = {
        **{name: rows[name] for name in SPLITS},
        **{f"gold_{n}": sum(u.gold for u in units if where[u.name] == n) for n in SPLITS},
        "gold_documents": sum(any(unit.gold for unit in members) for members in test),
        "test_units": sum(map(len, test)),
        "test_families": len(test),
        "families": len(families),
        "largest_family": max(map(len, families.values())),
        "bond": found.bond,
        "closest": found.closest(part),
    }
    return {name: float(value) for name, value in counts.items()}


def sections_of(chunks: pl.DataFrame) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the name and the chunks, with the ``cluster_id`` of their document, of each section.

    Sections are those of the fewest heading levels that give a document :data:`ENOUGH`, else of
    all, and then a section of many chunks is cut into runs. A section is named after its document's
    cluster and its heading, so that it keeps its name when the text is edited.
    """
    rows = chunks.sort("cluster_id", "start", "chunk_id").to_dicts()
    by_document = [list(group) for _, group in groupby(rows, lambda row: row["doc_id"])]
    sections = [section for document in by_document for section in _cut(document)]
    if len(sections) < FEWEST:
        sections = [(_path(row), [row]) for row in rows]
    before: Counter[tuple[str, ...]] = Counter()
    named = []
    for heading, members in sections:
        key = (members[0]["cluster_id"], *heading)
        named.append((short_id(*key, str(before[key])), members))
        before[key] += 1
    return named


def _cut(document: list[dict[str, Any]]) -> list[Section]:
    sections: list[Section] = [([], document)]
    for depth in range(1, max(len(_path(row)) for row in document) + 1):
        by = groupby(document, lambda row: _path(row)[:depth])  # noqa: B023 - used up at once
        sections = [(heading, list(group)) for heading, group in by]
        if len(sections) >= ENOUGH:
            return sections
    longest = max(SHORTEST_RUN, ceil(len(document) / ENOUGH))
    runs: list[Section] = []
    for heading, members in sections:
        size, count = len(members), ceil(len(members) / longest)
        bounds = [number * size // count for number in range(count + 1)]
        runs += [(heading, members[start:end]) for start, end in pairwise(bounds)]
    return runs


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
