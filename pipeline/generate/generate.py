"""generate: chunks and seed tasks in, candidate pairs out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.cache import digest
from pipeline.errors import TeacherError
from pipeline.generate.answer_first import answer_first
from pipeline.generate.grounded import Chunk, Harvest, question_first, quotas
from pipeline.generate.replies import CachingTeacher, Usage
from pipeline.generate.self_instruct import self_instruct
from pipeline.generate.teacher import Teacher
from pipeline.outcome import Drop, Outcome, drops, table
from pipeline.progress import advance
from pipeline.settings import GenerateSettings
from schemas.chunks import Chunks
from schemas.pairs import Pairs, SeedTasks

USELESS = ("request_failed", "cut_short", "refused", "unparsable")
"""Reasons for which a candidate is no pair that lie in the reply."""
DOCUMENTS_AT_ONCE = 16
"""Documents given to an endpoint together, so that its requests can run side by side."""
LOCAL_DOCUMENTS = 4
"""Documents given to a teacher in this process together: they fill its batches, and progress is
told after each group."""


def generate(
    chunks: DataFrame[Chunks],
    seed_tasks: DataFrame[SeedTasks],
    settings: GenerateSettings,
    teacher: Teacher,
) -> Outcome[Pairs]:
    """Ask the teacher for pairs: grounded ones from chunks, self-instruct ones from seed tasks.

    A candidate (``rows_in``) is an evidence sentence of a weak teacher, a question asked of a
    strong one, a self-instruct task, or a chunk without any evidence sentence; it becomes a pair
    or a drop. Each request depends on title, section and texts of one document, never on ids,
    sources or other documents.

    Returns:
        Pairs sorted by pair_id; drops by reason; metrics calls, cached, prompt_tokens,
        completion_tokens, retries of this call.

    Raises:
        TeacherError: the teacher fails, or the first ``pilot_chunks`` chunks yield nothing.
    """
    before = _usage(teacher)
    documents = _documents(chunks)
    expected = _expected(documents, settings, teacher)
    total = sum(expected) + 2 * settings.self_instruct_tasks * (not seed_tasks.is_empty())
    advance(0, total, "requests")
    harvest, done, judged = Harvest(), 0, settings.pilot_chunks == 0
    size = LOCAL_DOCUMENTS if teacher.batch_size else DOCUMENTS_AT_ONCE
    for first, last in _groups(documents, size, settings.pilot_chunks):
        group = documents[first:last]
        ask = question_first if teacher.strength == "strong" else answer_first
        harvest.add(ask(group, settings, teacher))
        done += sum(expected[first:last])
        advance(done, total, "requests")
        if not judged and harvest.asked >= settings.pilot_chunks:
            _judge_pilot(harvest, teacher)
            judged = True
    if settings.self_instruct_tasks:
        harvest.add(self_instruct(seed_tasks, settings, teacher))
    advance(total, total, "requests")
    return _outcome(harvest, before, _usage(teacher))


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


def _groups(
    documents: Sequence[Sequence[Chunk]], size: int, pilot_chunks: int
) -> Iterator[tuple[int, int]]:
    """Yield ranges of documents: one by one until the pilot has its chunks, then by ``size``."""
    first, seen = 0, 0
    while first < len(documents):
        step = 1 if seen < pilot_chunks else size
        last = min(first + step, len(documents))
        seen += sum(len(document) for document in documents[first:last])
        yield first, last
        first = last


def _expected(
    documents: Sequence[Sequence[Chunk]], settings: GenerateSettings, teacher: Teacher
) -> list[int]:
    """Return about how many requests each document takes, for the progress bar."""
    wanted = [quotas(document, settings) for document in documents]
    if teacher.strength == "strong":
        return [sum(counts) + sum(count > 0 for count in counts) for counts in wanted]
    return [sum(counts) * settings.questions_per_answer for counts in wanted]


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
