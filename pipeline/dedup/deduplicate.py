"""Keep one document of every cluster of exact and near duplicates."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pandera.typing.polars import DataFrame

from pipeline.cache import short_id
from pipeline.dedup.runners import Runner, threads
from pipeline.dedup.search import Duplicates, TooManyAlike, find_duplicates
from pipeline.errors import InputError
from pipeline.outcome import EXCERPT, Outcome, ledger
from pipeline.settings import DedupSettings
from schemas.documents import Documents, NearMisses, UniqueDocuments

SMALL_CLUSTER = 20
"""A cluster up to this size is never an alarm, however small the corpus."""

LONGEST = 1 << 40
"""More characters than any text has: a preferred source comes before any length."""


def deduplicate(
    documents: DataFrame[Documents],
    settings: DedupSettings,
    runner: Runner = threads,
    scratch: Path | None = None,
) -> Outcome[UniqueDocuments]:
    """Keep one document of every cluster of duplicates.

    Documents with the same text but for case and white space are exact duplicates. Of what is
    left, documents that share a MinHash bucket are compared by the true Jaccard similarity of
    their word n-grams, and clusters grow along edges of at least ``settings.threshold`` only.
    The survivor is the one of the most preferred source, then the longest, then the one of the
    smallest ``doc_id``, so that the result does not depend on the order of the input.

    Args:
        documents: cleaned documents; sources must be distinct.
        settings: section ``dedup``.
        runner: who computes; the result does not depend on it.
        scratch: folder for the files of buckets that are larger than the memory allowed.

    Returns:
        Survivors sorted by ``doc_id`` with ``cluster_id`` (hash of the survivor's source) and
        ``cluster_size`` (exact duplicates included). Dropped rows name the survivor of their
        cluster as ``related_id``: ``exact_duplicate`` (value and threshold 1: equal to a text
        that was kept or itself is a near duplicate of the survivor) and ``near_duplicate``
        (value: Jaccard similarity with the survivor; below the threshold where the two are
        linked through others only). The table ``near_misses`` has the pairs of survivors that
        are least below the threshold. Metrics: ``exact``, ``near``, ``near_misses``,
        ``largest_cluster``.

    Raises:
        InputError: a cluster holds more distinct texts than ``max_cluster_share`` of the
            documents (and more than 20), or two documents have the same source.
    """
    rows = documents.sort("doc_id")
    _require_distinct_sources(rows)
    limit = int(max(SMALL_CLUSTER, settings.max_cluster_share * rows.height))
    try:
        found = find_duplicates(
            rows["text"],
            _order(rows, settings),
            settings,
            limit=limit,
            runner=runner,
            scratch=scratch,
        )
    except TooManyAlike as alarm:
        raise _boilerplate(rows["source"].gather(alarm.rows), limit, settings) from None
    stays = found.survivor == np.arange(rows.height)
    sizes = np.bincount(found.survivor, minlength=rows.height)
    kept = rows.filter(pl.Series(stays)).with_columns(
        cluster_id=pl.col("source").map_elements(short_id, return_dtype=pl.String),
        cluster_size=pl.Series(sizes[stays], dtype=pl.Int64),
    )
    near_misses = _near_misses(rows["doc_id"], found)
    return Outcome(
        cast("DataFrame[UniqueDocuments]", kept.select(list(UniqueDocuments.dtypes()))),
        ledger(_dropped(rows, found, settings)),
        rows_in=rows.height,
        metrics={
            "exact": float(found.exact.sum()),
            "near": float((~stays & ~found.exact).sum()),
            "near_misses": float(near_misses.height),
            "largest_cluster": float(max(sizes, default=0)),
        },
        tables={"near_misses": (NearMisses, near_misses)},
    )


def _dropped(rows: pl.DataFrame, found: Duplicates, settings: DedupSettings) -> pl.DataFrame:
    """Return the rows that do not stay as rows of the ledger."""
    gone = np.flatnonzero(found.survivor != np.arange(rows.height))
    exact = pl.Series(found.exact[gone])
    return rows[gone].select(
        id="doc_id",
        reason=pl.when(exact).then(pl.lit("exact_duplicate")).otherwise(pl.lit("near_duplicate")),
        excerpt=pl.concat_str("source", pl.lit(": "), pl.col("text").str.head(EXCERPT)),
        value=pl.when(exact).then(1.0).otherwise(pl.Series(found.similarity[gone])),
        threshold=pl.when(exact).then(1.0).otherwise(settings.threshold),
        related_id=rows["doc_id"].gather(found.survivor[gone]),
    )


def _near_misses(ids: pl.Series, found: Duplicates) -> pl.DataFrame:
    """Return each pair of survivors of which one is the most similar to the other, once."""
    row = np.flatnonzero(found.nearest >= 0)
    pairs = np.stack([row, found.nearest[row]], axis=1)
    pairs.sort(axis=1)
    frame = pl.DataFrame(
        {
            "doc_id": ids.gather(pairs[:, 0]),
            "other_id": ids.gather(pairs[:, 1]),
            "similarity": found.nearest_similarity[row],
        },
        schema=NearMisses.dtypes(),
    )
    return frame.unique(["doc_id", "other_id"]).sort("doc_id", "other_id")


def _order(rows: pl.DataFrame, settings: DedupSettings) -> NDArray[np.int64]:
    """Return the place of each document in the order of survival: the smallest survives."""
    order = -rows["text"].str.len_chars().cast(pl.Int64).to_numpy()
    if settings.preferred_sources:
        order = order + LONGEST * np.array(
            [_place(source, settings.preferred_sources) for source in rows["source"]],
            dtype=np.int64,
        )
    return order


def _place(source: str, preferred: tuple[str, ...]) -> int:
    """Return the first glob that a source matches; beyond the last when there is none."""
    places = (place for place, glob in enumerate(preferred) if fnmatchcase(source, glob))
    return next(places, len(preferred))


def _boilerplate(sources: pl.Series, limit: int, settings: DedupSettings) -> InputError:
    examples = ", ".join(sources.sort().head(3))
    return InputError(
        f"deduplicate: more than {limit} documents are near duplicates of each other "
        f"(for example {examples}); expected at most {limit} in one cluster, so this is likely "
        "a template or boilerplate and most of it would be lost; look at these files and leave "
        f"them out (ingest.exclude), raise dedup.threshold (now {settings.threshold:g}), or, if "
        "they are copies, raise dedup.max_cluster_share "
        f"(now {settings.max_cluster_share:g})"
    )


def _require_distinct_sources(rows: pl.DataFrame) -> None:
    twice = rows["source"].filter(rows["source"].is_duplicated())
    if len(twice):
        raise InputError(
            f"deduplicate: {twice[0]} is the source of two documents; expected one "
            "document a source, since the source names the cluster; keep one version of the "
            "file"
        )
