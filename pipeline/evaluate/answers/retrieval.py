"""BM25 over the chunks of the corpus, those of test documents too: what goes before a question."""

from collections.abc import Mapping, Sequence
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

Found = Mapping[str, Sequence[str]]  # chunk ids, the best first, by pair_id


def find_chunks(
    examples: DataFrame[Examples], chunks: DataFrame[Chunks], count: int
) -> dict[str, list[str]]:
    """Find the chunks that answer each question best: their ids, by pair_id."""
    index, found = ChunkIndex(chunks), {}
    for pair, messages in examples.sort("pair_id").select("pair_id", "messages").iter_rows():
        question = next(item["content"] for item in reversed(messages) if item["role"] == "user")
        found[pair] = [row["chunk_id"] for row in index.find(question, count)]
    return found


def passages_of(found: Found, chunks: DataFrame[Chunks]) -> dict[str, Passage]:
    """Return the chunks that were found as passages; no chunk is an empty one."""
    rows = {row["chunk_id"]: row for row in chunks.iter_rows(named=True)}
    passages = {}
    for pair, ids in found.items():
        best = [rows[name] for name in ids]
        text = "\n\n".join(map(chunk_text, best))
        passages[pair] = Passage(text, tuple(ids), tuple(row["doc_id"] for row in best))
    return passages


def find_passages(
    examples: DataFrame[Examples],
    chunks: DataFrame[Chunks],
    splits: DataFrame[Splits],
    count: int,
    share: float,
) -> dict[str, list[str]]:
    """Find what goes before some training questions: retrieval-aware fine-tuning (RAFT).

    The chunks that :func:`find_chunks` finds among those that no test row is made of, right or not,
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
    found = find_chunks(
        asked, cast("DataFrame[Chunks]", chunks.filter(pl.Series(seen, dtype=pl.Boolean))), count
    )
    leaking = {leak.pair_id for leak in example_leaks(behind_passages(examples, chunks, found))}
    return {pair: ids for pair, ids in found.items() if pair not in leaking}


def behind_passages(
    examples: DataFrame[Examples], chunks: DataFrame[Chunks], found: Found
) -> DataFrame[Examples]:
    """Put the chunks that were found before the questions of their rows."""
    passages, messages = passages_of(found, chunks), []
    for pair, turns in examples.select("pair_id", "messages").iter_rows():
        *before, question, answer = turns
        text = passages[pair].text if pair in passages else ""
        if text:
            question = question | {"content": with_passage(question["content"], text)}
        messages.append([*before, question, answer])
    column = pl.Series("messages", messages, dtype=examples.schema["messages"])
    return cast("DataFrame[Examples]", examples.with_columns(column))
