"""BM25 over the chunks of the corpus: what the retrieval arms put before a question.

The corpus holds the chunks of the test documents too. That is what retrieval means: at serving
time the documents are there to be looked up, while a fine-tuned model has to know. Only the
references of the test rows are not in it.
"""

from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.evaluate.answers.chunk_index import ChunkIndex
from pipeline.evaluate.answers.prompts import Passage, with_passage
from pipeline.evaluate.measures.grounding import chunk_text
from schemas.documents import Chunks
from schemas.pairs import Examples


def retrieve(
    examples: DataFrame[Examples], chunks: DataFrame[Chunks], count: int
) -> dict[str, Passage]:
    """Find the chunks that answer each question best, by BM25 (Robertson and Zaragoza 2009).

    The query is the last user message. Lucene's variant with k1 1.5 and b 0.75 on stemmed words
    without stop words, of title, heading path and text.

    Returns:
        By pair_id the best chunk first, ties by chunk_id. A question without a chunk that shares
        a word has an empty passage.
    """
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
    examples: DataFrame[Examples], chunks: DataFrame[Chunks], count: int, share: float
) -> DataFrame[Examples]:
    """Put passages before some training questions: retrieval-aware fine-tuning (RAFT).

    They are what :func:`retrieve` finds among the chunks of training documents, the right one or
    not, in the words that the retrieval arms are asked in.

    Args:
        examples: all splits; those of test stay as they are.
        chunks: of the corpus.
        count: passages of a question.
        share: of the rows of train and validation, drawn by a hash of the pair.
    """
    seen = examples.filter(pl.col("split") != "test")
    drawn = [
        pair for pair in seen["pair_id"] if int(short_id("passages", pair), 16) < share * 16**16
    ]
    known = chunks.filter(pl.col("doc_id").is_in(seen["doc_id"].unique().to_list()))
    asked = cast("DataFrame[Examples]", seen.filter(pl.col("pair_id").is_in(drawn)))
    passages = retrieve(asked, cast("DataFrame[Chunks]", known), count)
    messages = []
    for pair, turns in examples.select("pair_id", "messages").iter_rows():
        *before, question, answer = turns
        text = passages[pair].text if pair in passages else ""
        if text:
            question = question | {"content": with_passage(question["content"], text)}
        messages.append([*before, question, answer])
    column = pl.Series("messages", messages, dtype=examples.schema["messages"])
    return cast("DataFrame[Examples]", examples.with_columns(column))
