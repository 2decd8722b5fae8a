"""Assign families of documents, or of sections of a few, to train, validation and test."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.errors import InputError, SettingsError
from pipeline.core.outcome import Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.dedup.families import FEWEST, Families, find_families
from pipeline.pairs.assignment import FEW, Assignment, Unit
from pipeline.pairs.sections import sections_of
from pipeline.settings import SplitSettings
from schemas.documents import Chunks, UniqueDocuments
from schemas.pairs import SPLITS, GoldRows, Splits


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

    What an earlier split assigned keeps its place. Where a new document ties two of them, both go
    where the stricter one is: train before validation before test, since a model has learned from
    it. A new family goes by the salted hash of its name, a number in [0, 1): below
    ``settings.test`` it is test, then validation, then train; one that would be more than
    a quarter of the test split goes to train. Then families with gold rows move from train (last
    from validation) to test until it has ``settings.gold_rows`` of ``settings.gold_documents``,
    and half of those that are left to validation, until it has its share of that; and others to
    test, until it has so many. Last, a split that came out empty gets the
    family whose number is nearest.

    Args:
        documents: surviving documents.
        chunks: of these documents, for their sections.
        settings: section ``split``.
        gold: gold rows with the document and chunk that answers them.
        previous: of the corpus that the latest model was trained on.

    Returns:
        One row a document, or one a chunk, and one for each gold row without a document
        (``chunk_id`` is its id then), sorted by ``doc_id`` and ``chunk_id``; nothing is dropped.
        Metrics: rows of documents a split (``train``, ``validation``, ``test``), gold rows a
        split (``gold_train``, ...), units and families of the test split (``test_units``,
        ``test_families``), families ``moved`` to fill an empty split, ``sections`` (0: documents
        were split), ``families``, ``largest_family``, ``bond``, and ``closest``: the largest
        share that a unit has in common with one of another split.

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
    units += _alone(gold)
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
    return Outcome(
        kept,
        drops([]),
        rows_in=documents.height,
        rows_kept=documents.height,
        metrics=_metrics(kept, units, families, found)
        | {"moved": float(moved), "sections": 0.0 if whole else float(len(families))},
    )


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
    units = [
        Unit(
            name,
            [{"doc_id": row["doc_id"], "chunk_id": row["chunk_id"]} for row in members],
            sum(counts[row["chunk_id"]] for row in members),
        )
        for name, members in found
    ]
    texts = ("\n".join(row["text"] for row in members) for _, members in found)
    return units, pl.Series(list(texts), dtype=pl.String)


def _alone(gold: DataFrame[GoldRows] | None) -> list[Unit]:
    """Return a unit for each gold row without a document."""
    ids = [] if gold is None else gold.filter(doc_id="")["pair_id"].to_list()
    return [Unit(key, [{"doc_id": "", "chunk_id": key}], 1) for key in ids]


def _families(
    units: Sequence[Unit], found: Families, known: Mapping[str, str]
) -> dict[str, list[Unit]]:
    """Return the units of each family, which has the name of its first unit.

    The first is one that was assigned before, if there is any, so that a family keeps its name.
    """
    together: dict[int, list[Unit]] = defaultdict(list)
    for number, unit in enumerate(units):
        together[int(found.family[number]) if number < len(found.family) else number].append(unit)
    ordered = (
        sorted(members, key=lambda unit: (unit.name not in known, unit.name))
        for members in together.values()
    )
    return {members[0].name: members for members in ordered}


def _metrics(
    kept: DataFrame[Splits],
    units: Sequence[Unit],
    families: Mapping[str, Sequence[Unit]],
    found: Families,
) -> dict[str, float]:
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


SPLIT = Stage(
    "split",
    split,
    Splits,
    {"documents": UniqueDocuments, "chunks": Chunks, "gold": GoldRows, "previous": Splits},
    section="split",
    dataset="splits",
)
