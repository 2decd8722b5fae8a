"""generate: chunks and seed tasks in, candidate pairs out."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any, cast

from pandera.typing.polars import DataFrame

from pipeline.core.errors import TeacherError
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.pairs.chunk_order import (
    Chunk,
    Forecast,
    Part,
    Unit,
    by_document,
    quotas,
    read_documents,
    spread,
)
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.screen.screen import Screens
from pipeline.pairs.task_kinds import TASK_KINDS, ChunkWriter
from pipeline.pairs.teachers.kinds import TEACHERS
from pipeline.pairs.teachers.replies import CachingTeacher, Usage
from pipeline.pairs.teachers.teacher import Teacher
from pipeline.settings import GenerateSettings, ScreenSettings
from schemas.documents import Chunks
from schemas.pairs import Pairs, SeedTasks

USELESS = ("request_failed", "cut_short", "refused", "unparsable")
"""Reasons for which a candidate is no pair that lie in the reply."""
DOCUMENTS_AT_ONCE, CHUNKS_AT_ONCE = 16, 32
"""Documents, or chunks of several, given to an endpoint together, so that its requests can run side
by side."""
LOCAL_DOCUMENTS, LOCAL_CHUNKS = 4, 12
"""Documents or chunks given to a teacher in this process together: they fill its batches, and
progress is told after each group."""
MOST_PASS = 0.95
"""Share of the candidates that passes the screens at the most. A target above it is out of reach:
all chunks are asked then, document by document, in batches that no target changes."""


def generate(
    chunks: DataFrame[Chunks],
    seed_tasks: DataFrame[SeedTasks],
    settings: GenerateSettings,
    teacher: Teacher,
    passing: Callable[[Sequence[dict[str, Any]]], int] = len,
) -> Outcome[Pairs]:
    """Ask the teacher for pairs of each kind of task: of chunks, then of seed tasks.

    A candidate (``rows_in``) is an evidence sentence of a weak teacher, a question asked of a
    strong one, a self-instruct task, or a chunk without any evidence sentence. Each request
    depends on title, section and texts of one document, never on ids, sources or other documents.

    Where ``settings.target`` can be reached, chunks are asked in an order that their documents
    alone decide, until so many pairs pass (as ``passing`` counts them); else all are, document by
    document. A new document takes its places in that order: it is asked, and what came last
    before may be left out.

    Returns:
        Pairs sorted by pair_id; drops (:data:`.task_kinds.GENERATE_REASONS`); metrics chunks (that
        pairs are wanted of), chunks_not_asked, and of this call the fields of Usage.

    Raises:
        TeacherError: the teacher fails, or the first ``pilot_chunks`` chunks yield nothing.
    """
    before = _usage(teacher)
    kinds = TASK_KINDS.values()
    writers = [kind.of_chunks[teacher.strength] for kind in kinds if kind.of_chunks]
    documents = read_documents(chunks)
    wanted = [quotas(document, settings) for document in documents]
    units = [
        (number, place, count)
        for number, counts in enumerate(wanted)
        for place, count in enumerate(filter(None, counts))
    ]
    limited = 0 < settings.target < MOST_PASS * sum(count for *_, count in units)
    forecast = Forecast(
        [part for each in zip(documents, wanted, strict=True) for part in zip(*each, strict=True)],
        lambda count: sum(writer.requests(count, settings) for writer in writers),
        settings,
        reads_chunks=teacher.strength == "strong",
        limited=limited,
        more=0 if seed_tasks.is_empty() else 2 * settings.self_instruct_tasks,
    )
    harvest, asked, passed, judged = Harvest(), 0, 0, settings.pilot_chunks == 0

    def room() -> tuple[int, int]:
        most = LOCAL_CHUNKS if teacher.batch_size else CHUNKS_AT_ONCE
        return most if judged else settings.pilot_chunks - harvest.asked, settings.target - passed

    size = LOCAL_DOCUMENTS if teacher.batch_size else DOCUMENTS_AT_ONCE
    whole = by_document(documents, units, size, settings.pilot_chunks)
    take = _parts(documents, wanted, writers)
    forecast.announce()
    for group in spread(units, room) if limited else whole:
        of_writers = zip(*map(take, group), strict=True)
        for writer, parts in zip(writers, of_writers, strict=True):
            harvest.add(writer.write(parts, settings, teacher))
        asked += len(group)
        passed = passing(harvest.pairs) if settings.target else 0
        forecast.advance([count for *_, count in group], passed)
        if not judged and harvest.asked >= settings.pilot_chunks:
            _judge_pilot(harvest, teacher)
            judged = True
            spent = _usage(teacher)
            if spent.calls > before.calls and spent.cached == before.cached:
                forecast.announce_time()
    for of_seeds in (kind.of_seeds for kind in kinds if kind.of_seeds):
        harvest.add(of_seeds(seed_tasks, settings, teacher))
    forecast.end()
    # Of two chunks that overlap and say the same, the first one in reading order has the pair.
    reading = {chunk.chunk_id: place for place, chunk in enumerate(chain(*documents))}
    harvest.pairs.sort(key=lambda pair: reading.get(pair["chunk_id"], 0))
    outcome = _outcome(harvest, before, _usage(teacher))
    outcome.metrics.update(chunks=len(units), chunks_not_asked=len(units) - asked)
    return outcome


def _parts(
    documents: Sequence[Sequence[Chunk]],
    wanted: Sequence[Sequence[int]],
    writers: Sequence[ChunkWriter],
) -> Callable[[Unit], tuple[Part, ...]]:
    """Return what gives the parts of a unit, one a writer, once; a document is read when needed."""
    waiting: dict[int, dict[int, tuple[Part, ...]]] = {}

    def take(unit: Unit) -> tuple[Part, ...]:
        number, place, _ = unit
        if number not in waiting:
            parts = [writer.parts(documents[number], wanted[number]) for writer in writers]
            waiting[number] = dict(enumerate(zip(*parts, strict=True)))
        taken = waiting[number].pop(place)
        if not waiting[number]:
            del waiting[number]
        return taken

    return take


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
        f"teacher {teacher.name}: nothing usable for the first {harvest.asked} chunks "
        f"({count} of {len(harvest.drops)} candidates: {reason}); expected at least one pair; "
        f"first replies: {' / '.join(map(repr, first[:3])) or 'none'}; {advice}, or set "
        "generate.pilot_chunks = 0 to go on all the same"
    )


def require_yield(outcome: Outcome[Pairs], teacher: Teacher) -> Outcome[Pairs]:
    """Return the outcome unless a mended endpoint would better it: what is returned is stored.

    A model in this process would give the same again.

    Raises:
        TeacherError: no pair came of an endpoint's replies, or half of the requests failed.
    """
    reasons = outcome.reasons
    failed = reasons.get("request_failed", 0)
    spoilt = outcome.kept.is_empty() and not reasons.keys().isdisjoint(USELESS)
    if teacher.batch_size or not (spoilt or (failed and 2 * failed >= outcome.rows_in)):
        return outcome
    why = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
    most = next(iter(reasons))
    shown = outcome.dropped.filter(reason=most)["excerpt"].item(0)
    raise TeacherError(
        f"teacher {teacher.name}: {outcome.kept.height} of {outcome.rows_in} candidates became "
        f"pairs ({why}; first {most}: {' '.join(shown.split())!r}); expected most of them; mend "
        "the endpoint and run again: useful replies are kept, only the others are asked for"
    )


def _outcome(harvest: Harvest, before: Usage, after: Usage) -> Outcome[Pairs]:
    kept: dict[str, dict[str, Any]] = {}
    for pair in harvest.pairs:
        key = pair["pair_id"]
        if key in kept:  # two chunks that overlap, asked the same
            harvest.drops.append(Drop(key, "duplicate_pair", pair["instruction"], related_id=key))
        kept.setdefault(key, pair)
    pairs = table(Pairs, kept.values()).sort("pair_id")
    return Outcome(
        kept=cast("DataFrame[Pairs]", pairs),
        dropped=drops(harvest.drops),
        rows_in=len(pairs) + len(harvest.drops),
        metrics={name: float(n - getattr(before, name)) for name, n in asdict(after).items()},
    )


def _usage(teacher: Teacher) -> Usage:
    return teacher.usage if isinstance(teacher, CachingTeacher) else Usage()


def generate_candidates(
    chunks: DataFrame[Chunks],
    seed_tasks: DataFrame[SeedTasks],
    settings: GenerateSettings,
    teacher: CachingTeacher,
    rules: ScreenSettings,
    languages: tuple[str, ...],
) -> Outcome[Pairs]:
    """Generate pairs until ``settings.target`` of them pass the screens.

    Args:
        chunks: what is asked about.
        seed_tasks: what self-instruct starts from.
        settings: section ``generate``.
        teacher: who is asked.
        rules: section ``screen``.
        languages: that a pair may be in; empty allows all.

    Raises:
        TeacherError: the answers yield nothing.
    """
    screens = Screens(chunks, seed_tasks, rules, languages)
    outcome = generate(chunks, seed_tasks, settings, teacher, screens.passing)
    return require_yield(outcome, teacher)


GENERATE = Stage(
    "generate",
    generate_candidates,
    Pairs,
    {"chunks": Chunks},
    section="generate",
    dataset="candidate_pairs",
    version=6,
    holds_model=True,
    # Its own module, and where teachers are made.
    code=("pipeline.pairs.generate", TEACHERS["embedded"].make.__module__),
)
