"""What a trained model loses on each held-out row, for a comparison of trainings."""

import pandera.polars as pa

from schemas.base import ID, Table


class HeldOutLosses(Table):
    """Loss of one reference response under one model; nothing is decoded."""

    pair_id: str = pa.Field(str_matches=ID, unique=True)
    split: str = pa.Field(isin=["validation", "test"])
    cluster_id: str = pa.Field()
    """Resampling unit of the bootstrap."""
    tokens: int = pa.Field(gt=0)
    """Tokens of the reference response, end-of-turn included."""
    loss: float = pa.Field(ge=0)
    """Mean negative log-likelihood of the reference response, nats a token."""
