"""Features of the training snapshot against which later data is compared."""

import pandera.polars as pa

from schemas.base import Table


class DriftFeatures(Table):
    """One text of the reference; a null is a feature of its own in the drift check."""

    id: str = pa.Field(unique=True)
    kind: str = pa.Field(isin=["document", "pair"])
    characters: int = pa.Field(ge=0)
    tokens: int = pa.Field(ge=0)
    type_token_ratio: float = pa.Field(ge=0, le=1, nullable=True)
    """Distinct words over words, of the first 200 words."""
    compression_ratio: float = pa.Field(gt=0, nullable=True)
    """zlib bytes over UTF-8 bytes: low for repetition."""
    digit_share: float = pa.Field(ge=0, le=1, nullable=True)
    code_share: float = pa.Field(ge=0, le=1, nullable=True)
    """Share of lines inside code fences."""
    loss: float = pa.Field(ge=0, nullable=True)
    """Nats a token under the trained model; null where it was not measured."""
    text: str = pa.Field(nullable=True)
