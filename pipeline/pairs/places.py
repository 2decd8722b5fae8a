"""Where a pair belongs: the split and cluster of its document, or of its section of it."""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
from pandera.typing.polars import DataFrame

from schemas.pairs import Splits


def places(splits: DataFrame[Splits]) -> Callable[[str, str], Mapping[str, Any] | None]:
    """Return what finds the row of a ``doc_id`` and ``chunk_id``; None when neither was split."""
    rows = {(row["doc_id"], row["chunk_id"]): row for row in splits.iter_rows(named=True)}
    return lambda doc_id, chunk_id: rows.get((doc_id, chunk_id)) or rows.get((doc_id, ""))


def unit_of(rows: pl.DataFrame) -> str:
    """Return of rows of all splits what was split: ``documents``, or ``sections`` of them."""
    of_documents = rows.filter(pl.col("doc_id") != "")
    clusters = of_documents.select("doc_id", "cluster_id").unique()
    return "sections" if clusters["doc_id"].is_duplicated().any() else "documents"
