"""Pairs like a given one: where one is wrong, those made the same way often are as well."""

import polars as pl

from pipeline.core.errors import InputError
from pipeline.text.bm25 import bm25
from pipeline.text.words import words

LEAST = 0.25
"""Of the score that the pair has with itself: about a third of its rarer words."""


def similar_pairs(pairs: pl.DataFrame, pair_id: str, count: int) -> pl.DataFrame:
    """Return a pair and those that share most of its words, weighted by their rarity (BM25).

    Args:
        pairs: with ``pair_id``, ``instruction``, ``input`` and ``response``.
        pair_id: of the pair to start from.
        count: of the others, at most.

    Returns:
        The rows with ``similarity``, 1 for the pair itself, the most similar first.

    Raises:
        InputError: there is no such pair.
    """
    ids = pairs["pair_id"].to_list()
    if pair_id not in ids:
        raise InputError(
            f"review like: no pair {pair_id!r} found; expected one of the {len(ids)} screened "
            "pairs; `tuneloop show screened_pairs` prints their ids"
        )
    texts = pairs.select(pl.concat_str("instruction", "input", "response", separator=" "))
    documents = [words(text) for text in texts.to_series()]
    scores = bm25(documents, k1=1.2, b=0.75)(documents[ids.index(pair_id)])
    own = scores[ids.index(pair_id)]
    is_own = pl.col("pair_id") == pair_id
    ranked = pairs.with_columns(similarity=pl.Series(scores / own) if own else is_own.cast(float))
    ranked = ranked.filter(is_own | (pl.col("similarity") >= LEAST))
    return ranked.sort(~is_own, -pl.col("similarity"), "pair_id").head(count + 1)
