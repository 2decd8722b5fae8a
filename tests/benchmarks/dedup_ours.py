"""Our arm of the deduplication benchmark: pipeline.dedup by similarity alone, as its peers.

python -m tests.benchmarks.dedup_ours CORPUS OUTPUT
"""

from pathlib import Path

import polars as pl

from pipeline.dedup.deduplicate import deduplicate
from pipeline.settings import DedupSettings
from schemas.documents import Documents
from tests.benchmarks.dedup_arm import TEXTS, run

SIMILARITY = DedupSettings(containment=0, keep_siblings=False)
"""The truth of the corpus is the Jaccard similarity of two texts, which is all that the peers look
at. What else the defaults do is in near_duplicates.py."""


def documents(*files: Path) -> pl.DataFrame:
    """Return the rows of Parquet files as cleaned documents."""
    table = pl.concat(pl.read_parquet(path) for path in files).select(
        doc_id="id",
        source="id",
        format=pl.lit("text"),
        title=pl.lit(""),
        text="text",
        span_start=pl.lit(0, pl.Int64),
        span_end=pl.col("text").str.len_chars().cast(pl.Int64),
        language=pl.lit("en"),
    )
    # Not validated: that is the store's work, and no peer does it.
    return table.cast(Documents.dtypes())


def ours(corpus: Path) -> list[str]:
    """Return the ids of the rows that are kept."""
    kept = deduplicate(documents(corpus / TEXTS), SIMILARITY).kept
    return kept["doc_id"].to_list()


if __name__ == "__main__":
    run(ours)
