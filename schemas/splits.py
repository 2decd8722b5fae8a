"""Which split each cluster of documents belongs to."""

import pandera.polars as pa

from schemas.base import ID, Table

SPLITS = ["train", "validation", "test"]


class Splits(Table):
    """One row a surviving document; decided before any pair is generated."""

    doc_id: str = pa.Field(str_matches=ID, unique=True)
    cluster_id: str = pa.Field(str_matches=ID)
    split: str = pa.Field(isin=SPLITS)
