"""Asking: a generation under way, chunk by chunk, until its target or its budget is reached."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict
from functools import partial
from itertools import islice
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.progress import announce
from pipeline.pairs import chunk_order
from pipeline.pairs.chunk_order import Part, Scope, Unit
from pipeline.pairs.forecast import PROMPT_TOKENS, Forecast
from pipeline.pairs.harvest import Harvest, judge_pilot
from pipeline.pairs.kinds.brief import Brief
from pipeline.pairs.kinds.writing import Writing, search_of
from pipeline.pairs.task_kinds import TASK_KINDS, shares_of
from pipeline.pairs.teachers.replies import Usage, usage_of
from pipeline.pairs.teachers.teacher import Teacher
from pipeline.settings import GenerateSettings
from schemas.documents import Chunks
from schemas.pairs import SeedTasks

# In a group, documents or chunks of several: of an endpoint, of a teacher in this process.
DOCUMENTS_AT_ONCE, CHUNKS_AT_ONCE = 32, 64
LOCAL_DOCUMENTS, LOCAL_CHUNKS = 4, 12  # they fill its batches; progress is told after each group
GROUPS_AT_ONCE = 3  # of an endpoint, which then need not wait for the last replies of one
TRIES = 6  # chunks, the longest, of which a pair of a kind that has none is asked for


class Asking:
    """A generation under way; its arguments are those of :func:`.generate.generate`."""

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
        self._before = usage_of(teacher)
        self.documents = chunk_order.read_documents(chunks)
        self.harvest = Harvest()
        self._settings, self._teacher, self._scope = settings, teacher, scope or Scope()
        self.writing = Writing(settings, teacher, brief, search_of(self.documents), languages)
        shares = shares_of(brief, settings, teacher.strength)
        writers = {name: TASK_KINDS[name].writer(teacher.strength) for name in shares}
        self._writers = {name: writer for name, writer in writers.items() if writer}
        once = {name for name in shares if TASK_KINDS[name].once}
        self._kinds: list[list[Counter[str]]] = []
        self._units: list[Unit] = []
        for number, document in enumerate(self.documents):
            fits = {n: shares[n] for n, writer in self._writers.items() if writer.fits(document)}
            wanted = chunk_order.quotas(document, settings)
            kinds = chunk_order.kinds_of_chunks(document, wanted, fits or shares, once)
            self._kinds.append(kinds)
            self._units += [self._unit(number, place) for place, of in enumerate(kinds) if of]
        self._waiting: dict[int, dict[str, dict[str, Part]]] = {}
        self._out: deque[tuple[Sequence[Unit], dict[str, Callable[[], Harvest]]]] = deque()
        self._passing: Callable[[Sequence[dict[str, Any]]], int] = len
        self._asked = self._passed = 0
        self._candidates: Counter[str] = Counter()
        self._judged, self.over = settings.pilot_chunks == 0, ""
        each = 3 + 2 * settings.instances if teacher.strength == "strong" else 2
        more = 0 if seed_tasks.is_empty() else each * settings.self_instruct_tasks
        self.forecast = Forecast(self._units, settings.target, self._scope.budget, more)

    def ask_chunks(
        self, passing: Callable[[Sequence[dict[str, Any]]], int], *, pilot: bool = False
    ) -> None:
        """Ask group by group until target or budget is reached, or all, or those of the pilot.

        ``passing`` counts the pairs that pass the screens.
        """
        local, pilot_chunks = self._teacher.batch_size > 0, self._settings.pilot_chunks
        if self.forecast.limited:
            groups = chunk_order.spread(self._units, self._room, self._scope.first)
        else:
            size = LOCAL_DOCUMENTS if local else DOCUMENTS_AT_ONCE
            groups = chunk_order.by_document(self.documents, self._units, size, pilot_chunks)
        self._passing = passing
        self.forecast.announce()
        with ThreadPoolExecutor(GROUPS_AT_ONCE * len(self._writers)) as pool:
            for group in groups:
                room, setting = self.forecast.room(self.usage())
                if room < 1:
                    self.over = setting
                    break
                if room < len(group):
                    group, self.over = group[: int(room)], setting
                self._out.append((group, self._begin(group, None if local else pool)))
                judged = self._judged
                # Before more is asked, the pilot is judged, and what a budget limits is counted.
                alone = local or self.forecast.budgeted or not judged
                self._take_in(0 if alone else GROUPS_AT_ONCE - 1)
                usage = self.usage()
                if self._judged > judged and not pilot and usage.calls and not usage.cached:
                    announce(f"generate: as the pilot goes, {self.forecast.price(usage)} in all")
                if self.over or (pilot and self._judged):
                    break
            self._take_in(0)
        if not (pilot or self.over) and len(self._writers) > 1:
            self._ask_for_missing_kinds()
        if self.over:
            announce(
                f"generate: {self.over} is reached with {self._passed:,} pairs that pass, after "
                f"{self._asked:,} of {len(self._units):,} chunks; a larger one goes on from here"
            )

    def _ask_for_missing_kinds(self) -> None:
        """Ask for a pair of each kind that came out empty, of one chunk after the other.

        With a small target the shares may leave a kind without a chunk that has one.
        """
        made = {pair["kind"] for pair in self.harvest.pairs}
        longest = sorted(
            (-chunk.tokens, number, place)
            for number, document in enumerate(self.documents)
            for place, chunk in enumerate(document)
        )
        for name, writer in self._writers.items():
            fitting = (
                (self.documents[number], place)
                for _, number, place in longest
                if writer.fits(self.documents[number]) and not self._kinds[number][place][name]
            )
            for document, place in islice(fitting, TRIES) if name not in made else ():
                wanted = [int(at == place) for at in range(len(document))]
                came = writer.write(name, writer.parts(document, wanted), self.writing)
                self.take(name, came)
                if came.pairs:
                    break

    def take(self, kind: str, came: Harvest) -> None:
        """Take over what came of some candidates of a kind."""
        self._candidates[kind] += len(came.pairs) + len(came.drops)
        self.harvest.add(came)

    def usage(self) -> Usage:
        """Return what the teacher was asked since the beginning."""
        now, before = asdict(usage_of(self._teacher)), asdict(self._before)
        return Usage(**{name: count - before[name] for name, count in now.items()})

    def counts(self) -> dict[str, float]:
        """Return the metrics of the chunks."""
        return {
            "chunks": float(len(self._units)),
            "chunks_not_asked": float(len(self._units) - self._asked),
            "over_budget": float(bool(self.over)),
            **{f"candidates_{name}": float(count) for name, count in self._candidates.items()},
        }

    def _begin(
        self, group: Sequence[Unit], pool: ThreadPoolExecutor | None
    ) -> dict[str, Callable[[], Harvest]]:
        """Return what gives the pairs of each kind of some chunks; in a pool all kinds at once."""
        taken = [self._parts(unit) for unit in group]
        begun: dict[str, Callable[[], Harvest]] = {}
        for name, writer in self._writers.items():
            if parts := [of_kinds[name] for of_kinds in taken if name in of_kinds]:
                write = partial(writer.write, name, parts, self.writing)
                begun[name] = pool.submit(copy_context().run, write).result if pool else write
        return begun

    def _take_in(self, most: int) -> None:
        """Take what came of groups, the first ones first, until at most so many are out."""
        while len(self._out) > most:
            group, begun = self._out.popleft()
            for name, written in begun.items():
                self.take(name, written())
            self._asked += len(group)
            self._passed = self._passing(self.harvest.pairs) if self._settings.target else 0
            self.forecast.advance(group, self._passed)
            if not self._judged and len(self.harvest.asked) >= self._settings.pilot_chunks:
                judge_pilot(self.harvest, self._teacher)
                self._judged = True

    def _room(self) -> tuple[int, int]:
        """Return how many chunks the next group may have, and pairs, if all that are out pass."""

        def missing() -> int:
            out = sum(unit.pairs for group, _ in self._out for unit in group)
            return self._settings.target - self._passed - out

        while missing() <= 0 and self._out:
            self._take_in(len(self._out) - 1)
        most = LOCAL_CHUNKS if self._teacher.batch_size else CHUNKS_AT_ONCE
        if not self._judged:
            most = self._settings.pilot_chunks - len(self.harvest.asked)
        return most, missing()

    def _parts(self, unit: Unit) -> dict[str, Part]:
        """Return the part of a unit for each kind; a document is read when its first is needed."""
        number = unit.document
        if number not in self._waiting:
            parts: dict[str, dict[str, Part]] = defaultdict(dict)
            for name, writer in self._writers.items():
                wanted = [kinds[name] for kinds in self._kinds[number]]
                for part in writer.parts(self.documents[number], wanted):
                    parts[part.chunk.chunk_id][name] = part
            self._waiting[number] = parts
        return self._waiting[number].pop(unit.chunk.chunk_id)

    def _unit(self, number: int, place: int) -> Unit:
        chunk, kinds = self.documents[number][place], self._kinds[number][place]
        requests = tokens = 0.0
        for name, wanted in kinds.items():
            writer = self._writers[name]
            asked = writer.requests(wanted, self._settings)
            requests += asked
            if writer.chunks:
                tokens += asked * (writer.chunks * chunk.tokens + PROMPT_TOKENS)
        return Unit(number, place, chunk, kinds.total(), requests, tokens)
