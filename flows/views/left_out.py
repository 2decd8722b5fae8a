"""What was left out of documents on purpose: by document for `show`, in sum for the report."""

from typing import Any

import polars as pl

from flows.engine.context import Run
from pipeline.core.errors import InputError
from pipeline.core.home import Home, stages_before
from pipeline.core.store import Dataset
from pipeline.documents.left_out import UNITS
from pipeline.report import contents
from schemas.documents import LeftOut

_TABLE = "left_out"


def by_document(home: Home, dataset: Dataset, count: int) -> list[dict[str, Any]]:
    """Return documents that something was left out of, by source, and how much of which kind.

    Args:
        home: the home folder.
        dataset: documents, as any stage left them; those dropped before it are listed too.
        count: documents to return.

    Raises:
        InputError: the data set holds no documents, or was made before this was counted.
    """
    tables = [
        home.store.read_table(stage, _TABLE, LeftOut)
        for stage in stages_before(home, dataset)
        if (home.store.path(stage) / f"{_TABLE}.parquet").exists()
    ]
    if not tables:
        raise InputError(
            f"dataset {dataset}: no count of what was left out found; expected documents, read by "
            "this version; try `tuneloop show documents --left-out`, or run `tuneloop curate` again"
        )
    order = list(UNITS)
    documents: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in pl.concat(tables).sort("source", "doc_id").iter_rows(named=True):
        documents.setdefault((row["source"], row["doc_id"]), []).append(row)
    return [
        {
            "source": source,
            "doc_id": doc_id,
            "left_out": [
                {"kind": row["kind"], "amount": row["amount"], "detail": row["detail"]}
                for row in sorted(rows, key=lambda row: order.index(row["kind"]))
            ],
        }
        for (source, doc_id), rows in list(documents.items())[:count]
    ]


def lines_of(row: dict[str, Any]) -> list[str]:
    """Return lines about one document of :func:`by_document`."""
    lines = [f"{row['source']}  {row['doc_id']}"]
    for part in row["left_out"]:
        amount = f"{part['amount']:,} {UNITS[part['kind']]}"
        lines.append(f"  {part['kind']:<12} {amount}{': ' * bool(part['detail'])}{part['detail']}")
    return lines


def in_sum(run: Run) -> tuple[contents.LeftOut, ...]:
    """Return what was left out of all documents of a run, by kind."""
    stages = [run.datasets[name] for name in ("ingest", "clean") if name in run.datasets]
    if not stages:
        return ()
    rows = pl.concat(run.store.read_table(stage, _TABLE, LeftOut) for stage in stages)
    sums = rows.group_by("kind").agg(pl.sum("amount"), documents=pl.n_unique("doc_id"))
    found = {row["kind"]: row for row in sums.iter_rows(named=True)}
    return tuple(
        contents.LeftOut(**found[kind], unit=unit) for kind, unit in UNITS.items() if kind in found
    )
