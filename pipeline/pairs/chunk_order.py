"""Which chunks the teacher is asked about: how many pairs of each, and in which order."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from pandera.typing.polars import DataFrame

from pipeline.core.cache import digest
from pipeline.settings import BudgetSettings, GenerateSettings
from schemas.documents import Chunks

EARLY = 0.2
"""Share of the target that is asked of the test split before all else, where gold rows are too
few: spread by length, 300 pairs of 130 manual pages held 8 for the test set."""

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
    other: Chunk | None = None
    """A second chunk, for a question that needs both."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What bounds the asking, and where it begins."""

    budget: BudgetSettings = field(default_factory=BudgetSettings)
    first: frozenset[str] = frozenset()
    """Chunks of the test split: :data:`EARLY` of the pairs are asked of them at the beginning."""


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


def spread(
    units: Sequence[Unit],
    room: Callable[[], tuple[int, int]],
    first: Callable[[Unit], bool] = lambda unit: False,
) -> Iterator[list[Unit]]:
    """Yield units until no pair is missing: each document once, then all at the same rate.

    Within a document from far apart, by the van der Corput sequence. A group never asks for more
    pairs than are missing, so what is asked does not depend on the sizes of the groups.

    Args:
        units: what may be asked, by document.
        room: says how many chunks the next group may have, and how many pairs are missing.
        first: tells of which units :data:`EARLY` of the missing pairs are asked before the rest.
    """
    order: list[tuple[float, Unit]] = []
    for _, found in groupby(units, key=itemgetter(0)):
        document = sorted(found, key=lambda unit: f"{unit[1]:032b}"[::-1])
        order += [(rank / len(document), unit) for rank, unit in enumerate(document)]
    ordered, early = [unit for _, unit in sorted(order)], EARLY * room()[1]
    front: list[Unit] = []
    for unit in filter(first, ordered):
        if sum(count for *_, count in front) < early:
            front.append(unit)
    begun = set(front)
    waiting = deque(front + [unit for unit in ordered if unit not in begun])
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
