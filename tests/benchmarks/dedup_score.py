"""How well the kept rows of an arm agree with the truth of a corpus."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import polars as pl


class Score(NamedTuple):
    """Precision, recall and F1 of the dropped rows, and what was dropped wrongly."""

    precision: float
    recall: float
    f1: float
    wrong: int
    """Clusters that were lost as a whole: their last row went into one that it does not equal."""
    unrelated: int
    """Of these, the ones of a row that no other row of the corpus resembles at all."""


def score(kept: Iterable[str], truth: Path, added: bool = False) -> Score:
    """Judge the rows that an arm keeps, of a corpus without or with the batch to be added.

    Of a cluster of s rows, s - 1 must go, whichever stays: with d of them dropped,
    min(d, s - 1) were right, and one was wrong where all s are gone.
    """
    rows = pl.read_parquet(truth).filter(added | ~pl.col("added"))
    chosen = pl.Series("id", list(kept), dtype=pl.String)
    alone = pl.len().over("family") == 1
    clusters = (
        rows.with_columns(dropped=~pl.col("id").is_in(chosen.implode()), alone=alone)
        .group_by("cluster")
        .agg(pl.len().alias("size"), pl.col("dropped").sum(), pl.col("alone").all())
        .with_columns(right=pl.min_horizontal("dropped", pl.col("size") - 1))
    )
    right, dropped = clusters["right"].sum(), clusters["dropped"].sum()
    due = rows.height - clusters.height
    lost = clusters.filter(pl.col("dropped") == pl.col("size"))
    precision, recall = right / max(dropped, 1), right / max(due, 1)
    return Score(
        precision,
        recall,
        2 * precision * recall / max(precision + recall, 1e-9),
        lost.height,
        lost["alone"].sum(),
    )
