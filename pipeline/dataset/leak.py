"""Leaks: what training would see of the rows that judge it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.dedup.shingles import words
from pipeline.outcome import Drop, Outcome, drops
from pipeline.progress import track
from schemas.pairs import SettledPairs

LONG, SHORT = 13, 8
"""Words of the n-gram that makes a row a candidate: 13 (GPT-3, lm-eval), 8 for a row of fewer
than 13 words (open-r1); a row below 8 words has to be equal."""

RUN = 5
"""Shortest run of common words that counts as copied; shorter ones are the product's phrases."""

MAX_COPIED = 0.5
"""Share of a held-out row that may be copied (Cosmopedia: n-gram hit first, then this)."""

FEWEST_QUESTION_WORDS = 3
"""A question is compared by itself from this length: "Why?" is no leak."""

JUDGES = {"train": ("validation", "test"), "validation": ("test",), "test": ()}
"""The splits that a row must not leak into."""

COLUMNS = ("pair_id", "instruction", "input", "response", "doc_id", "cluster_id", "split")


class Leak(NamedTuple):
    """A row that gives away one of a later split.

    ``kind``: ``document`` or ``cluster`` (the same one in both splits, value 1), ``question``
    (equal words in instruction and input, value 1), ``text`` (value: share of the held-out row
    that is copied).
    """

    pair_id: str
    test_pair_id: str
    split: str
    kind: str
    value: float
    threshold: float


class _Row(NamedTuple):
    pair_id: str
    split: str
    question: str
    text: list[str]


def check_leaks(pairs: pl.DataFrame) -> list[Leak]:
    """Return what leaks from train into validation or test, and from validation into test.

    Words are compared as one stream a row (instruction, input, response), without case, accents,
    punctuation and line breaks, so that a re-wrapped copy is the same as the original.

    Args:
        pairs: any table with the columns :data:`COLUMNS`; an empty ``doc_id`` is none.

    Returns:
        One leak for each leaking row, kind and held-out split, the worst one (largest value,
        then smallest ``test_pair_id``), sorted by pair, split and kind.
    """
    rows = pairs.select(COLUMNS).sort("pair_id").to_dicts()
    leaks = [leak for column in ("doc_id", "cluster_id") for leak in _shared(rows, column)]
    streams = [_stream(row) for row in rows]
    for judge in ("validation", "test"):
        held_out = _HeldOut([row for row in streams if row.split == judge])
        suspects = [row for row in streams if judge in JUDGES[row.split]]
        for row in track(suspects, "rows"):
            leaks += held_out.leaks(row, judge)
    worst: dict[tuple[str, str, str], Leak] = {}
    for leak in sorted(leaks, key=lambda leak: (-leak.value, leak.test_pair_id)):
        worst.setdefault((leak.pair_id, leak.split, leak.kind), leak)
    return [worst[key] for key in sorted(worst)]


def decontaminate(pairs: DataFrame[SettledPairs]) -> Outcome[SettledPairs]:
    """Drop rows whose question or text leaks into a later split, so that none is left.

    A document or cluster in two splits is not mended here: that is a fault of the split, which
    :func:`check_leaks` goes on to show.

    Returns:
        The other pairs sorted by ``pair_id``. Dropped: ``leaks_into_test`` and
        ``leaks_into_validation`` (value: copied share of the held-out row ``related_id``).
    """
    worst: dict[str, Leak] = {}
    found = [leak for leak in check_leaks(pairs) if leak.kind in {"question", "text"}]
    # Test first: it is the reason that matters when a row leaks into both.
    for leak in sorted(found, key=lambda leak: (leak.split, -leak.value, leak.kind)):
        worst.setdefault(leak.pair_id, leak)
    asked = dict(pairs.select("pair_id", "instruction").iter_rows())
    dropped = [
        Drop(
            leak.pair_id,
            f"leaks_into_{leak.split}",
            f"{leak.kind}: {asked[leak.pair_id]}",
            leak.value,
            leak.threshold,
            leak.test_pair_id,
        )
        for leak in worst.values()
    ]
    kept = pairs.filter(~pl.col("pair_id").is_in(list(worst))).sort("pair_id")
    return Outcome(cast("DataFrame[SettledPairs]", kept), drops(dropped), rows_in=pairs.height)


def _shared(rows: Sequence[dict[str, Any]], column: str) -> Iterator[Leak]:
    """Yield a leak for each row whose document or cluster is in a later split as well."""
    first: dict[tuple[str, str], str] = {}
    for row in rows:
        first.setdefault((row[column], row["split"]), row["pair_id"])
    kind = column.removesuffix("_id").replace("doc", "document")
    for row in rows:
        for judge in JUDGES[row["split"]]:
            other = first.get((row[column], judge))
            if row[column] and other is not None:
                yield Leak(row["pair_id"], other, judge, kind, 1.0, 0.0)


def _stream(row: dict[str, Any]) -> _Row:
    question = words(f"{row['instruction']} {row['input']}")
    asked = " ".join(question) if len(question) >= FEWEST_QUESTION_WORDS else ""
    return _Row(row["pair_id"], row["split"], asked, question + words(row["response"]))


class _HeldOut:
    """An index of the rows of a held-out split by their questions, texts and n-grams."""

    def __init__(self, rows: Sequence[_Row]) -> None:
        self._questions: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._ngrams: dict[int, dict[tuple[str, ...], list[_Row]]] = {
            LONG: defaultdict(list),
            SHORT: defaultdict(list),
        }
        for row in rows:
            self._questions.setdefault(row.question, row.pair_id)
            if row.text:
                self._texts.setdefault(" ".join(row.text), row.pair_id)
            width = LONG if len(row.text) >= LONG else SHORT
            for ngram in set(_ngrams(row.text, width)):
                self._ngrams[width][ngram].append(row)

    def leaks(self, row: _Row, judge: str) -> Iterator[Leak]:
        """Yield the leaks of one row."""
        asked = self._questions.get(row.question) if row.question else None
        if asked is not None:
            yield Leak(row.pair_id, asked, judge, "question", 1.0, 0.0)
        equal = self._texts.get(" ".join(row.text))
        if equal is not None:
            yield Leak(row.pair_id, equal, judge, "text", 1.0, MAX_COPIED)
            return
        hits = {
            hit.pair_id: hit
            for width, index in self._ngrams.items()
            for ngram in _ngrams(row.text, width)
            for hit in index.get(ngram, ())
        }
        for hit in hits.values():
            copied = _copied(row.text, hit.text)
            if copied > MAX_COPIED:
                yield Leak(row.pair_id, hit.pair_id, judge, "text", copied, MAX_COPIED)


def _ngrams(stream: Sequence[str], width: int) -> Iterator[tuple[str, ...]]:
    return zip(*(stream[offset:] for offset in range(width)), strict=False)


def _copied(row: Sequence[str], held_out: Sequence[str]) -> float:
    """Return the share of a held-out row that stands in another in runs of RUN words or more."""
    blocks = SequenceMatcher(None, row, held_out, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks if block.size >= RUN) / len(held_out)
