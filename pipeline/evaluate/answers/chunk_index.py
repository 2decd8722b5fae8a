"""BM25 index of the chunks: what retrieval finds in evaluation, training and serving alike."""

from typing import Any

import numpy as np
from pandera.typing.polars import DataFrame

from pipeline.evaluate.measures.grounding import chunk_text
from pipeline.text.bm25 import bm25
from pipeline.text.function_words import function_words
from pipeline.text.terms import stem
from pipeline.text.words import words
from schemas.documents import Chunks


class ChunkIndex:
    """The chunks of the corpus by their words."""

    def __init__(self, chunks: DataFrame[Chunks]) -> None:
        self._ordered: list[dict[str, Any]] = chunks.sort("chunk_id").to_dicts()
        self.rows = {row["chunk_id"]: row for row in self._ordered}
        texts = [_terms(chunk_text(row)) for row in self._ordered]
        self._scores = bm25(texts) if texts else None

    def find(self, question: str, count: int) -> list[dict[str, Any]]:
        """Return the best chunks that share a word with a question; equal ones by chunk_id."""
        if self._scores is None:
            return []
        scores = self._scores(_terms(question))
        best = np.argsort(-scores, kind="stable")[:count]
        return [self._ordered[int(number)] for number in best if scores[number] > 0]


def _terms(text: str) -> list[str]:
    stop = function_words("en").common_stop
    return [stem(word) for word in words(text) if word not in stop]
