"""Documents that earlier runs accepted: the index that deduplication compares new ones with."""

from pathlib import Path

from flows.engine.context import Run
from flows.engine.stage_runner import run_stage
from pipeline.core.errors import MissingDataset
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.dedup.deduplicate import INDEX

MOST_SEGMENTS = 32
"""Segments of a chain; after that many runs with new documents it is written as one again."""

MOST_ABSENT = 0.5
"""Share of documents of the chain that may have left the corpus before it is written again."""


def accepted_before(run: Run, cleaned: Dataset) -> Dataset | None:
    """Return the latest index built from other documents, so that repeating a run reproduces it.

    None without one, or where its documents were accepted by other rules.
    """
    if not run.settings.dedup.incremental:
        return None
    try:
        latest = run.registry.dataset(f"dataset/{INDEX.dataset}", run.store)
        chain = _chain(run, latest)
    except MissingDataset:  # a segment was deleted by hand: it is made anew of all documents
        return None
    for dataset in reversed(chain):
        manifest = run.store.manifest(dataset.name, dataset.fingerprint)
        rules = (run.settings.dedup.recipe(), INDEX.modules())
        if (manifest.settings, manifest.code.get("modules")) != rules:
            return None
        if manifest.inputs["cleaned"] != cleaned.content:
            return dataset
    return None


def segments(run: Run, index: Dataset | None) -> list[Path]:
    """Return the folders of an index's segments, the oldest first; none without an index."""
    return [run.store.path(segment) for segment in _chain(run, index)]


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
    if not run.settings.dedup.incremental:
        return None
    if before is not None and _worn(run, before, documents):
        before = None
    return run_stage(
        run,
        INDEX,
        documents=documents,
        cleaned=cleaned.content,
        accepted=Given(segments(run, before)),
        previous=before,
    )


def _worn(run: Run, index: Dataset, documents: Dataset) -> bool:
    """Tell whether a chain is better written as one segment: long, or mostly of what is gone."""
    chain = _chain(run, index)
    indexed = sum(segment.rows for segment in chain)
    return len(chain) >= MOST_SEGMENTS or documents.rows < (1 - MOST_ABSENT) * indexed


def _chain(run: Run, dataset: Dataset | None) -> list[Dataset]:
    """Return the segments of an index, the oldest first.

    Raises:
        MissingDataset: one was deleted.
    """
    chain = []
    while dataset is not None:
        chain.append(dataset)
        previous = run.store.manifest(dataset.name, dataset.fingerprint).inputs.get("previous")
        if previous is None:
            break
        name, _, fingerprint = previous.partition("/")
        manifest = run.store.manifest(name, fingerprint)
        dataset = Dataset(name, fingerprint, manifest.content, manifest.facts.rows)
    return chain[::-1]
