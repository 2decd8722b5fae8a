"""What was asked of the served model, and what it answered."""

import pandera.polars as pa
import polars as pl

from schemas.base import ID, TURNS, Table


class Exchanges(Table):
    """A logged prompt with its response."""

    exchange_id: str = pa.Field(str_matches=ID, unique=True)  # hash of prompt, response and time
    prompt: str = pa.Field(str_length={"min_value": 1})
    response: str = pa.Field(nullable=True)  # null when nothing came back
    time: str = pa.Field(str_matches=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?Z$")
    """UTC, ISO 8601."""
    rating: float = pa.Field(nullable=True)  # as the log has it, on whatever scale
    model: str  # fingerprint of the champion that answered; empty in the log of another server
    history: TURNS  # type: ignore[valid-type]  # turns before the prompt; mostly none
    chunk_ids: pl.List(pl.String)  # type: ignore[valid-type]  # passages behind the answer
    file: str  # path below the log folder
