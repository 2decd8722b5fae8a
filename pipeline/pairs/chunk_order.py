"""Which chunks the teacher is asked about: how many pairs of each, in which order, how long."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from pandera.typing.polars import DataFrame

from pipeline.core.cache import digest
from pipeline.core.progress import advance, announce
from pipeline.settings import GenerateSettings
from schemas.documents import Chunks

PASS = 0.84
"""Share of the candidates that passes the screens: 256 of the 303 of the samples."""
PROMPT_TOKENS = 120
"""Of a strong teacher's request beside its chunk."""
Unit = tuple[int, int, int]
"""A chunk to ask: number of its document, place among those to ask there, pairs wanted."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What generation needs of a chunk."""

    chunk_id: str
    doc_id: str
    title: str
    section: str
    text: str
    tokens: int

    @property
    def topic(self) -> str:
        """Title and section on one line."""
        return " > ".join(part for part in (self.title, self.section) if part)


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk and how many pairs are wanted of it."""

    chunk: Chunk
    wanted: int


def read_documents(chunks: DataFrame[Chunks]) -> list[list[Chunk]]:
    """Return the chunks of each document in reading order, documents in the order of content."""
    rows = chunks.sort("doc_id", "start", "chunk_id").select(list(Chunk.__dataclass_fields__))
    found = [Chunk(**row) for row in rows.iter_rows(named=True)]

    def content(document: list[Chunk]) -> tuple[str, str]:
        shown = [[chunk.title, chunk.section, chunk.text] for chunk in document]
        return digest(shown), document[0].doc_id

    return sorted((list(group) for _, group in groupby(found, lambda c: c.doc_id)), key=content)


def quotas(document: Sequence[Chunk], settings: GenerateSettings) -> list[int]:
    """Return how many pairs each chunk of a document is asked for.

    One for each ``tokens_per_pair`` tokens of the document, so that its tail is covered: what a
    chunk is too short for is carried to the next. At most ``max_pairs_per_chunk`` a chunk, and at
    least one a document.
    """
    wanted, due = [], 0.5
    for chunk in document:
        due += chunk.tokens / settings.tokens_per_pair
        count = min(settings.max_pairs_per_chunk, int(due))
        due = min(due - count, 1.0)
        wanted.append(count)
    if wanted and not any(wanted):
        longest = max(range(len(document)), key=lambda place: document[place].tokens)
        wanted[longest] = 1
    return wanted


def by_document(
    documents: Sequence[Sequence[Chunk]], units: Sequence[Unit], size: int, pilot: int
) -> Iterator[list[Unit]]:
    """Yield the units of documents: one by one for ``pilot`` chunks, then ``size`` documents."""
    of = {number: list(found) for number, found in groupby(units, key=itemgetter(0))}
    first, seen = 0, 0
    while first < len(documents):
        last = min(first + (1 if seen < pilot else size), len(documents))
        seen += sum(len(document) for document in documents[first:last])
        yield [unit for number in range(first, last) for unit in of[number]]
        first = last


def spread(units: Sequence[Unit], room: Callable[[], tuple[int, int]]) -> Iterator[list[Unit]]:
    """Yield units until no pair is missing: each document once, then all at the same rate.

    Within a document from far apart, by the van der Corput sequence. A group never asks for more
    pairs than are missing, so what is asked does not depend on the sizes of the groups.

    Args:
        units: what may be asked, by document.
        room: says how many chunks the next group may have, and how many pairs are missing.
    """
    order: list[tuple[float, Unit]] = []
    for _, found in groupby(units, key=itemgetter(0)):
        document = sorted(found, key=lambda unit: f"{unit[1]:032b}"[::-1])
        order += [(rank / len(document), unit) for rank, unit in enumerate(document)]
    waiting = deque(unit for _, unit in sorted(order))
    while waiting:
        most, missing = room()
        if missing <= 0:
            return
        group = [waiting.popleft()]
        while waiting and len(group) < most:
            missing -= group[-1][2]
            if waiting[0][2] > missing:
                break
            group.append(waiting.popleft())
        yield group


class Forecast:
    """Requests, tokens and time of a generation, and how far it is."""

    def __init__(
        self,
        chunks: Sequence[tuple[Chunk, int]],
        requests: Callable[[int], int],
        settings: GenerateSettings,
        *,
        reads_chunks: bool,
        limited: bool,
        more: int,
    ) -> None:
        """Count what is to come.

        Args:
            chunks: all chunks, and how many pairs are wanted of each.
            requests: how many requests so many pairs of a chunk take.
            settings: section ``generate``.
            reads_chunks: whether a request holds its whole chunk.
            limited: whether the target ends it.
            more: requests without a chunk, at the end.
        """
        self._requests, self._target, self._limited = requests, settings.target, limited
        counts = [count for _, count in chunks if count]
        self._chunks, self._candidates = len(counts), sum(counts)
        self._all = sum(map(requests, counts))
        self._tokens = reads_chunks * sum(
            requests(count) * (chunk.tokens + PROMPT_TOKENS) for chunk, count in chunks if count
        )
        self._share = min(1.0, settings.target / PASS / self._candidates) if limited else 1.0
        self._done, self._more = 0, more
        self._began = time.monotonic()

    def announce(self) -> None:
        """Say what will be asked, and how to change it."""
        line = f"generate: about {self._total():,} requests"
        if self._tokens:
            line += f", {self._share * self._tokens:,.0f} tokens to read"
        chunks = f"all {self._chunks:,} chunks ({self._candidates:,} candidates)"
        if self._limited:
            line += (
                f", until {self._target:,} pairs pass; a smaller generate.target asks less, a "
                f"larger one or 0 up to {chunks}"
            )
        else:
            line += f" for {chunks}; a smaller generate.target asks less"
        announce(line)
        advance(0, self._total(), "requests")

    def announce_time(self) -> None:
        """Say how long the rest takes if it goes on as it began."""
        seconds = time.monotonic() - self._began
        left = seconds * (self._total() - self._done) / max(1, self._done)
        if left:
            announce(f"generate: about {left / 60:,.1f} min more at the pace of the pilot")

    def advance(self, counts: Sequence[int], passed: int) -> None:
        """Tell that chunks were asked for so many pairs each, and how many pairs pass by now."""
        self._done += sum(map(self._requests, counts))
        pairs = f", {passed:,} of {self._target:,} pairs" if self._target else ""
        if self._limited and passed:
            self._share = min(1.0, self._done * self._target / passed / self._all)
        advance(self._done, self._total(), f"requests{pairs}")

    def end(self) -> None:
        """Tell that all is done."""
        done = self._done + self._more
        advance(done, done, "requests")

    def _total(self) -> int:
        return max(self._done, round(self._share * self._all)) + self._more
