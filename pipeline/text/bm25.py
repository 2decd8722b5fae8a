"""BM25 (Robertson and Zaragoza 2009) by bm25s, in Lucene's variant."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Scores = Callable[[Sequence[str]], NDArray[np.float64]]
"""Returns the score of each document for the words of a query."""
_NO_WORD, _UNKNOWN_WORD = ["\0"], ["\1"]
"""For an empty document and an empty query, which bm25s refuses; neither is found."""


def bm25(documents: Sequence[Sequence[str]], *, k1: float = 1.5) -> Scores:
    """Index documents, at least one, by their words; the lower k1, the less repeated ones count."""
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # it is at DEBUG as imported
    index = bm25s.BM25(method="lucene", k1=k1, b=0.75)
    index.index([list(words) or _NO_WORD for words in documents], show_progress=False)

    def scores(query: Sequence[str]) -> NDArray[np.float64]:
        # Rounded, so that equal documents tie exactly.
        found = index.get_scores(list(query) or _UNKNOWN_WORD)
        return np.asarray(found, dtype=np.float64).round(5)

    return scores
