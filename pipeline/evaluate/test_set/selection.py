"""Which rows are asked, and which training examples the few-shot arm shows with each."""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.outcome import Drop, Outcome, drops
from pipeline.settings import EvaluateSettings
from pipeline.text.chat import Rejected, encode
from pipeline.text.chat_template import Message
from pipeline.text.tokens import CountTokens
from schemas.pairs import Examples

ANSWER_TOKENS = (64, 1024)
"""Least and most tokens of an answer where ``evaluate.max_new_tokens`` is empty."""
ROOM = 1.5
"""An answer may be so much longer than the references."""
_BLOCK = 512
"""Test rows compared with all of train at once."""


def test_set(
    examples: DataFrame[Examples], load: Callable[[], Any], settings: EvaluateSettings
) -> Outcome[Examples]:
    """Choose the test rows that every arm is asked, sorted by pair_id; only they are counted in.

    ``load`` returns the tokenizer. A sample of ``max_test_rows`` is drawn by a salted hash of the
    pair, so it stays the same when other rows are added. Dropped are rows that cannot be rendered,
    by the reasons of :func:`pipeline.text.chat.encode`, and ``not_sampled`` ones.
    """
    rows, tokenizer = examples.filter(split="test").sort("pair_id"), load()
    dropped: dict[str, Drop] = {}
    for pair, messages in rows.select("pair_id", "messages").iter_rows():
        encoded = encode(tokenizer, messages, settings.max_tokens)
        if isinstance(encoded, Rejected):
            measured = (encoded.value, encoded.threshold)
            dropped[pair] = Drop(pair, encoded.reason, _question(messages), *measured)
    usable = [pair for pair in rows["pair_id"] if pair not in dropped]
    if settings.max_test_rows and len(usable) > settings.max_test_rows:
        lot = sorted(usable, key=lambda pair: short_id(str(settings.seed), pair))
        for pair in lot[settings.max_test_rows :]:
            dropped[pair] = Drop(pair, "not_sampled", "", len(usable), settings.max_test_rows)
    kept = rows.filter(~pl.col("pair_id").is_in(list(dropped)))
    return Outcome(
        kept=cast("DataFrame[Examples]", kept), dropped=drops(dropped.values()), rows_in=rows.height
    )


test_set.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test, despite its name


def answer_limit(asked: DataFrame[Examples], count: CountTokens, settings: EvaluateSettings) -> int:
    """Return how many tokens an answer may have: ``max_new_tokens``, else by the references.

    A fixed limit would cut the answers of a model that has learnt longer ones.
    """
    if settings.max_new_tokens is not None:
        return settings.max_new_tokens
    least, most = ANSWER_TOKENS
    lengths = [count(row[-1]["content"]) for row in asked["messages"].to_list()]
    long = ROOM * float(np.percentile(lengths, 95)) if lengths else 0.0
    return max(least, min(most, math.ceil(long) + 1))  # and the end of the turn


def nearest_examples(examples: DataFrame[Examples], count: int) -> dict[str, list[Message]]:
    """Choose the training examples nearest to each test question, as earlier chat turns.

    By the cosine of TF-IDF word vectors of the questions, ties by pair_id; the nearest comes last,
    next to the question. Empty lists when count is 0 or there is no training row.
    """
    asked = examples.filter(split="test").sort("pair_id")
    train = examples.filter(split="train").sort("pair_id")
    if not count or not train.height or not asked.height:
        return {pair: [] for pair in asked["pair_id"]}
    shots = [
        [
            Message(role=turn["role"], content=turn["content"])
            for turn in turns
            if turn["role"] != "system"
        ]
        for turns in train["messages"]
    ]
    questions, pool = (list(map(_question, rows["messages"])) for rows in (asked, train))
    order = _nearest(questions, pool, count)
    return {
        pair: [message for row in reversed(chosen) for message in shots[row]]
        for pair, chosen in zip(asked["pair_id"], order, strict=True)
    }


def _nearest(questions: Sequence[str], pool: Sequence[str], count: int) -> list[list[int]]:
    """Return for each question the indices of the nearest of the pool, nearest first."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True)
    # The empty text keeps the vocabulary defined when no question of the pool has a word.
    vectorizer.fit([*pool, "question"])
    known = vectorizer.transform(pool).T.tocsc()
    chosen: list[list[int]] = []
    for start in range(0, len(questions), _BLOCK):
        near = (vectorizer.transform(questions[start : start + _BLOCK]) @ known).toarray()
        # Rounded, so that equal examples tie exactly and the stable sort goes by pair_id.
        ranks = np.argsort(-near.round(9), axis=1, kind="stable")[:, :count]
        chosen.extend(ranks.tolist())
    return chosen


def _question(messages: Sequence[Message]) -> str:
    return next(item["content"] for item in reversed(messages) if item["role"] == "user")
