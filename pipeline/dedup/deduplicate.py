"""Keep one document of every cluster of exact and near duplicates."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.errors import InputError
from pipeline.core.outcome import EXCERPT, Outcome
from pipeline.core.runner import LOCAL, Runner
from pipeline.core.stage import Stage
from pipeline.core.store import Filled
from pipeline.dedup.arrays import Duplicates, Rows, gather
from pipeline.dedup.index import FILES, NOTHING, Index, write_segment
from pipeline.dedup.precedence import SMALL_CLUSTER, survival_order, survivors
from pipeline.dedup.search import TooManyAlike, find_duplicates
from pipeline.settings import DedupSettings
from schemas.documents import Documents, NearMisses, UniqueDocuments

_Ids = Callable[[Rows], pl.Series]  # returns the ``doc_id`` of rows, accepted ones behind the own


def deduplicate(
    documents: DataFrame[Documents],
    settings: DedupSettings,
    *,
    accepted: Index = NOTHING,
    runner: Runner = LOCAL,
) -> Outcome[UniqueDocuments]:
    """Keep one document of every cluster of duplicates; sources must be distinct.

    The survivor is of the most preferred source, then the longest, then of the smallest ``doc_id``;
    documents that earlier runs accepted stay before any other, and only the rest is compared. What
    makes a duplicate: :func:`pipeline.dedup.search.find_duplicates`.

    Returns:
        Survivors sorted by ``doc_id`` with ``cluster_id`` (hash of the survivor's source) and
        ``cluster_size`` (exact duplicates included). Dropped rows name the survivor of their
        cluster as ``related_id``: ``exact_duplicate`` (value 1: equal to a text that was kept or
        itself is a near duplicate of the survivor), ``near_duplicate`` (Jaccard similarity with the
        survivor; below the threshold where the two are linked through others only), ``contained``
        (share of its words that the longer document holds). The table ``near_misses`` has the most
        similar pair of each two clusters that are nearly one, as far as they were compared now.

    Raises:
        InputError: a cluster holds more distinct texts than ``max_cluster_share`` of the
            documents (and more than 20), or two documents have the same source.
    """
    everything = documents.sort("doc_id")
    if len(twice := everything["source"].filter(everything["source"].is_duplicated())):
        raise InputError(
            f"deduplicate: {twice[0]} is the source of two documents; expected one document a "
            "source, since the source names the cluster; keep one version of the file"
        )
    rows = everything.filter(pl.Series(~accepted.has(everything["doc_id"])))
    limit = int(max(SMALL_CLUSTER, settings.max_cluster_share * everything.height))
    ids = partial(gather, rows["doc_id"], accepted.ids)
    try:
        found = find_duplicates(
            rows["text"],
            survival_order(rows, settings.preferred_sources),
            settings,
            limit=limit,
            runner=runner,
            accepted=accepted,
        )
    except TooManyAlike as alarm:
        members = everything.filter(pl.col("doc_id").is_in(ids(alarm.rows).implode()))
        raise InputError(
            f"deduplicate: more than {limit} documents are near duplicates of each other (for "
            f"example {', '.join(members['source'].sort().head(3))}); expected at most {limit} in "
            "one cluster, so this is likely a template or boilerplate and most of it would be "
            "lost; look at these files and leave them out (ingest.exclude), raise dedup.threshold "
            f"(now {settings.threshold:g}), or, if they are copies, raise dedup.max_cluster_share "
            f"(now {settings.max_cluster_share:g})"
        ) from None
    dropped = _dropped(rows, ids, found, settings)
    counts = Counter(dropped["reason"])
    names = pl.Series("cluster_id", map(short_id, everything["source"]), dtype=pl.String)
    return survivors(
        everything.with_columns(names, cluster_size=pl.lit(1, pl.Int64)),
        dropped,
        _near_misses(ids, found),
        compared=rows.height,
        exact=counts["exact_duplicate"],
        contained=counts["contained"],
        near=counts["near_duplicate"],
    )


def _dropped(
    rows: pl.DataFrame, ids: _Ids, found: Duplicates, settings: DedupSettings
) -> pl.DataFrame:
    gone = np.flatnonzero(found.survivor != np.arange(rows.height))
    why = [found.exact[gone], found.contained[gone]]
    reasons = np.select(why, ["exact_duplicate", "contained"], "near_duplicate")
    return rows[gone].select(
        id="doc_id",
        reason=pl.Series(reasons.tolist(), dtype=pl.String),
        excerpt=pl.concat_str("source", pl.lit(": "), pl.col("text").str.head(EXCERPT)),
        value=pl.Series(np.where(found.exact[gone], 1.0, found.similarity[gone])),
        threshold=pl.Series(np.select(why, [1.0, settings.containment], settings.threshold)),
        related_id=ids(found.survivor[gone]),
    )


def _near_misses(ids: _Ids, found: Duplicates) -> pl.DataFrame:
    """Return the most similar pair of each two clusters that are nearly one."""
    row = np.flatnonzero(found.nearest >= 0)
    other = found.nearest[row]
    own = np.minimum(other, len(found.survivor) - 1)
    beside = np.where(other < len(found.survivor), found.survivor[own], other)
    clusters = np.sort(np.stack([found.survivor[row], beside], axis=1), axis=1)
    pairs = np.sort(np.stack([row, other], axis=1), axis=1)
    frame = pl.DataFrame(
        {
            "one": clusters[:, 0],
            "two": clusters[:, 1],
            "doc_id": ids(pairs[:, 0]),
            "other_id": ids(pairs[:, 1]),
            "similarity": found.nearest_similarity[row],
        },
        schema_overrides=NearMisses.dtypes(),
    )
    closest = frame.sort(["similarity", "doc_id", "other_id"], descending=[True, False, False])
    return closest.unique(["one", "two"], keep="first", maintain_order=True).drop("one", "two")


def deduplicate_new(
    documents: DataFrame[Documents],
    settings: DedupSettings,
    accepted: Sequence[Path],
    runner: Runner = LOCAL,
) -> Outcome[UniqueDocuments]:
    """Deduplicate documents of which earlier runs accepted some."""
    index = Index(accepted)
    index.keep_only(documents["doc_id"])
    return deduplicate(documents, settings, accepted=index, runner=runner)


def index_new(
    folder: Path,
    documents: DataFrame[UniqueDocuments],
    settings: DedupSettings,
    accepted: Sequence[Path],
    runner: Runner = LOCAL,
) -> Filled:
    """Write the documents that no segment of the index has as a segment of their own."""
    rows = documents.filter(pl.Series(~Index(accepted).has(documents["doc_id"])))
    write_segment(folder, rows, settings, runner)
    return Filled(identity=FILES, rows=rows.height)


DEDUPLICATE = Stage(
    "deduplicate",
    deduplicate_new,
    UniqueDocuments,
    {"documents": Documents},
    section="dedup",
    dataset="unique_documents",
)
INDEX = Stage(
    "index", index_new, None, {"documents": UniqueDocuments}, section="dedup", dataset="dedup_index"
)
