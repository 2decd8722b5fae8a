"""BM25 index of the chunks, made once and asked often: what retrieval finds while serving.

Finds what :func:`pipeline.evaluate.answers.retrieval.retrieve` finds, so that the model that is
served is the one that was judged.
"""

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
        texts = [_terms(chunk_text(row)) for row in self.rows.values()]
        self._scores = bm25(texts, k1=1.5, b=0.75) if texts else None

    def find(self, question: str, count: int) -> list[dict[str, Any]]:
        """Return the best chunks for a question, best first; fewer where too few share a word."""
        if self._scores is None:
            return []
        scores, rows = self._scores(_terms(question)), list(self.rows.values())
        best = np.argsort(-scores, kind="stable")[:count]
        return [rows[int(number)] for number in best if scores[number] > 0]


def _terms(text: str) -> list[str]:
    return [stem(word) for word in words(text) if word not in STOP_WORDS]
