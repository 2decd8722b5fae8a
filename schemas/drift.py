"""Features of the training snapshot against which later data is compared."""

import pandera.polars as pa

from schemas.base import Table

KINDS = ["document", "pair", "exchange"]


class DriftFeatures(Table, version=2):
    """One text of the reference; a null is a feature of its own in the drift check."""

    id: str = pa.Field(unique=True)
    kind: str = pa.Field(isin=KINDS)
    category: str = pa.Field(nullable=True)
    """Of documents their format, of pairs their origin, of exchanges whether they were answered."""
    language: str = pa.Field(str_matches=r"^[a-z]{2,3}$", nullable=True)
    """ISO 639-1 by py3langid; null without words, or when the guess is no likelier than not."""
    characters: int = pa.Field(ge=0)
    tokens: int = pa.Field(ge=0)
    """Length by the tokenizer of the base model."""
    type_token_ratio: float = pa.Field(ge=0, le=1, nullable=True)
    """Distinct words over words, of the first 200 words; null without words."""
    compression_ratio: float = pa.Field(gt=0, nullable=True)
    """zlib bytes over UTF-8 bytes: low for repetition; null for an empty text."""
    digit_share: float = pa.Field(ge=0, le=1, nullable=True)
    """Share of characters that are decimal digits; null for an empty text."""
    non_ascii_share: float = pa.Field(ge=0, le=1, nullable=True)
    """Share of characters beyond ASCII: another language, or a broken encoding."""
    code_share: float = pa.Field(ge=0, le=1, nullable=True)
    """Share of non-empty lines inside code fences; null without such lines."""
    loss: float = pa.Field(ge=0, nullable=True)
    """Nats a token under the trained model; null where it was not measured."""
    text: str = pa.Field(nullable=True)
    """The text itself, for tests on words; null once it was withdrawn."""
