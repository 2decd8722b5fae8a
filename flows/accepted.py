"""Documents that earlier runs accepted: the index that deduplication compares new ones with."""

from pathlib import Path

import polars as pl

from flows.context import Run
from flows.steps import Stage, run_folder_stage
from pipeline.dedup.index import FILES, Index, write_segment
from pipeline.errors import MissingDataset
from pipeline.store import Dataset, Filled
from schemas.documents import UniqueDocuments

INDEX = Stage("index", 1, "dedup_index")

MOST_SEGMENTS = 32
"""Segments of a chain; after that many runs with new documents it is written as one again."""

MOST_ABSENT = 0.5
"""Share of documents of the chain that may have left the corpus before it is written again."""


def accepted_before(run: Run, cleaned: Dataset) -> Dataset | None:
    """Return the index that these cleaned documents are compared with, or None.

    It is the latest one, but not the one that was made of the same documents: a second run
    compares with what the first one did, and finds its result in the store.
    """
    if not run.settings.dedup.incremental:
        return None
    try:
        latest = run.registry.dataset(f"dataset/{INDEX.dataset}", run.store)
        chain = [] if latest is None else _chain(run, latest)
    except MissingDataset:  # a segment was deleted by hand: it is made anew of all documents
        return None
    for dataset, _ in reversed(chain):
        manifest = run.store.manifest(dataset.name, dataset.fingerprint)
        if manifest.settings != run.settings.dedup.recipe():
            return None  # documents were accepted by other rules
        if manifest.inputs["cleaned"] != cleaned.content:
            return dataset
    return None


def open_index(run: Run, dataset: Dataset | None) -> Index | None:
    """Open an index with all its segments."""
    return None if dataset is None else Index([folder for _, folder in _chain(run, dataset)])


def index_documents(
    run: Run, cleaned: Dataset, documents: Dataset, before: Dataset | None
) -> Dataset | None:
    """Write the documents that this run accepted as a segment of their own.

    Args:
        run: the run.
        cleaned: what was deduplicated.
        documents: what of it was kept.
        before: the index that it was compared with.
    """
    settings = run.settings.dedup
    if not settings.incremental:
        return None

    def fill(folder: Path) -> Filled:
        rows: pl.DataFrame = run.store.read(documents, UniqueDocuments)
        known = open_index(run, before)
        if known is not None:
            rows = rows.filter(pl.Series(~known.has(rows["doc_id"])))
        write_segment(folder, rows, settings)
        return Filled(identity=FILES, rows=rows.height)

    if before is not None and _worn(run, before, documents):
        before = None
    return run_folder_stage(
        run,
        INDEX,
        fill,
        settings=settings,
        inputs={"documents": documents} | ({} if before is None else {"previous": before}),
        keys={"cleaned": cleaned.content},
    )


def _worn(run: Run, index: Dataset, documents: Dataset) -> bool:
    """Tell whether a chain is better written as one segment: long, or mostly of what is gone."""
    chain = _chain(run, index)
    indexed = sum(dataset.rows for dataset, _ in chain)
    return len(chain) >= MOST_SEGMENTS or documents.rows < (1 - MOST_ABSENT) * indexed


def _chain(run: Run, dataset: Dataset) -> list[tuple[Dataset, Path]]:
    """Return the segments of an index and their folders, the oldest first."""
    chain = []
    at: Dataset | None = dataset
    while at is not None:
        chain.append((at, run.store.path(at)))
        at = _previous(run, at)
    return chain[::-1]


def _previous(run: Run, dataset: Dataset) -> Dataset | None:
    """Return the segment that was there before.

    Raises:
        MissingDataset: it was deleted.
    """
    name = run.store.manifest(dataset.name, dataset.fingerprint).inputs.get("previous")
    if name is None:
        return None
    kind, _, fingerprint = name.partition("/")
    manifest = run.store.manifest(kind, fingerprint)
    return Dataset(kind, fingerprint, manifest.content, manifest.facts.rows)
