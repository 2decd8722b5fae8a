"""Which split each cluster of documents belongs to, or each section of a few documents."""

from typing import ClassVar

import pandera.polars as pa
import polars as pl

from schemas.base import ID, Table

SPLITS = ["train", "validation", "test"]


class Splits(Table):
    """One row a surviving document, or one a chunk; decided before any pair is generated."""

    class Config(Table.Config):
        """A document has one row, or one for each of its chunks."""

        unique: ClassVar = ["doc_id", "chunk_id"]
        metadata: ClassVar = {"version": 2}

    doc_id: str = pa.Field(str_matches=ID)
    chunk_id: str = pa.Field()
    """Empty: the document as a whole."""
    cluster_id: str = pa.Field(str_matches=ID)
    split: str = pa.Field(isin=SPLITS)

    @classmethod
    def upgrade(cls, frame: pl.DataFrame, version: int) -> pl.DataFrame | None:
        """Before version 2 only documents as a whole were split."""
        return frame.with_columns(chunk_id=pl.lit("")) if version == 1 else None
