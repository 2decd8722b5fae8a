"""Schemas at the borders of the store: bad rows to quarantine, mass failure stops the stage."""

from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np
import pandera.errors
import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.errors import SchemaMismatch
from pipeline.core.outcome import Drop, Outcome, drops
from schemas.base import Drops, Table

S = TypeVar("S", bound=Table)


def validate(frame: pl.DataFrame, schema: type[S], name: str) -> DataFrame[S]:
    """Return the frame as a table of the schema, or raise SchemaMismatch."""
    failures = _failures(frame, schema)
    if failures is not None:
        raise SchemaMismatch(
            f"{name}: {_describe(failures)}; expected {schema.__name__} version "
            f"{schema.version()}; see schemas/ for the columns"
        )
    return cast("DataFrame[S]", frame)


def quarantine(outcome: Outcome[S], schema: type[S], name: str, budget: float) -> Outcome[S]:
    """Move rows that break the schema to the ledger, as ``schema_<column>``.

    SchemaMismatch: columns or types are wrong, or a larger share than ``budget`` fails.
    """
    failures = _failures(outcome.kept, schema)
    if failures is None:
        return outcome
    if failures["index"].null_count():
        raise SchemaMismatch(
            f"{name}: {_describe(failures)}; expected {schema.__name__} version "
            f"{schema.version()}; no row of it can be trusted"
        )
    bad = failures.group_by("index").agg(pl.col("column", "failure_case").first()).sort("index")
    share = bad.height / outcome.kept.height
    if share > budget:
        raise SchemaMismatch(
            f"{name}: {bad.height} of {outcome.kept.height} rows break {schema.__name__} "
            f"({_describe(failures)}); the failure budget store.failure_budget is {budget:.0%}; "
            "look at what changed in the input"
        )
    rows = bad["index"].to_numpy()
    names = outcome.kept[rows].to_series(0)
    ledger = drops(
        Drop(str(name), f"schema_{column}", str(case))
        for name, column, case in zip(names, bad["column"], bad["failure_case"], strict=True)
    )
    good = outcome.kept[np.setdiff1d(np.arange(outcome.kept.height), rows)]
    one_to_one = outcome.rows_kept == outcome.kept.height
    return replace(
        outcome,
        kept=validate(good, schema, name),
        dropped=cast("DataFrame[Drops]", pl.concat([outcome.dropped, ledger])),
        rows_kept=good.height if one_to_one else outcome.rows_kept,
        rows_in=outcome.rows_in if one_to_one else outcome.rows_in + ledger.height,
    )


def _failures(frame: pl.DataFrame, schema: type[Table]) -> pl.DataFrame | None:
    try:
        schema.validate(cast("Any", frame), lazy=True)
    except pandera.errors.SchemaErrors as error:
        # A check on the whole frame gives one failure a column: count a row once a check.
        return cast("pl.DataFrame", error.failure_cases).unique(
            ["column", "check", "index"], maintain_order=True
        )
    return None


def _describe(failures: pl.DataFrame) -> str:
    groups = failures.group_by("column", "check", maintain_order=True).agg(
        pl.len(), pl.col("index").head(3)
    )
    return "; ".join(
        f"{row['column']} fails {row['check']} in {row['len']} rows"
        + (f" (first: {', '.join(map(str, row['index']))})" if None not in row["index"] else "")
        for row in groups.head(5).iter_rows(named=True)
    )
