"""What may be queued for review: read from the store, or as it is like a given pair."""

from pathlib import Path
from typing import Any, NamedTuple, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.errors import InputError
from pipeline.core.home import Home, ancestors
from pipeline.core.outcome import table
from pipeline.core.store import Dataset
from pipeline.pairs.review_sample import Flagged, flagged_pairs
from pipeline.text.bm25 import bm25
from pipeline.text.words import words
from schemas.base import Table
from schemas.pairs import GoldRows, Pairs, ScreenedPairs, Splits

LEAST = 0.25  # of the score that the pair has with itself: about a third of its rarer words


class Material(NamedTuple):
    """Pairs that may be queued, and gold rows that gold items are made of."""

    pairs: DataFrame[ScreenedPairs]
    flagged: Flagged
    gold: DataFrame[GoldRows]

    @classmethod
    def of(cls, folder: Path, screened: Dataset, seed: int) -> "Material":
        """Read the screened pairs, and from what is behind them candidates and gold rows."""
        home = Home.at(folder)
        before = {item.dataset: str(item) for item in ancestors(home, screened)}

        def read(schema: type[Table], name: str) -> Any:
            if name not in before:
                return table(schema, [])
            return home.store.read(home.dataset(before[name]), schema)

        candidates, splits = read(Pairs, "candidate_pairs"), read(Splits, "splits")
        flagged = flagged_pairs(candidates, home.store.read_dropped(screened), splits, seed)
        pairs = home.store.read(screened, ScreenedPairs).select(ScreenedPairs.columns())
        gold = read(GoldRows, "gold_rows")
        return cls(cast("DataFrame[ScreenedPairs]", pairs), flagged, gold)


def similar_pairs(pairs: pl.DataFrame, pair_id: str, count: int) -> pl.DataFrame:
    """Return a pair and at most ``count`` that share most of its words, by their rarity (BM25).

    Where one is wrong, those made the same way often are as well.

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
    scores = bm25(documents, k1=1.2)(documents[ids.index(pair_id)])
    own = scores[ids.index(pair_id)]
    is_own = pl.col("pair_id") == pair_id
    ranked = pairs.with_columns(similarity=pl.Series(scores / own) if own else is_own.cast(float))
    ranked = ranked.filter(is_own | (pl.col("similarity") >= LEAST))
    return ranked.sort(~is_own, -pl.col("similarity"), "pair_id").head(count + 1)
