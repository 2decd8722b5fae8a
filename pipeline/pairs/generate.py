"""generate: chunks and seed tasks in, candidate pairs out."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any, cast

from pandera.typing.polars import DataFrame

from pipeline.core.errors import TeacherError
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.pairs.asking import Asking
from pipeline.pairs.chunk_order import Scope
from pipeline.pairs.kinds.brief import Brief
from pipeline.pairs.kinds.self_instruct import diversity, self_instruct
from pipeline.pairs.kinds.writing import USELESS
from pipeline.pairs.screen.judge import Criteria
from pipeline.pairs.screen.screen import Screens
from pipeline.pairs.teachers.kinds import TEACHERS
from pipeline.pairs.teachers.replies import CachingTeacher
from pipeline.pairs.teachers.teacher import Teacher
from pipeline.settings import GenerateSettings, ScreenSettings
from schemas.documents import Chunks
from schemas.pairs import Pairs, SeedTasks


def generate(
    chunks: DataFrame[Chunks],
    seed_tasks: DataFrame[SeedTasks],
    settings: GenerateSettings,
    teacher: Teacher,
    passing: Callable[[Sequence[dict[str, Any]]], int] = len,
    brief: Brief | None = None,
    scope: Scope | None = None,
    languages: tuple[str, ...] = (),
) -> Outcome[Pairs]:
    """Ask the teacher for pairs of each kind of task: of chunks, then of seed tasks.

    ``languages`` are those of tasks without a document. A candidate (``rows_in``) is an evidence
    sentence of a weak teacher, a question asked of a strong one, a self-instruct task, or a chunk
    without any evidence sentence. Each request depends on title, section and texts of one document,
    never on ids or sources; only what no document answers is looked up in all.

    Where ``settings.target`` can be reached, chunks are asked in an order that their documents
    alone decide, until so many pairs pass (as ``passing`` counts them); else all are, document by
    document. A budget that is reached ends it likewise.

    Returns:
        Pairs sorted by pair_id; drops (:data:`.task_kinds.GENERATE_REASONS`); metrics chunks (that
        pairs are wanted of), chunks_not_asked, over_budget (1: the budget ended it), and of this
        call the fields of Usage.

    Raises:
        SettingsError: a share of ``settings.kinds`` is of no kind.
        TeacherError: the teacher fails, or the first ``pilot_chunks`` chunks yield nothing.
    """
    asking = Asking(chunks, seed_tasks, settings, teacher, brief or Brief(), scope, languages)
    asking.ask_chunks(passing)
    if not asking.over:
        asking.take("self_instruct", self_instruct(seed_tasks, asking.writing))
    harvest = asking.harvest
    asking.forecast.end()
    # Of two chunks that overlap and say the same, the first one in reading order has the pair.
    reading = {chunk.chunk_id: place for place, chunk in enumerate(chain(*asking.documents))}
    harvest.pairs.sort(key=lambda pair: reading.get(pair["chunk_id"], 0))
    tasks = [pair["instruction"] for pair in harvest.pairs if pair["origin"] == "self_instruct"]
    found = diversity(list(dict.fromkeys(tasks)))
    metrics = {name: float(count) for name, count in asdict(asking.usage()).items()}
    metrics |= asking.counts() | {f"self_instruct_{name}": n for name, n in found.items()}
    kept: dict[str, dict[str, Any]] = {}
    for pair in harvest.pairs:
        key = pair["pair_id"]
        if key in kept:  # two chunks that overlap, asked the same
            harvest.drops.append(Drop(key, "duplicate_pair", pair["instruction"], related_id=key))
        kept.setdefault(key, pair)
    pairs = cast("DataFrame[Pairs]", table(Pairs, kept.values()).sort("pair_id"))
    rows_in = len(kept) + len(harvest.drops)
    return Outcome(pairs, drops(harvest.drops), rows_in, metrics=metrics)


def require_yield(outcome: Outcome[Pairs], teacher: Teacher) -> Outcome[Pairs]:
    """Return the outcome, since it is stored, unless a mended endpoint would better it.

    A TeacherError where no pair came of its replies, or half of the requests failed.
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


def generate_candidates(
    chunks: DataFrame[Chunks],
    seed_tasks: DataFrame[SeedTasks],
    settings: GenerateSettings,
    teacher: CachingTeacher,
    rules: ScreenSettings,
    criteria: Criteria,
    brief: Brief,
    scope: Scope,
) -> Outcome[Pairs]:
    """Generate pairs until ``settings.target`` pass the screens (as :func:`generate`)."""
    screens = Screens(chunks, seed_tasks, rules, criteria)
    outcome = generate(
        chunks, seed_tasks, settings, teacher, screens.passing, brief, scope, criteria.languages
    )
    return require_yield(outcome, teacher)


GENERATE = Stage(
    "generate",
    generate_candidates,
    Pairs,
    {"chunks": Chunks},
    section="generate",
    dataset="candidate_pairs",
    version=8,
    holds_model=True,
    # Its own module, and where teachers are made.
    code=("pipeline.pairs.generate", TEACHERS["embedded"].make.__module__),
)
