"""The ledger: one row for each thing a stage let go, with its reason."""

import pandera.polars as pa

from schemas.base import Table


class Drops(Table):
    """Why a row went: ``value`` was measured, ``threshold`` was asked for."""

    id: str = pa.Field()
    reason: str = pa.Field(str_matches=r"^[a-z][a-z0-9_]*$")
    value: float = pa.Field(nullable=True)
    threshold: float = pa.Field(nullable=True)
    related_id: str = pa.Field(nullable=True)
    """The row it lost against (the survivor of its cluster, the pair it repeats)."""
    excerpt: str = pa.Field()
    """The first characters of the row or the error, for the report."""
