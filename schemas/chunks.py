"""Pieces of documents that a teacher reads."""

import pandera.polars as pa

from schemas.base import ID, Table


class Chunks(Table):
    """A run of whole blocks or sentences under one heading path."""

    chunk_id: str = pa.Field(str_matches=ID, unique=True)
    doc_id: str = pa.Field(str_matches=ID)
    title: str = pa.Field()
    section: str = pa.Field()
    """Heading path, ``Installation > Linux``; empty above the first heading."""
    start: int = pa.Field(ge=0)
    """Character range in the text of UniqueDocuments: ``text[start:end]`` is the chunk."""
    end: int = pa.Field(gt=0)
    text: str = pa.Field(str_length={"min_value": 1})
    tokens: int = pa.Field(gt=0)
    """Length by the tokenizer of the base model."""
