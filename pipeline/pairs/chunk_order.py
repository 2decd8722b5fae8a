"""Which chunks the teacher is asked about: how many pairs of each kind, and in which order."""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, groupby
from operator import attrgetter
from typing import NamedTuple

from pandera.typing.polars import DataFrame

from pipeline.core.cache import digest
from pipeline.settings import BudgetSettings, GenerateSettings
from pipeline.text.function_words import content
from schemas.documents import Chunks

EARLY = 0.2
"""Share of the target that is asked of the test split before all else, where gold rows are too
few: spread by length, 300 pairs of 130 manual pages held 8 for the test set."""
GOLDEN = 0.6180339887498949
"""Steps of the golden ratio, modulo 1, fall evenly on [0, 1) however many there are (Kronecker)."""


class Chunk(NamedTuple):
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


class Unit(NamedTuple):
    """A chunk to ask, and what that takes, about."""

    document: int
    place: int
    chunk: Chunk
    pairs: int
    requests: float
    tokens: float  # to read; 0 where a request does not hold the chunk


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk and how many pairs are wanted of it."""

    chunk: Chunk
    wanted: int
    other: Chunk | None = None  # a second chunk, for a question that needs both

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """What the teacher is shown."""
        return (self.chunk, self.other) if self.other else (self.chunk,)


@dataclass(frozen=True, slots=True)
class Scope:
    """What bounds the asking, and where it begins."""

    budget: BudgetSettings = field(default_factory=BudgetSettings)
    first: frozenset[str] = frozenset()  # chunks of the test split: see EARLY


def read_documents(chunks: DataFrame[Chunks]) -> list[list[Chunk]]:
    """Return the chunks of each document in reading order, documents in the order of content."""
    rows = chunks.sort("doc_id", "start", "chunk_id").select(list(Chunk._fields))
    found = [Chunk(**row) for row in rows.iter_rows(named=True)]

    def told(document: list[Chunk]) -> tuple[str, str]:
        shown = [[chunk.title, chunk.section, chunk.text] for chunk in document]
        return digest(shown), document[0].doc_id

    return sorted((list(group) for _, group in groupby(found, attrgetter("doc_id"))), key=told)


def quotas(document: Sequence[Chunk], settings: GenerateSettings) -> list[int]:
    """Return how many pairs each chunk of a document is asked for.

    One for each ``tokens_per_pair`` tokens: what a chunk is too short for is carried to the next.
    At most ``max_pairs_per_chunk`` a chunk, and at least one a document.
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


def kinds_of_chunks(
    document: Sequence[Chunk],
    wanted: Sequence[int],
    shares: Mapping[str, float],
    once: Collection[str] = (),
) -> list[Counter[str]]:
    """Return how many of the wanted pairs of each chunk are of which kind.

    It depends on the document's texts alone, so another document changes nothing. The shares are
    of any sum; the first kind stands in for one that a chunk can give ``once`` only.
    """
    names = [name for name, share in shares.items() if share > 0]
    edges = list(accumulate(shares[name] for name in names))
    place = int(digest([chunk.text for chunk in document])[:12], 16) / 16**12
    found = []
    for count in wanted:
        kinds: Counter[str] = Counter()
        for _ in range(count):
            at = place % 1 * edges[-1]
            kind = next(name for name, edge in zip(names, edges, strict=True) if at < edge)
            kinds[names[0] if kind in once and kinds[kind] else kind] += 1
            place += GOLDEN
        found.append(kinds)
    return found


def parts_of(document: Sequence[Chunk], wanted: Sequence[int]) -> list[Part]:
    """Return the chunks of a document of which pairs are wanted."""
    return [Part(chunk, count) for chunk, count in zip(document, wanted, strict=True) if count]


def parts_with_another(document: Sequence[Chunk], wanted: Sequence[int]) -> list[Part]:
    """Return the chunks of which pairs are wanted, each with the chunk that shares most with it.

    The measure is the share of their content words that both have (Jaccard); of equals the nearest
    before or behind. A document of one chunk has none: its questions rest on that chunk.
    """
    if len(document) < 2 or not any(wanted):
        return parts_of(document, wanted)
    terms = [content(chunk.text) for chunk in document]

    def likeness(own: int, other: int) -> tuple[float, int]:
        both = terms[own] & terms[other]
        return len(both) / max(1, len(terms[own] | terms[other])), -abs(own - other)

    parts = []
    for own, (chunk, count) in enumerate(zip(document, wanted, strict=True)):
        if count:
            others = (place for place in range(len(document)) if place != own)
            parts.append(Part(chunk, count, document[max(others, key=partial(likeness, own))]))
    return parts


def by_document(
    documents: Sequence[Sequence[Chunk]], units: Sequence[Unit], size: int, pilot: int
) -> Iterator[list[Unit]]:
    """Yield the units of documents: one by one for ``pilot`` chunks, then ``size`` documents."""
    of = {number: list(found) for number, found in groupby(units, attrgetter("document"))}
    first = seen = 0
    while first < len(documents):
        last = min(first + (1 if seen < pilot else size), len(documents))
        seen += sum(len(document) for document in documents[first:last])
        yield [unit for number in range(first, last) for unit in of[number]]
        first = last


def spread(
    units: Sequence[Unit], room: Callable[[], tuple[int, int]], first: Collection[str]
) -> Iterator[list[Unit]]:
    """Yield units until no pair is missing: each document once, then all at the same rate.

    Within a document from far apart, by the van der Corput sequence. A group never asks for more
    pairs than are missing, so what is asked does not depend on the sizes of the groups. ``room``
    says how many chunks the next one may have, and how many pairs are missing; of the chunks with
    the ids ``first`` :data:`EARLY` of the missing pairs are asked before the rest.
    """
    order: list[tuple[float, Unit]] = []
    for _, found in groupby(units, attrgetter("document")):
        document = sorted(found, key=lambda unit: f"{unit.place:032b}"[::-1])
        order += [(rank / len(document), unit) for rank, unit in enumerate(document)]
    ordered, early = [unit for _, unit in sorted(order)], EARLY * room()[1]
    front, rest = [], []
    for unit in ordered:
        if early > 0 and unit.chunk.chunk_id in first:
            front.append(unit)
            early -= unit.pairs
        else:
            rest.append(unit)
    waiting = deque(front + rest)
    while waiting:
        most, missing = room()
        if missing <= 0:
            return
        group = [waiting.popleft()]
        while waiting and len(group) < most:
            missing -= group[-1].pairs
            if waiting[0].pairs > missing:
                break
            group.append(waiting.popleft())
        yield group
