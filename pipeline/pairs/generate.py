"""generate: chunks and seed tasks in, candidate pairs out."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import digest
from pipeline.core.errors import TeacherError
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.pairs.answer_first import answer_first, evidence_parts
from pipeline.pairs.foresight import Foresight
from pipeline.pairs.grounded import Chunk, Harvest, Part, question_first, quotas
from pipeline.pairs.screen.screen import Screens
from pipeline.pairs.self_instruct import self_instruct
from pipeline.pairs.teachers.replies import CachingTeacher, Usage
from pipeline.pairs.teachers.teacher import Teacher
from pipeline.settings import GenerateSettings, ScreenSettings
from schemas.chunks import Chunks
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

Unit = tuple[int, int, int]
"""A chunk to ask: number of its document, place among those to ask there, pairs wanted."""


def generate(
    chunks: DataFrame[Chunks],
    seed_tasks: DataFrame[SeedTasks],
    settings: GenerateSettings,
    teacher: Teacher,
    passing: Callable[[Sequence[dict[str, Any]]], int] = len,
) -> Outcome[Pairs]:
    """Ask the teacher for pairs: grounded ones from chunks, self-instruct ones from seed tasks.

    A candidate (``rows_in``) is an evidence sentence of a weak teacher, a question asked of a
    strong one, a self-instruct task, or a chunk without any evidence sentence; it becomes a pair
    or a drop. Each request depends on title, section and texts of one document, never on ids,
    sources or other documents.

    Where ``settings.target`` can be reached, chunks are asked in an order that their documents
    alone decide, until so many pairs pass; else all are, document by document. A new document
    takes its places in that order: it is asked, and what came last before may be left out.

    Args:
        chunks: of all documents.
        seed_tasks: tasks written by people.
        settings: section ``generate``.
        teacher: who is asked.
        passing: says how many of the grounded pairs so far pass the screens.

    Returns:
        Pairs sorted by pair_id; drops by reason; metrics chunks (that pairs are wanted of),
        chunks_not_asked, and of this call calls, cached, prompt_tokens, completion_tokens, retries.

    Raises:
        TeacherError: the teacher fails, or the first ``pilot_chunks`` chunks yield nothing.
    """
    before = _usage(teacher)
    documents = _documents(chunks)
    wanted = [quotas(document, settings) for document in documents]
    units = [
        (number, place, count)
        for number, counts in enumerate(wanted)
        for place, count in enumerate(filter(None, counts))
    ]
    limited = 0 < settings.target < MOST_PASS * sum(count for *_, count in units)
    foresight = Foresight(documents, wanted, settings, teacher, limited)
    foresight.more = 2 * settings.self_instruct_tasks * (not seed_tasks.is_empty())
    harvest, asked, passed, judged = Harvest(), 0, 0, settings.pilot_chunks == 0

    def room() -> tuple[int, int]:
        most = LOCAL_CHUNKS if teacher.batch_size else CHUNKS_AT_ONCE
        return most if judged else settings.pilot_chunks - harvest.asked, settings.target - passed

    size = LOCAL_DOCUMENTS if teacher.batch_size else DOCUMENTS_AT_ONCE
    groups = _spread(units, room) if limited else _by_document(documents, units, size, settings)
    parts: dict[int, dict[int, Any]] = {}
    foresight.announce()
    for group in groups:
        for number in {number for number, *_ in group} - parts.keys():
            parts[number] = dict(enumerate(_parts(documents[number], wanted[number], teacher)))
        these = [parts[number].pop(place) for number, place, _ in group]
        parts = {number: rest for number, rest in parts.items() if rest}
        ask = question_first if teacher.strength == "strong" else answer_first
        harvest.add(ask(these, settings, teacher))
        asked += len(group)
        passed = passing(harvest.pairs) if settings.target else 0
        foresight.advance([count for *_, count in group], passed)
        if not judged and harvest.asked >= settings.pilot_chunks:
            _judge_pilot(harvest, teacher)
            judged = True
            spent = _usage(teacher)
            if spent.calls > before.calls and spent.cached == before.cached:
                foresight.announce_time()
    if settings.self_instruct_tasks:
        harvest.add(self_instruct(seed_tasks, settings, teacher))
    foresight.end()
    # Of two chunks that overlap and say the same, the first one in reading order has the pair.
    reading = {chunk.chunk_id: place for place, chunk in enumerate(chain(*documents))}
    harvest.pairs.sort(key=lambda pair: reading.get(pair["chunk_id"], 0))
    outcome = _outcome(harvest, before, _usage(teacher))
    outcome.metrics.update(chunks=len(units), chunks_not_asked=len(units) - asked)
    return outcome


def _documents(chunks: DataFrame[Chunks]) -> list[list[Chunk]]:
    """Return the chunks of each document in reading order, documents in the order of content."""
    documents: dict[str, list[Chunk]] = {}
    for row in chunks.sort("doc_id", "start", "chunk_id").iter_rows(named=True):
        chunk = Chunk(**{name: row[name] for name in Chunk.__dataclass_fields__})
        documents.setdefault(chunk.doc_id, []).append(chunk)

    def content(document: list[Chunk]) -> tuple[str, str]:
        shown = [[chunk.title, chunk.section, chunk.text] for chunk in document]
        return digest(shown), document[0].doc_id

    return sorted(documents.values(), key=content)


def _parts(document: Sequence[Chunk], wanted: Sequence[int], teacher: Teacher) -> Sequence[Part]:
    if teacher.strength == "weak":
        return evidence_parts(document, wanted)
    return [Part(chunk, count) for chunk, count in zip(document, wanted, strict=True) if count]


def _by_document(
    documents: Sequence[Sequence[Chunk]],
    units: Sequence[Unit],
    size: int,
    settings: GenerateSettings,
) -> Iterator[list[Unit]]:
    """Yield the units of documents: one by one until the pilot has its chunks, then by ``size``."""
    of = {number: list(found) for number, found in groupby(units, key=itemgetter(0))}
    first, seen = 0, 0
    while first < len(documents):
        step = 1 if seen < settings.pilot_chunks else size
        last = min(first + step, len(documents))
        seen += sum(len(document) for document in documents[first:last])
        yield [unit for number in range(first, last) for unit in of[number]]
        first = last


def _spread(units: Sequence[Unit], room: Callable[[], tuple[int, int]]) -> Iterator[list[Unit]]:
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


def _judge_pilot(harvest: Harvest, teacher: Teacher) -> None:
    if harvest.pairs:
        return
    counts = Counter(drop.reason for drop in harvest.drops)
    reason, count = max(counts.items(), key=lambda item: (item[1], item[0]))
    failed = reason == "request_failed"  # then the replies are a server's words: whole
    first = dict.fromkeys(" ".join(text.split()) for text in harvest.raw) if failed else harvest.raw
    shown = " / ".join(
        repr(" ".join(text.split())[: None if failed else 160]) for text in list(first)[:3]
    )
    if failed:
        advice = "mend the endpoint"
    elif reason == "cut_short":
        advice = (
            "give them room (teacher.thinking_tokens, generate.max_answer_tokens, the server's own "
            "limits), or turn thoughts off with teacher.extra"
        )
    elif not any(text.strip() for text in harvest.raw):
        advice = "see why its replies are empty"
    else:
        advice = "choose a stronger teacher"
    raise TeacherError(
        f"teacher {teacher.name}: nothing usable for the first {harvest.asked} chunks "
        f"({count} of {len(harvest.drops)} candidates: {reason}); expected at least one pair; "
        f"first replies: {shown or 'none'}; {advice}, or set generate.pilot_chunks = 0 to go on "
        "all the same"
    )


def require_yield(outcome: Outcome[Pairs], teacher: Teacher) -> Outcome[Pairs]:
    """Return the outcome unless a mended endpoint would better it: what is returned is stored.

    A model in this process would give the same again.

    Raises:
        TeacherError: no pair came of an endpoint's replies, or half of the requests failed.
    """
    failed = outcome.reasons.get("request_failed", 0)
    spoilt = outcome.kept.is_empty() and not outcome.reasons.keys().isdisjoint(USELESS)
    if teacher.batch_size or not (spoilt or (failed and 2 * failed >= outcome.rows_in)):
        return outcome
    why = ", ".join(f"{reason} {count}" for reason, count in outcome.reasons.items())
    most = next(iter(outcome.reasons))
    shown = outcome.dropped.filter(reason=most)["excerpt"].item(0)
    raise TeacherError(
        f"teacher {teacher.name}: {outcome.kept.height} of {outcome.rows_in} candidates became "
        f"pairs ({why}; first {most}: {' '.join(shown.split())!r}); expected most of them; mend "
        "the endpoint and run again: useful replies are kept, only the others are asked for"
    )


def _outcome(harvest: Harvest, before: Usage, after: Usage) -> Outcome[Pairs]:
    kept = {}
    dropped = list(harvest.drops)
    for pair in harvest.pairs:
        if pair["pair_id"] in kept:  # two chunks that overlap, asked the same
            identity = pair["pair_id"]
            dropped.append(
                Drop(identity, "duplicate_pair", pair["instruction"], related_id=identity)
            )
        else:
            kept[pair["pair_id"]] = pair
    pairs: pl.DataFrame = table(Pairs, kept.values())
    spent = {name: float(count - getattr(before, name)) for name, count in asdict(after).items()}
    return Outcome(
        kept=cast("DataFrame[Pairs]", pairs.sort("pair_id")),
        dropped=drops(dropped),
        rows_in=len(harvest.pairs) + len(harvest.drops),
        metrics=spent,
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
    code=(
        "pipeline.pairs.generate",
        "pipeline.pairs.teachers.embedded",
        "pipeline.pairs.teachers.endpoint",
    ),
)
