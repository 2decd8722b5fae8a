"""What was asked of the served model, and what it answered."""

import pandera.polars as pa
import polars as pl

from schemas.base import ID, TURNS, Table


class Exchanges(Table):
    """A logged prompt with its response."""

    exchange_id: str = pa.Field(str_matches=ID, unique=True)
    """Hash of prompt, response and time."""
    prompt: str = pa.Field(str_length={"min_value": 1})
    response: str = pa.Field(nullable=True)
    """Null when nothing came back."""
    time: str = pa.Field(str_matches=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?Z$")
    """UTC, ISO 8601."""
    rating: float = pa.Field(nullable=True)
    """As the log has it, on whatever scale."""
    model: str = pa.Field()
    """Fingerprint of the champion that answered; empty in the log of another server."""
    history: TURNS = pa.Field()  # type: ignore[valid-type]
    """Turns of the conversation before the prompt; mostly none."""
    chunk_ids: pl.List(pl.String) = pa.Field()  # type: ignore[valid-type]
    """Passages that the answer was given with."""
    file: str = pa.Field()
    """Path below the log folder."""
