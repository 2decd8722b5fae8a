"""Which rows are asked, what examples the few-shot arm shows, and slices: kinds of questions."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.outcome import Drop, Outcome, drops
from pipeline.evaluate.results import Slice
from pipeline.evaluate.statistics.intervals import Resampling, holm, interval, p_value
from pipeline.settings import EvaluateSettings
from pipeline.text.chat import Rejected, encode
from pipeline.text.chat_template import Message
from pipeline.text.function_words import function_words
from pipeline.text.tokens import CountTokens
from pipeline.text.words import words
from schemas.documents import UniqueDocuments
from schemas.pairs import Examples

ANSWER_TOKENS = (64, 1024)  # least and most of an answer where ``evaluate.max_new_tokens`` is empty
ROOM = 1.5  # an answer may be so much longer than the references
_BLOCK = 512  # test rows compared with all of train at once
Labels = Mapping[str, Mapping[str, str]]  # by dimension, then by pair_id

LENGTHS = ((10, "up to 10 words"), (20, "11 to 20 words"))
"""Buckets of the reference response; a sentence of a manual has 10 to 20 words."""
LONGER = "over 20 words"


def test_set(
    examples: DataFrame[Examples], load: Callable[[], Any], settings: EvaluateSettings
) -> Outcome[Examples]:
    """Choose the test rows that every arm is asked, sorted by pair_id; only they are counted in.

    ``load`` returns the tokenizer. A sample is drawn by a salted hash of the pair, so it stays when
    rows are added. Dropped are rows that :func:`pipeline.text.chat.encode` rejects, and others.
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
    """Return the most tokens of an answer: ``max_new_tokens``, else by what references have."""
    if settings.max_new_tokens is not None:
        return settings.max_new_tokens
    least, most = ANSWER_TOKENS
    lengths = [count(row[-1]["content"]) for row in asked["messages"].to_list()]
    long = ROOM * float(np.percentile(lengths, 95)) if lengths else 0.0
    return max(least, min(most, math.ceil(long) + 1))  # and the end of the turn


def nearest_examples(examples: DataFrame[Examples], count: int) -> dict[str, list[str]]:
    """Return by pair_id the training examples nearest to each question (TF-IDF), nearest last."""
    asked = examples.filter(split="test").sort("pair_id")
    train = examples.filter(split="train").sort("pair_id")
    if not count or not train.height or not asked.height:
        return {pair: [] for pair in asked["pair_id"]}
    questions, pool = (list(map(_question, rows["messages"])) for rows in (asked, train))
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
    names = train["pair_id"].to_list()
    return {
        pair: [names[row] for row in reversed(rows)]
        for pair, rows in zip(asked["pair_id"], chosen, strict=True)
    }


def shots_of(
    nearest: Mapping[str, Sequence[str]], examples: DataFrame[Examples]
) -> dict[str, list[Message]]:
    """Return the messages of the examples that are nearest, without system prompts."""
    turns = dict(examples.select("pair_id", "messages").iter_rows())
    told = {
        name: [turn for turn in turns[name] if turn["role"] != "system"]
        for name in {name for names in nearest.values() for name in names}
    }
    return {
        pair: [turn for name in names for turn in told[name]] for pair, names in nearest.items()
    }


def _question(messages: Sequence[Message]) -> str:
    return next(item["content"] for item in reversed(messages) if item["role"] == "user")


def label_rows(
    examples: DataFrame[Examples], documents: DataFrame[UniqueDocuments]
) -> dict[str, dict[str, str]]:
    """Return what kind of row each is: topic, format, length of reference, origin, question word.

    Topic is the first folder of the document's path, else its title; "none" without a document.
    """
    columns = documents.select("doc_id", "source", "title", "format").iter_rows()
    about = {}
    for doc, source, title, kind in columns:
        folder, slash, _ = source.partition("/")
        about[doc] = (folder if slash else title or source, kind)
    dimensions = ("topic", "format", "length", "origin", "question")
    labels: dict[str, dict[str, str]] = {name: {} for name in dimensions}
    for row in examples.sort("pair_id").iter_rows(named=True):
        question, answer = (turn["content"] for turn in row["messages"][-2:])
        asked = (word for word in words(question) if word in function_words("en").questions)
        found = (
            *about.get(row["doc_id"], ("none", "none")),
            next((name for most, name in LENGTHS if len(answer.split()) <= most), LONGER),
            row["origin"].replace("_", "-"),
            next(asked, "other"),
        )
        for name, label in zip(dimensions, found, strict=True):
            labels[name][row["pair_id"]] = label
    return labels


def compare_slices(
    challenger: pl.DataFrame, other: pl.DataFrame, labels: Labels, options: Resampling
) -> tuple[Slice, ...]:
    """Compare two arms, both sorted by pair_id, in each dimension; the largest slices first."""
    paired = challenger.select("pair_id", "cluster_id").with_columns(
        difference=challenger["correct"] - other["correct"]
    )
    found: list[Slice] = []
    for dimension, by_pair in labels.items():
        label = pl.Series([by_pair[pair] for pair in paired["pair_id"]], dtype=pl.String)
        if label.n_unique() < 2:
            continue
        parts = paired.with_columns(label=label).partition_by("label", as_dict=True)
        by_size = sorted(parts.items(), key=lambda item: (-item[1].height, str(item[0][0])))
        for (value,), rows in by_size:
            differences, clusters = rows["difference"].to_numpy(), rows["cluster_id"].to_list()
            count, p = len(set(clusters)), None
            if count > 1:
                p = p_value(differences, clusters, seed=options["seed"], draws=options["draws"])
            difference = interval(differences, clusters, **options)
            found.append(Slice(dimension, str(value), rows.height, count, difference, p, None))
    corrected = holm({str(n): item.p for n, item in enumerate(found) if item.p is not None})
    return tuple(replace(item, p_holm=corrected.get(str(n))) for n, item in enumerate(found))
