"""Exchanges that were chosen for review as pairs: rows of origin ``traffic``."""

from collections.abc import Mapping, Sequence
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.pairs.assignment import places, split_of
from pipeline.pairs.harvest import pair_row
from pipeline.settings import SplitSettings
from schemas.documents import Chunks
from schemas.pairs import ScreenedPairs, Splits


def traffic_pairs(
    chosen: Sequence[Mapping[str, Any]],
    chunks: DataFrame[Chunks],
    splits: DataFrame[Splits],
    shares: SplitSettings,
) -> Outcome[ScreenedPairs]:
    """Make pairs of origin ``traffic`` of exchanges, each in the split of what it is about.

    ``chosen`` are all rows that :func:`pipeline.drift.traffic.choose` ever gave. Passages that are
    no chunks any more are left out; exchanges without one stand alone. Dropped: ``duplicate_pair``.
    """
    documents = dict(chunks.select("chunk_id", "doc_id").iter_rows())
    find = places(splits)
    pairs: dict[str, dict[str, Any]] = {}
    dropped: list[Drop] = []
    for row in chosen:
        # Its id is that of its words: it stays when the documents around it change.
        pair = pair_row("traffic", row["prompt"], row["response"], history=row["history"])
        key = pair["pair_id"]
        if key in pairs:
            drop = Drop(row["exchange_id"], "duplicate_pair", row["prompt"], related_id=key)
            dropped.append(drop)
            continue
        known = (chunk for chunk in row["chunk_ids"] if chunk in documents)
        first, other = [*known, "", ""][:2]
        about = {"chunk_id": first, "other_chunk_id": other, "doc_id": documents.get(first, "")}
        place = find(about["doc_id"], first) if first else None
        place = place or {"split": split_of(key, shares), "cluster_id": key}
        pairs[key] = pair | about | place | {"generator": row["model"]}
    made = table(ScreenedPairs, (pair for _, pair in sorted(pairs.items())))
    return Outcome(made, drops(dropped), rows_in=len(chosen))


TRAFFIC = Stage(
    "traffic",
    traffic_pairs,
    ScreenedPairs,
    {"chunks": Chunks, "splits": Splits},
    dataset="traffic_pairs",
)
