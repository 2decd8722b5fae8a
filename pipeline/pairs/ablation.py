"""The pairs of one arm of the question whether curation pays."""

from typing import Any, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.dedup.decontaminate import decontaminate
from pipeline.pairs.assignment import places
from schemas.pairs import Pairs, SettledPairs, Splits

REVIEWED = ("accepted", "edited")


def ablation_pairs(
    source: DataFrame[Pairs],
    settled: DataFrame[SettledPairs],
    splits: DataFrame[Splits],
    *,
    reviewed: bool = False,
) -> Outcome[SettledPairs]:
    """Return the train pairs of one arm, with the held-out pairs that all arms share.

    ``source`` are pairs as generated, screened or settled, of all splits; validation and test rows
    of ``settled`` are held out. ``reviewed``: take only what a person accepted or edited. Dropped
    from the source: ``gold``, ``unknown_document``, ``held_out_document``, ``not_reviewed``,
    ``empty``, and what :func:`pipeline.dedup.decontaminate.decontaminate` drops.
    """
    find = places(splits)
    held_out = settled.filter(pl.col("split") != "train")
    rows: list[dict[str, Any]] = []
    ledger: list[Drop] = []
    for row in source.sort("pair_id").iter_rows(named=True):
        text = f"{row['instruction']} -> {row['response']}"
        place = find(row["doc_id"], row["chunk_id"])
        if row["origin"] == "self_instruct":
            place = {"split": "train", "cluster_id": row["pair_id"]}
        problems = {
            "gold": row["origin"] == "gold",
            "unknown_document": place is None,
            "held_out_document": place and place["split"] != "train",
            "not_reviewed": reviewed and row.get("status") not in REVIEWED,
            "empty": not row["instruction"].strip() or not row["response"].strip(),
        }
        if reason := next((name for name, found in problems.items() if found), ""):
            ledger.append(Drop(row["pair_id"], reason, text))
            continue
        known = {name: row.get(name) for name in SettledPairs.columns()} | (place or {})
        rows.append(known | {"status": row.get("status") or "unreviewed"})
    joined = pl.concat([table(SettledPairs, rows), held_out.select(SettledPairs.columns())])
    clean = decontaminate(cast("DataFrame[SettledPairs]", joined))
    return Outcome(
        clean.kept,
        drops([*ledger, *(Drop(**entry) for entry in clean.dropped.iter_rows(named=True))]),
        rows_in=source.height + held_out.height,
    )


ARM_PAIRS = Stage(
    "pairs",
    ablation_pairs,
    SettledPairs,
    {"source": Pairs, "settled": SettledPairs, "splits": Splits},
    dataset="ablation_pairs",
)
