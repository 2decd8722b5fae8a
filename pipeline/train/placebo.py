"""Placebo: the rows of a training with the answers dealt to other documents' questions.

A model trained on them learns the form of the answers: of the embedded model's gain in loss 30 %
needed no right answer. What a training claims is what it has beyond that.
"""

from itertools import groupby
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.outcome import Outcome, drops
from pipeline.core.stage import Stage
from schemas.pairs import Examples


def deal_answers(examples: DataFrame[Examples], seed: int) -> Outcome[Examples]:
    """Give each row of train and validation the answer of a row of another document.

    In the order of clusters, by a seeded hash, answers go on by the size of the largest; where one
    has more than half of a split, an answer may come from another row of it. Test rows stay as they
    are; of conversations the last answer is dealt.
    """
    dealt: dict[str, str] = {}
    for split in ("train", "validation"):
        rows = sorted(
            examples.filter(split=split).iter_rows(named=True),
            key=lambda row: [short_id(str(seed), row[key]) for key in ("cluster_id", "pair_id")],
        )
        sizes = [len(list(group)) for _, group in groupby(rows, key=lambda row: row["cluster_id"])]
        step = min(max(sizes, default=0), max(1, len(rows) // 2))
        for place, row in enumerate(rows):
            other = rows[(place + step) % len(rows)]
            dealt[row["pair_id"]] = other["messages"][-1]["content"]
    messages = [
        [*row["messages"][:-1], row["messages"][-1] | {"content": dealt[row["pair_id"]]}]
        if row["pair_id"] in dealt
        else row["messages"]
        for row in examples.iter_rows(named=True)
    ]
    column = pl.Series("messages", messages, dtype=examples.schema["messages"])
    rows_out = cast("DataFrame[Examples]", examples.with_columns(column))
    return Outcome(kept=rows_out, dropped=drops([]), rows_in=examples.height)


DEAL = Stage("deal", deal_answers, Examples, {"examples": Examples}, dataset="placebo_examples")
