"""What people decided about pairs."""

import pandera.polars as pa
import polars as pl

from schemas.base import ID, Table

VERDICTS = ["accept", "edit", "reject", "skip"]
FLAGS = [
    "not_grounded",
    "wrong",
    "unclear_question",
    "incomplete",
    "duplicate",
    "unsafe",
    "personal_data",
]


class Reviews(Table):
    """One decision of one reviewer on one pair; a skip is an abstention, never a reject."""

    pair_id: str = pa.Field(str_matches=ID)
    verdict: str = pa.Field(isin=VERDICTS)
    edited_response: str = pa.Field(nullable=True)
    """The response as the reviewer wants it; with ``edit`` only."""
    flags: pl.List(pl.String) = pa.Field()  # type: ignore[valid-type]
    """What is wrong; at least one of FLAGS with ``reject``."""
    note: str = pa.Field()
    reviewer: str = pa.Field(str_length={"min_value": 1})
    decided_at: str = pa.Field()
    """UTC, ISO 8601."""
