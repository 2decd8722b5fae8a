"""Assign clusters of documents, or sections of a few, to train, validation and test."""

import hashlib
from collections import Counter

from pandera.typing.polars import DataFrame

from pipeline.core.errors import InputError, SettingsError
from pipeline.core.outcome import Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.pairs.sections import FEWEST, cluster_sections
from pipeline.settings import SplitSettings
from schemas.chunks import Chunks
from schemas.documents import UniqueDocuments
from schemas.splits import SPLITS, Splits


def split(
    documents: DataFrame[UniqueDocuments], chunks: DataFrame[Chunks], settings: SplitSettings
) -> Outcome[Splits]:
    """Assign each document to a split by the salted hash of its cluster.

    Of fewer than three documents each section is assigned, by the hash of
    :func:`pipeline.pairs.sections.cluster_sections`; ``settings.unit`` decides otherwise.

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
        else cluster_sections(documents, chunks)
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


SPLIT = Stage(
    "split",
    split,
    Splits,
    {"documents": UniqueDocuments, "chunks": Chunks},
    section="split",
    dataset="splits",
)
