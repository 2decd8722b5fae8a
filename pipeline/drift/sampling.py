"""Drawing rows by a hash of their id."""

import polars as pl

from pipeline.core.cache import short_id


def sample(texts: pl.DataFrame, seed: int, size: int) -> pl.DataFrame:
    """Draw rows by a salted hash of their id, sorted by id.

    The draw does not depend on the order of the rows, and adding rows exchanges few of it.

    Args:
        texts: a table with a column ``id``.
        seed: salt of the hash.
        size: rows drawn; all when there are fewer.
    """
    ordered = texts.sort("id")
    lot = pl.Series([short_id(str(seed), key) for key in ordered["id"]], dtype=pl.String)
    return ordered[lot.arg_sort()[:size].sort()]
