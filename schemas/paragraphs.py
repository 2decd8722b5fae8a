"""Paragraphs that occur in many documents."""

import pandera.polars as pa
import polars as pl

from schemas.base import ID, Table


class RepeatedParagraphs(Table):
    """A paragraph that several documents have in common, and how often it occurs."""

    key: str = pa.Field(str_matches=ID, unique=True)
    """Hash of its text but for case and white space."""
    text: str = pa.Field(str_length={"min_value": 1})
    """How it begins, in the document that sorts first."""
    words: int = pa.Field(ge=1)
    characters: int = pa.Field(ge=1)
    """Of one occurrence."""
    documents: int = pa.Field(ge=2)
    occurrences: int = pa.Field(ge=2)
    doc_id: str = pa.Field(str_matches=ID)
    """The document that sorts first by source: there one copy stays when the others go."""
    sources: pl.List(pl.String) = pa.Field()  # type: ignore[valid-type]
    """Of the first documents that have it."""
