"""Sources: the document and the passage that a row of a user's file is about."""

import re
from collections import defaultdict
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cached_property

from pandera.typing.polars import DataFrame

from pipeline.text.bm25 import Scores, bm25
from pipeline.text.function_words import content
from pipeline.text.terms import folded
from pipeline.text.words import words
from schemas.documents import Chunks, RawDocuments

FOUND = 0.5  # share of the words of a row that a chunk must have to be what it is about
LOOKED_FOR = 5  # names without a document for which one that is spelled like it is looked for
_SIGN = re.compile(r"[\u30a0-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
"""Han and Katakana, of which each sign is a word to :func:`words`; Hiragana is mostly particles."""
_RUN = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]+")  # Thai, Lao, Burmese, Khmer
PIECE = 4  # signs of such a run that stand for a word, from each sign on; search engines do so too


def _terms(text: str) -> set[str]:
    """Return the words of a text that say what it is about."""
    runs = filter(None, map(folded, _RUN.findall(text)))
    pieces = {run[at : at + PIECE] for run in runs for at in range(max(1, len(run) - PIECE + 1))}
    return {*content(_RUN.sub(" ", text)), *filter(_SIGN.match, words(text)), *pieces}


class Sources:
    """Documents that were read, by source."""

    def __init__(self, raw: DataFrame[RawDocuments]) -> None:
        self._ids: dict[str, list[str]] = defaultdict(list)
        self._ends: dict[str, set[str]] = defaultdict(set)
        for doc_id, source in raw.select("doc_id", "source").sort("doc_id").iter_rows():
            self._ids[source].append(doc_id)
            for end in _ends(source):
                self._ends[end].add(source)
        self.only = next(iter(self._ids)) if len(self._ids) == 1 else ""
        """The source, where there is one only."""
        self._looked_for = 0

    def find(self, named: str) -> list[str]:
        """Return the documents of a source; also where its path begins higher up, or lower."""
        if named in self._ids:
            return self._ids[named]
        for end in _ends(named.replace("\\", "/")):
            meant = self._ends.get(end, set())
            if len(meant) == 1 and (end == named or end in meant):
                return self._ids[next(iter(meant))]
        return []

    def nearest(self, named: str) -> str:
        """Return the source that is spelled most like a name; empty when none is.

        Of the first :data:`LOOKED_FOR` names only: it takes two seconds in 100,000 sources.
        """
        self._looked_for += 1
        if self._looked_for > LOOKED_FOR:
            return ""
        return next(iter(get_close_matches(named, self._ids, n=1)), "")


def _ends(path: str) -> Iterator[str]:
    """Yield a path, and what is left of it without its first folders."""
    while path:
        yield path
        path = path.partition("/")[2]


class Passages:
    """Chunks by the words they have."""

    def __init__(self, chunks: DataFrame[Chunks]) -> None:
        self._words: dict[str, dict[str, set[str]]] = defaultdict(dict)
        self._all: list[tuple[str, str]] = []
        for row in chunks.sort("doc_id", "start", "chunk_id").iter_rows(named=True):
            words_of = self._words[row["doc_id"]]
            words_of[row["chunk_id"]] = _terms(f"{row['section']} {row['text']}")
            self._all.append((row["doc_id"], row["chunk_id"]))

    def nearest(self, doc_id: str, asked: str) -> str:
        """Return the chunk of a document with most words of a text, or none: empty."""
        wanted = _terms(asked)
        shared = {chunk: len(wanted & known) for chunk, known in self._words[doc_id].items()}
        best = max(shared, key=lambda chunk: shared[chunk], default="")
        return best if shared.get(best) else ""

    @cached_property
    def _scores(self) -> Scores:
        known = [sorted(self._words[doc_id][chunk_id]) for doc_id, chunk_id in self._all]
        return bm25(known)

    def search(self, asked: str) -> tuple[str, str]:
        """Return the document and the chunk that a text is about; both empty when none is."""
        wanted = _terms(asked)
        if not wanted or not self._all:
            return "", ""
        doc_id, chunk_id = self._all[int(self._scores(sorted(wanted)).argmax())]
        shared = wanted & self._words[doc_id][chunk_id]
        return (doc_id, chunk_id) if len(shared) >= FOUND * len(wanted) else ("", "")
