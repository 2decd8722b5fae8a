"""Features of the training snapshot against which later data is compared."""

import pandera.polars as pa

from schemas.base import Table

KINDS = ["document", "pair", "exchange"]


class DriftFeatures(Table, version=2):
    """One text of the reference; null is a feature of its own: no words, no text, not measured."""

    id: str = pa.Field(unique=True)
    kind: str = pa.Field(isin=KINDS)
    category: str = pa.Field(nullable=True)  # format, origin, or whether it was answered
    language: str = pa.Field(str_matches=r"^[a-z]{2,3}$", nullable=True)
    """ISO 639-1 by py3langid; null without words, or when the guess is no likelier than not."""
    characters: int = pa.Field(ge=0)
    tokens: int = pa.Field(ge=0)  # length by the tokenizer of the base model
    type_token_ratio: float = pa.Field(ge=0, le=1, nullable=True)  # distinct of the first 200 words
    compression_ratio: float = pa.Field(gt=0, nullable=True)  # zlib over UTF-8 bytes
    digit_share: float = pa.Field(ge=0, le=1, nullable=True)  # of characters
    non_ascii_share: float = pa.Field(ge=0, le=1, nullable=True)  # of characters beyond ASCII
    code_share: float = pa.Field(ge=0, le=1, nullable=True)  # of lines: in code fences
    loss: float = pa.Field(ge=0, nullable=True)  # nats a token; null where it was not measured
    text: str = pa.Field(nullable=True)  # for tests on words; null once it was withdrawn
