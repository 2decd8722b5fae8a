"""What may be queued for review, read from the store."""

from pathlib import Path
from typing import Any, NamedTuple, cast

from pandera.typing.polars import DataFrame

from pipeline.core.home import Home, ancestors
from pipeline.core.outcome import table
from pipeline.core.store import Dataset
from pipeline.pairs.review_sample import Flagged, flagged_pairs
from schemas.base import Table
from schemas.pairs import GoldRows, Pairs, ScreenedPairs, Splits


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
            there = name in before
            return (
                home.store.read(home.dataset(before[name]), schema) if there else table(schema, [])
            )

        dropped = home.store.read_dropped(screened)
        pairs = home.store.read(screened, ScreenedPairs).select(ScreenedPairs.columns())
        return cls(
            pairs=cast("DataFrame[ScreenedPairs]", pairs),
            flagged=flagged_pairs(
                read(Pairs, "candidate_pairs"), dropped, read(Splits, "splits"), seed
            ),
            gold=read(GoldRows, "gold_rows"),
        )
