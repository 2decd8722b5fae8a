"""The base of every table, and Drops: the ledger of what each stage let go, and why."""

from typing import Any, ClassVar

import pandera.polars as pa
import polars as pl


class Table(pa.DataFrameModel):
    """Base of all tables: an unknown or missing column is an error and nothing is coerced.

    ``Field(nullable=True)`` is the only way to allow nulls (``X | None`` would make the
    column optional). The version is part of each stored manifest: raise it with any change.
    """

    class Config:
        """Strict columns in any order; values are never changed by validation."""

        strict = True
        coerce = False

    _version: ClassVar = 1

    def __init_subclass__(cls, version: int = 0, **more: Any) -> None:
        """Take the version where it is not that of the base: ``class Pairs(Table, version=2)``."""
        super().__init_subclass__(**more)  # type: ignore[no-untyped-call]
        cls._version = version or cls._version

    @classmethod
    def version(cls) -> int:
        """Return the version of the contract."""
        return cls._version

    @classmethod
    def upgrade(cls, frame: pl.DataFrame, version: int) -> pl.DataFrame | None:
        """Return rows that were stored by an earlier version of the contract as rows of this one.

        None: this contract cannot say what earlier rows lack, and they are made again.
        """
        return None

    @classmethod
    def columns(cls) -> list[str]:
        """Return the column names in the order of definition."""
        return list(cls.to_schema().columns)

    @classmethod
    def dtypes(cls) -> dict[str, pl.DataType]:
        """Return the polars type of each column."""
        return {name: column.dtype.type for name, column in cls.to_schema().columns.items()}


TURNS = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))  # messages of a conversation

ID = r"^[0-9a-f]{16}$"
"""A content hash shortened to 16 hex digits: 64 bits, a collision among 10^6 rows has p = 3e-8."""


class Drops(Table):
    """Why a row went: ``value`` was measured, ``threshold`` was asked for."""

    id: str
    reason: str = pa.Field(str_matches=r"^[a-z][a-z0-9_]*$")
    value: float = pa.Field(nullable=True)
    threshold: float = pa.Field(nullable=True)
    related_id: str = pa.Field(nullable=True)  # what it lost against: its cluster's survivor, say
    excerpt: str  # the first characters of the row or the error, for the report
