"""The result of a stage: what was kept, what was dropped, and the counts that must balance."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.memory import joined
from schemas.base import Drops, Table

S = TypeVar("S", bound=Table)

BATCH = 1024  # rows put into a table at once
EXCERPT = 240  # characters of a dropped row that the ledger keeps for the report


class Drop(NamedTuple):
    """One row of the ledger, before it is in a table."""

    id: str
    reason: str
    excerpt: str = ""
    value: float | None = None
    threshold: float | None = None
    related_id: str | None = None


def table(schema: type[S], rows: Iterable[Mapping[str, Any]]) -> DataFrame[S]:
    """Build a table of a schema from row mappings, batch by batch: Python's rows are large."""
    return cast("DataFrame[S]", joined(_batches(schema, iter(rows))))


def _batches(schema: type[Table], rows: Iterator[Mapping[str, Any]]) -> Iterator[pl.DataFrame]:
    dtypes, full = schema.dtypes(), True
    while full:
        batch = pl.DataFrame(list(islice(rows, BATCH)), schema=dtypes)
        yield batch
        full = batch.height == BATCH


class Rows(Sequence[dict[str, Any]]):
    """Rows of a frame as mappings, each made when it is asked for."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._columns, self._height = frame.to_dict(), frame.height

    def __len__(self) -> int:
        return self._height

    def __getitem__(self, place: Any) -> Any:
        if place >= self._height:
            raise IndexError(place)
        return {name: column[place] for name, column in self._columns.items()}


def drops(rows: Iterable[Drop]) -> DataFrame[Drops]:
    """Build the ledger, sorted by id and reason, excerpts cut to :data:`EXCERPT` characters."""
    return ledger(table(Drops, (row._asdict() for row in rows)))


def ledger(frame: pl.DataFrame) -> DataFrame[Drops]:
    """Return a frame with the columns of Drops as the ledger, sorted, excerpts cut."""
    ordered = frame.with_columns(pl.col("excerpt").str.head(EXCERPT)).sort("id", "reason")
    return cast("DataFrame[Drops]", ordered.select(list(Drops.dtypes())))


@dataclass(frozen=True, slots=True)
class Outcome(Generic[S]):
    """What a stage returns.

    ``rows_in`` counts what came in, in the stage's unit, and ``rows_kept`` what of it survives: the
    height of ``kept`` unless a row becomes several. ``rows_in == rows_kept + dropped`` or it fails.
    """

    kept: DataFrame[S]
    dropped: DataFrame[Drops]
    rows_in: int
    rows_kept: int = -1
    metrics: dict[str, float] = field(default_factory=dict)
    tables: dict[str, tuple[type[Table], pl.DataFrame]] = field(default_factory=dict)
    """Further tables stored beside the kept rows, by name (the audit of redactions, say)."""

    def __post_init__(self) -> None:
        if self.rows_kept < 0:
            object.__setattr__(self, "rows_kept", self.kept.height)

    @property
    def balances(self) -> bool:
        """Whether each row that came in was either kept or dropped."""
        return self.rows_in == self.rows_kept + self.dropped.height

    @property
    def reasons(self) -> dict[str, int]:
        """Dropped rows by reason, most frequent first."""
        counts = self.dropped.group_by("reason").len()
        return dict(counts.sort("len", "reason", descending=[True, False]).iter_rows())
