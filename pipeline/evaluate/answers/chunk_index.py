"""BM25 index of the chunks: what retrieval finds in evaluation, training and serving alike."""

from typing import Any

import numpy as np
from pandera.typing.polars import DataFrame

from pipeline.evaluate.measures.grounding import chunk_text
from pipeline.text.bm25 import bm25
from pipeline.text.stop_words import STOP_WORDS
from pipeline.text.terms import stem
from pipeline.text.words import words
from schemas.documents import Chunks


class ChunkIndex:
    """The chunks of the corpus by their words."""

    def __init__(self, chunks: DataFrame[Chunks]) -> None:
        """Index the chunks; there may be none."""
        self.rows: dict[str, dict[str, Any]] = {
            row["chunk_id"]: row for row in chunks.sort("chunk_id").iter_rows(named=True)
        }
        self._ordered = list(self.rows.values())
        texts = [_terms(chunk_text(row)) for row in self.rows.values()]
        self._scores = bm25(texts, k1=1.5, b=0.75) if texts else None

    def find(self, question: str, count: int) -> list[dict[str, Any]]:
        """Return the best chunks for a question, best first; fewer where too few share a word.

        Lucene's variant with k1 1.5 and b 0.75 on stemmed words without stop words, of title,
        heading path and text. Of equal chunks the first ``chunk_id`` comes first.
        """
        if self._scores is None:
            return []
        scores = self._scores(_terms(question))
        best = np.argsort(-scores, kind="stable")[:count]
        return [self._ordered[int(number)] for number in best if scores[number] > 0]


def _terms(text: str) -> list[str]:
    return [stem(word) for word in words(text) if word not in STOP_WORDS]
