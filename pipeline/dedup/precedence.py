"""Which document of a cluster of duplicates stays, and what comes of that."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import cast

import numpy as np
import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.outcome import Outcome, ledger
from pipeline.dedup.arrays import Rows
from schemas.documents import NearMisses, UniqueDocuments

SMALL_CLUSTER = 20  # a cluster up to this size is never an alarm, however small the corpus
LONGEST = 1 << 40  # more characters than any text has: a preferred source comes before any length


def survival_order(rows: pl.DataFrame, preferred: Sequence[str]) -> Rows:
    """Return the place of each document in the order of survival: the smallest survives.

    The most preferred source comes first, then the longest text; of equal ones the first row.
    """
    order = -rows["text"].str.len_chars().cast(pl.Int64).to_numpy()
    if preferred:
        matches = ([fnmatchcase(source, glob) for glob in preferred] for source in rows["source"])
        # The first glob that a source matches; beyond the last when there is none.
        places = [[*matched, True].index(True) for matched in matches]
        order = order + LONGEST * np.array(places, dtype=np.int64)
    return order


def preference(order: Rows) -> Rows:
    """Return what places of the order of survival say of the source alone."""
    return (order - 1) // LONGEST


def survivors(
    documents: pl.DataFrame, dropped: pl.DataFrame, near_misses: pl.DataFrame, **counts: int
) -> Outcome[UniqueDocuments]:
    """Return the outcome of dropping duplicates: who stays, with the size of its cluster.

    ``documents`` have their ``cluster_size`` before; ``counts`` become metrics.
    """
    sizes = dropped.join(documents.select("cluster_size", id="doc_id"), on="id")
    copies = sizes.group_by(doc_id="related_id").agg(copies=pl.col("cluster_size").sum())
    kept = (
        documents.join(dropped.select(doc_id="id"), on="doc_id", how="anti")
        .join(copies, on="doc_id", how="left")
        .with_columns(cluster_size=pl.col("cluster_size") + pl.col("copies").fill_null(0))
        .select(UniqueDocuments.columns())
        .sort("doc_id")
    )
    largest = cast("int", kept["cluster_size"].max() or 0)
    counts |= {"near_misses": near_misses.height, "largest_cluster": largest}
    return Outcome(
        cast("DataFrame[UniqueDocuments]", kept),
        ledger(dropped),
        rows_in=documents.height,
        metrics={name: float(count) for name, count in counts.items()},
        tables={"near_misses": (NearMisses, near_misses)},
    )
