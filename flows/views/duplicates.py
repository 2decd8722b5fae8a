"""Pairs that deduplication compared: what was removed for what, and what nearly was."""

from typing import Any

import polars as pl
from rapidfuzz.distance import Levenshtein

from pipeline.core.errors import InputError
from pipeline.core.home import Home, stages_before
from pipeline.core.store import Dataset

NEAR_MISSES = "near_misses.parquet"
WORDS = 12  # words shown at most of a stretch that only one of the two has
STRETCHES = 3  # stretches shown of each pair; the first differences say what kind of copy it is


def duplicates(home: Home, near: bool, count: int) -> list[dict[str, Any]]:
    """Return pairs of documents of the latest deduplication, at most ``count``.

    ``near``: those whose similarity is nearest to the threshold, on both sides of it; otherwise
    removed documents in the order of their ids. An InputError before the first deduplication.

    Returns rows with ``verdict`` (``exact_duplicate``, ``near_duplicate``, ``contained``,
    ``semantic_duplicate`` or ``both kept``), ``similarity`` (of a contained document the share
    that the survivor holds), ``threshold``, ``document`` and ``survivor`` (sources), their ids
    ``doc_id`` and ``related_id``, and ``differences``: lines of words of one of them alone.
    """
    latest = home.latest()
    if "unique_documents" not in latest or "documents" not in latest:
        raise InputError(
            "duplicates: nothing was deduplicated yet; expected the datasets documents and "
            "unique_documents; start with `tuneloop curate`"
        )
    stages = list(stages_before(home, latest["unique_documents"]))
    unique = [stage for stage in stages if stage.name == "unique_documents"]
    pairs = pl.concat([_pairs(home, stage, near) for stage in unique])
    distance = (pl.col("value") - pl.col("threshold")).abs()
    pairs = pairs.sort(distance, "id").head(count) if near else pairs.sort("id").head(count)
    compared = stages[len(unique)]
    wanted = pl.concat([pairs["id"], pairs["related_id"]]).implode()
    documents = home.rows(compared).filter(pl.col("doc_id").is_in(wanted))
    known = {row["doc_id"]: row for row in documents.iter_rows(named=True)}
    gone = {"source": "(no longer in the corpus)", "text": ""}
    return [
        {
            "verdict": pair["verdict"],
            "similarity": round(pair["value"], 4),
            "threshold": pair["threshold"],
            "document": (one := known.get(pair["id"], gone))["source"],
            "survivor": (other := known.get(pair["related_id"], gone))["source"],
            "doc_id": pair["id"],
            "related_id": pair["related_id"],
            "differences": differences(one["text"], other["text"]),
        }
        for pair in pairs.iter_rows(named=True)
    ]


def _pairs(home: Home, dataset: Dataset, near: bool) -> pl.DataFrame:
    """Return pairs of one stage: ``id``, ``related_id``, ``value``, ``threshold``, ``verdict``."""
    ledger = home.rows(dataset, dropped=True)
    removed = ledger.select("id", "related_id", "value", "threshold", verdict="reason")
    if not near:
        return removed
    threshold = home.store.manifest(dataset.name, dataset.fingerprint).settings["threshold"]
    kept = pl.read_parquet(home.store.path(dataset) / NEAR_MISSES).select(
        id="doc_id",
        related_id="other_id",
        value="similarity",
        threshold=pl.lit(threshold, pl.Float64),
        verdict=pl.lit("both kept"),
    )
    return pl.concat([removed.filter(pl.col("verdict") != "exact_duplicate"), kept])


def differences(one: str, other: str) -> list[str]:
    """Return the first stretches of words in which two texts differ: ``- one`` and ``+ other``."""
    words, others = one.split(), other.split()
    lines: list[str] = []
    for step in Levenshtein.opcodes(words, others):
        if step.tag == "equal":
            continue
        if len(lines) >= 2 * STRETCHES:
            lines.append("  ...")
            break
        own, new = words[step.src_start : step.src_end], others[step.dest_start : step.dest_end]
        for sign, stretch in (("-", own), ("+", new)):
            if stretch:
                more = " ..." if len(stretch) > WORDS else ""
                lines.append(f"{sign} {' '.join(stretch[:WORDS])}{more}")
    return lines
