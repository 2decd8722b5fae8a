"""BM25 over the chunks of the corpus, those of test documents too: what goes before a question."""

from collections.abc import Mapping
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.dedup.decontaminate import example_leaks
from pipeline.evaluate.answers.chunk_index import ChunkIndex
from pipeline.evaluate.answers.prompts import Passage, with_passage
from pipeline.evaluate.measures.grounding import chunk_text
from pipeline.pairs.assignment import places
from schemas.documents import Chunks
from schemas.pairs import Examples, Splits


def retrieve(
    examples: DataFrame[Examples], chunks: DataFrame[Chunks], count: int
) -> dict[str, Passage]:
    """Find the chunks that answer each question best, by pair_id; no chunk is an empty passage."""
    index = ChunkIndex(chunks)
    passages = {}
    for pair, messages in examples.sort("pair_id").select("pair_id", "messages").iter_rows():
        question = next(item["content"] for item in reversed(messages) if item["role"] == "user")
        best = index.find(question, count)
        passages[pair] = Passage(
            "\n\n".join(map(chunk_text, best)),
            tuple(row["chunk_id"] for row in best),
            tuple(row["doc_id"] for row in best),
        )
    return passages


def behind_passages(
    examples: DataFrame[Examples],
    chunks: DataFrame[Chunks],
    splits: DataFrame[Splits],
    count: int,
    share: float,
) -> DataFrame[Examples]:
    """Put passages before some training questions: retrieval-aware fine-tuning (RAFT).

    They are what :func:`retrieve` finds among the chunks that no test row is made of, right or not,
    for a ``share`` of the rows of train and validation, drawn by a hash of the pair. A row whose
    passage gives a test row away, by the leak check, stays without.
    """
    place = places(splits)
    seen = [
        (place(doc, chunk) or {"split": "train"})["split"] != "test"
        for doc, chunk in chunks.select("doc_id", "chunk_id").iter_rows()
    ]
    drawn = [
        pair
        for pair, split in examples.select("pair_id", "split").iter_rows()
        if split != "test" and int(short_id("passages", pair), 16) < share * 16**16
    ]
    asked = cast("DataFrame[Examples]", examples.filter(pl.col("pair_id").is_in(drawn)))
    passages = retrieve(
        asked, cast("DataFrame[Chunks]", chunks.filter(pl.Series(seen, dtype=pl.Boolean))), count
    )
    behind = _behind(examples, passages)
    leaking = {leak.pair_id for leak in example_leaks(behind)}
    return _behind(examples, {key: value for key, value in passages.items() if key not in leaking})


def _behind(examples: DataFrame[Examples], passages: Mapping[str, Passage]) -> DataFrame[Examples]:
    messages = []
    for pair, turns in examples.select("pair_id", "messages").iter_rows():
        *before, question, answer = turns
        text = passages[pair].text if pair in passages else ""
        if text:
            question = question | {"content": with_passage(question["content"], text)}
        messages.append([*before, question, answer])
    column = pl.Series("messages", messages, dtype=examples.schema["messages"])
    return cast("DataFrame[Examples]", examples.with_columns(column))
