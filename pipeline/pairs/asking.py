"""Asking: a generation under way, chunk by chunk, until its target or its budget is reached."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict
from itertools import chain, islice
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.errors import TeacherError
from pipeline.core.progress import announce
from pipeline.pairs.chunk_order import (
    Chunk,
    Part,
    Scope,
    Unit,
    by_document,
    quotas,
    read_documents,
    spread,
)
from pipeline.pairs.forecast import PROMPT_TOKENS, Forecast, Work
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.kinds.brief import Brief
from pipeline.pairs.kinds.shares import kinds_of_chunks
from pipeline.pairs.kinds.writing import Search, Writing
from pipeline.pairs.sources import K1, B
from pipeline.pairs.task_kinds import TASK_KINDS, shares_of
from pipeline.pairs.teachers.replies import CachingTeacher, Usage
from pipeline.pairs.teachers.teacher import Teacher
from pipeline.settings import GenerateSettings
from pipeline.text.bm25 import Scores, bm25
from pipeline.text.words import words
from schemas.documents import Chunks
from schemas.pairs import SeedTasks

DOCUMENTS_AT_ONCE, CHUNKS_AT_ONCE = 32, 64
"""Documents, or chunks of several, given to an endpoint together, so that its requests can run side
by side."""
LOCAL_DOCUMENTS, LOCAL_CHUNKS = 4, 12
"""Documents or chunks given to a teacher in this process together: they fill its batches, and
progress is told after each group."""
TRIES = 6
"""Chunks, the longest, of which a pair of a kind that has none is asked for."""
MOST_PASS = 0.95
"""Share of the candidates that passes the screens at the most. A target above it is out of reach:
all chunks are asked then, document by document, in batches that no target changes."""


class Asking:
    """A generation under way: what is asked of which chunk, and what came of it."""

    def __init__(
        self,
        chunks: DataFrame[Chunks],
        seed_tasks: DataFrame[SeedTasks],
        settings: GenerateSettings,
        teacher: Teacher,
        brief: Brief,
        scope: Scope | None = None,
        languages: tuple[str, ...] = (),
    ) -> None:
        """Decide what may be asked; nothing is yet.

        Args:
            chunks: what is asked about.
            seed_tasks: that will be asked for at the end.
            settings: section ``generate``.
            teacher: who is asked.
            brief: what it is told beside the chunks.
            scope: its budget, and what is asked first; None: no limit and nothing.
            languages: of tasks without a document.
        """
        self.before = usage_of(teacher)
        self.documents = read_documents(chunks)
        self.harvest = Harvest()
        self._settings, self._teacher, self._scope = settings, teacher, scope or Scope()
        self.writing = Writing(settings, teacher, brief, _search(self.documents), languages)
        shares = shares_of(brief, settings, teacher.strength)
        self._writers = {name: TASK_KINDS[name].of_chunks[teacher.strength] for name in shares}
        once = {name for name in shares if TASK_KINDS[name].once}
        counts = [quotas(document, settings) for document in self.documents]
        self._kinds = [
            kinds_of_chunks(document, wanted, self._fitting(document, shares), once)
            for document, wanted in zip(self.documents, counts, strict=True)
        ]
        self._units = [
            (number, place, count)
            for number, wanted in enumerate(counts)
            for place, count in enumerate(wanted)
            if count
        ]
        wanted = sum(count for *_, count in self._units)
        self._limited = 0 < settings.target < MOST_PASS * wanted
        self._waiting: dict[int, dict[int, dict[str, Part]]] = {}
        self._asked = self._passed = 0
        self._candidates: Counter[str] = Counter()
        self._judged, self._over = settings.pilot_chunks == 0, ""
        each = 3 + 2 * settings.instances if teacher.strength == "strong" else 2
        self.forecast = Forecast(
            [self._work(unit) for unit in self._units],
            settings.target,
            self._scope.budget,
            limited=self._limited,
            more=0 if seed_tasks.is_empty() else each * settings.self_instruct_tasks,
        )

    def ask_chunks(
        self, passing: Callable[[Sequence[dict[str, Any]]], int], *, pilot: bool = False
    ) -> None:
        """Ask group by group until target or budget is reached, or all chunks are asked.

        Args:
            passing: counts the pairs that pass the screens.
            pilot: end after the first ``pilot_chunks`` chunks.
        """
        size = LOCAL_DOCUMENTS if self._teacher.batch_size else DOCUMENTS_AT_ONCE
        whole = by_document(self.documents, self._units, size, self._settings.pilot_chunks)
        self.forecast.announce()
        for group in spread(self._units, self._room, self._is_first) if self._limited else whole:
            room, setting = self.forecast.room(self.usage())
            if room < 1:
                self._over = setting
                break
            if room < len(group):
                group, self._over = group[: int(room)], setting
            self._ask(group)
            self._passed = passing(self.harvest.pairs) if self._settings.target else 0
            self.forecast.advance([self._work(unit) for unit in group], self._passed)
            if not self._judged and len(self.harvest.asked) >= self._settings.pilot_chunks:
                _judge_pilot(self.harvest, self._teacher)
                self._judged = True
                if not pilot and self.usage().calls and not self.usage().cached:
                    self.forecast.announce_price(self.usage())
            if self._over or (pilot and self._judged):
                break
        if not (pilot or self._over) and len(self._writers) > 1:
            self._ask_for_missing_kinds()
        if self._over:
            announce(
                f"generate: {self._over} is reached with {self._passed:,} pairs that pass, after "
                f"{self._asked:,} of {len(self._units):,} chunks; a larger one goes on from here"
            )

    def _fitting(self, document: Sequence[Chunk], shares: dict[str, float]) -> dict[str, float]:
        """Return the shares of the kinds that a document can give; all where it can give none."""
        found = {
            name: share for name, share in shares.items() if self._writers[name].fits(document)
        }
        return found or shares

    def _ask_for_missing_kinds(self) -> None:
        """Ask for a pair of each kind that came out empty, of one chunk after the other.

        With a small target the shares may leave a kind without a chunk that has one.
        """
        made = {pair["kind"] for pair in self.harvest.pairs}
        longest = sorted(
            ((chunk.tokens, number, place) for number, document in enumerate(self.documents)
             for place, chunk in enumerate(document)),
            key=lambda item: (-item[0], item[1:]),
        )  # fmt: skip
        for name, writer in self._writers.items():
            fitting = (
                item
                for item in longest
                if writer.fits(self.documents[item[1]]) and not self._kinds[item[1]][item[2]][name]
            )
            for _, number, place in islice(fitting, TRIES) if name not in made else ():
                document = self.documents[number]
                wanted = [int(at == place) for at in range(len(document))]
                came = writer.write(writer.parts(document, wanted), self.writing)
                self.take(name, came)
                if came.pairs:
                    break

    @property
    def over_budget(self) -> bool:
        """Whether the budget ended it."""
        return bool(self._over)

    def take(self, kind: str, came: Harvest) -> None:
        """Take over what came of some candidates of a kind."""
        self._candidates[kind] += len(came.pairs) + len(came.drops)
        self.harvest.add(came)

    def usage(self) -> Usage:
        """Return what the teacher was asked since the beginning."""
        now, before = asdict(usage_of(self._teacher)), asdict(self.before)
        return Usage(**{name: count - before[name] for name, count in now.items()})

    def counts(self) -> dict[str, float]:
        """Return the metrics of the chunks."""
        return {
            "chunks": float(len(self._units)),
            "chunks_not_asked": float(len(self._units) - self._asked),
            "over_budget": float(self.over_budget),
            **{f"candidates_{name}": float(count) for name, count in self._candidates.items()},
        }

    def _ask(self, group: Sequence[Unit]) -> None:
        taken = [self._parts(unit) for unit in group]
        work = {name: [parts[name] for parts in taken if name in parts] for name in self._writers}
        kinds = [name for name, parts in work.items() if parts]

        def write(name: str) -> Harvest:
            return self._writers[name].write(work[name], self.writing)

        if self._teacher.batch_size:
            came = [write(name) for name in kinds]
        else:  # an endpoint: no kind waits for the replies of another
            with ThreadPoolExecutor(max(1, len(kinds))) as pool:
                running = [pool.submit(copy_context().run, write, name) for name in kinds]
                came = [future.result() for future in running]
        for name, harvest in zip(kinds, came, strict=True):
            self.take(name, harvest)
        self._asked += len(group)

    def _room(self) -> tuple[int, int]:
        most = LOCAL_CHUNKS if self._teacher.batch_size else CHUNKS_AT_ONCE
        if not self._judged:
            most = self._settings.pilot_chunks - len(self.harvest.asked)
        return most, self._settings.target - self._passed

    def _is_first(self, unit: Unit) -> bool:
        number, place, _ = unit
        return self.documents[number][place].chunk_id in self._scope.first

    def _parts(self, unit: Unit) -> dict[str, Part]:
        """Return the part of a unit for each kind; a document is read when its first is needed."""
        number, place, _ = unit
        if number not in self._waiting:
            document, kinds = self.documents[number], self._kinds[number]
            places = {chunk.chunk_id: at for at, chunk in enumerate(document)}
            waiting: dict[int, dict[str, Part]] = {
                at: {} for at, counts in enumerate(kinds) if counts
            }
            for name, writer in self._writers.items():
                for part in writer.parts(document, [counts[name] for counts in kinds]):
                    waiting[places[part.chunk.chunk_id]][name] = part
            self._waiting[number] = waiting
        taken = self._waiting[number].pop(place)
        if not self._waiting[number]:
            del self._waiting[number]
        return taken

    def _work(self, unit: Unit) -> Work:
        number, place, count = unit
        chunk, requests, tokens = self.documents[number][place], 0.0, 0.0
        for name, wanted in self._kinds[number][place].items():
            writer = self._writers[name]
            asked = writer.requests(wanted, self._settings)
            requests += asked
            if writer.chunks:
                tokens += asked * (writer.chunks * chunk.tokens + PROMPT_TOKENS)
        return Work(count, requests, tokens)


def _search(documents: Sequence[Sequence[Chunk]]) -> Search:
    """Return what finds the chunks of all documents nearest to a question, by BM25."""
    everything = list(chain(*documents))
    scores: list[Scores] = []

    def search(question: str, count: int) -> list[Chunk]:
        if not scores:  # made once, when it is needed
            scores.append(bm25([words(chunk.text) for chunk in everything], k1=K1, b=B))
        found = scores[0](sorted(set(words(question))))
        best = sorted(range(len(everything)), key=lambda place: (-found[place], place))[:count]
        return [everything[place] for place in best if found[place] > 0]

    return search


def _judge_pilot(harvest: Harvest, teacher: Teacher) -> None:
    """Stop before the money is spent when the first chunks gave no pair."""
    if harvest.pairs:
        return
    counts = Counter(drop.reason for drop in harvest.drops)
    reason, count = max(counts.items(), key=lambda item: (item[1], item[0]))
    first = [" ".join(text.split()) for text in harvest.raw]
    if reason == "request_failed":  # the replies are a server's words: whole, each once
        advice, first = "mend the endpoint", list(dict.fromkeys(first))
    else:
        first = [text[:160] for text in first]
        advice = "choose a stronger teacher" if any(first) else "see why its replies are empty"
    if reason == "cut_short":
        advice = (
            "give them room (teacher.thinking_tokens, generate.max_answer_tokens, the server's own "
            "limits), or turn thoughts off with teacher.extra"
        )
    raise TeacherError(
        f"teacher {teacher.name}: nothing usable for the first {len(harvest.asked)} chunks "
        f"({count} of {len(harvest.drops)} candidates: {reason}); expected at least one pair; "
        f"first replies: {' / '.join(map(repr, first[:3])) or 'none'}; {advice}, or set "
        "generate.pilot_chunks = 0 to go on all the same"
    )


def usage_of(teacher: Teacher) -> Usage:
    """Return what a teacher was asked so far; nothing of one whose replies are not kept."""
    return teacher.usage if isinstance(teacher, CachingTeacher) else Usage()
