"""Chunks and seed tasks to screened pairs, once the user's own files are checked."""

import os

import polars as pl
from prefect import flow

from flows.curate import Corpus, curate_documents, input_files, require_rows
from flows.engine.context import Run, open_run, say
from flows.models.loaded_model import base_model
from flows.splits import check_gold
from flows.views.report import write_report
from pipeline.core.cache import digest
from pipeline.core.home import Home
from pipeline.core.outcome import table
from pipeline.core.progress import listening
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.evaluate.measures.behaviour import read_behaviour_items
from pipeline.evaluate.measures.own import load_metric
from pipeline.evaluate.retention.forgetting import read_general_set
from pipeline.pairs.asking import Asking
from pipeline.pairs.chunk_order import Scope
from pipeline.pairs.generate import GENERATE
from pipeline.pairs.kinds.brief import CLAIMS, Brief, read_brief
from pipeline.pairs.reviewers import as_written
from pipeline.pairs.rows import ROWS, import_rows, load_rows
from pipeline.pairs.screen.candidate import Candidate
from pipeline.pairs.screen.judge import ClaimsJudge, Criteria
from pipeline.pairs.screen.rules import SCREEN_RULES
from pipeline.pairs.screen.screen import SCREEN, Screens
from pipeline.pairs.task_kinds import shares_of
from pipeline.pairs.teachers.endpoint import EndpointTeacher
from pipeline.pairs.teachers.kinds import TEACHERS
from pipeline.pairs.teachers.replies import CachingTeacher, Usage, usage_of
from pipeline.pairs.user_files import read_benchmark, read_seed_tasks
from pipeline.report.contents import Report
from pipeline.settings import Settings, TeacherSettings
from pipeline.train.models.base_model import BaseModel
from schemas.documents import Chunks
from schemas.pairs import Pairs, Reviews, SeedTasks, Splits


def check_own_files(settings: Settings) -> None:
    """Read the brief, seed tasks, gold rows, benchmarks and the general set; keep nothing of them.

    An InputError shows the first row of a file whose rows are mostly bad.
    """
    paths = settings.paths
    shares_of(read_brief(settings.task, paths), settings.generate, "strong")
    read_seed_tasks(paths.seeds)
    check_gold(settings)
    for source in paths.rows:
        import_rows(load_rows(source, settings.model.allow_download), settings.clean, str(source))
    for benchmark in paths.benchmarks:
        read_benchmark(benchmark)
    for metric in settings.evaluate.metrics:
        load_metric(metric)
    if paths.general is not None:
        read_general_set(paths.general)
        read_behaviour_items(paths.general, settings.forgetting)


@flow(timeout_seconds=24 * 3600)
def synthesize(settings: Settings, dry_run: bool = False) -> Report | None:
    """Curate, then let the teacher write pairs and screen them; or only say what that takes."""
    with open_run("synthesize", settings) as run:
        files = input_files(run)
        check_own_files(settings)
        base = base_model(settings)
        corpus = curate_documents(run, base, files)
        if dry_run:
            say(foresee(run, base, corpus))
            return None
        _, asked = generate_pairs(run, base, corpus)
        return write_report(run, asked=asked)


def foresee(run: Run, base: BaseModel, corpus: Corpus) -> str:
    """Ask the chunks of the pilot, whose replies are kept, and say what all pairs would take."""
    settings = run.settings
    chunks = run.store.read(corpus.chunks, Chunks)
    seeds = read_seed_tasks(settings.paths.seeds)
    pilot = settings.generate.pilot_chunks or 5
    generate = settings.generate.model_copy(update={"pilot_chunks": pilot})
    brief = read_brief(settings.task, settings.paths)
    criteria = criteria_of(run, brief)
    screens = Screens(chunks, seeds, settings.screen, criteria)
    asking = Asking(chunks, seeds, generate, _teacher(run, base), brief, _scope(run, corpus))
    with listening(lambda *told: None, say):
        asking.ask_chunks(screens.passing, pilot=True)
    price = f"{asking.forecast.price(asking.usage())} in all"
    passed = [one for one, finding in map(screens.alone, asking.harvest.pairs) if not finding]
    if criteria.judge is not None and passed:
        before = usage_of(criteria.judge.teacher)
        screens.by_judge(passed)
        after, times = usage_of(criteria.judge.teacher), asking.forecast.pairs / len(passed)
        read, written = after.read - before.read, after.written - before.written
        price += (
            f"; of the judge about {asking.forecast.pairs:,} requests, "
            f"{times * read:,.0f} tokens read and {times * written:,.0f} written"
        )
    return f"generate: as the pilot goes, {price}; nothing but its replies was kept"


def judge_endpoint(run: Run) -> CachingTeacher:
    """Return the model of section ``judge``; its replies are kept."""
    shared = run.settings.judge.model_dump(include=set(TeacherSettings.model_fields))
    endpoint = TeacherSettings(kind="openai", **shared)
    key = os.environ.get("OPENAI_API_KEY")
    return CachingTeacher(EndpointTeacher(endpoint, key, say, "judge"), run.cache("replies"))


def criteria_of(run: Run, brief: Brief) -> Criteria:
    """Return what pairs are judged by; a judge is held against what people decided so far."""
    settings, languages = run.settings.judge, run.settings.clean.languages
    if not settings.model:
        return Criteria(languages)
    judge = ClaimsJudge(judge_endpoint(run), brief.prompts[CLAIMS])
    latest = Home(run.store, run.registry).latest()
    decided: dict[str, bool] = {}
    known: list[Candidate] = []
    if latest.keys() >= {"reviews", "candidate_pairs", "chunks"}:
        reviews = run.store.read(latest["reviews"], Reviews)
        decided = as_written(reviews, run.settings.review.adjudicator)
        chunks = run.store.read(latest["chunks"], Chunks)
        screens = Screens(chunks, table(SeedTasks, []), run.settings.screen, Criteria(languages))
        pairs = run.store.read(latest["candidate_pairs"], Pairs)
        chosen = pairs.filter(pl.col("pair_id").is_in(list(decided)))
        judged = map(screens.alone, chosen.iter_rows(named=True))
        rule = SCREEN_RULES["unsupported_claim"]
        known = [pair for (_, pair), _ in judged if rule.fits(pair)]
    judge = judge.calibrated(decided, known, settings.min_decisions, settings.min_kappa)
    if judge.calibration:
        say(f"judge of claims: {judge.calibration.text}")
    return Criteria(languages, judge)


def _scope(run: Run, corpus: Corpus) -> Scope:
    """Return the budget, and the test split's chunks where gold rows do not make the test set."""
    splits = run.store.read(corpus.splits, Splits).filter(split="test")
    facts = run.store.manifest(corpus.splits.name, corpus.splits.fingerprint).facts
    if facts.metrics["gold_test"] >= run.settings.split.gold_rows:
        return Scope(run.settings.budget)
    chunks = run.store.read(corpus.chunks, Chunks)
    of_documents = splits.filter(chunk_id="")["doc_id"].to_list()
    named = pl.col("chunk_id").is_in(splits["chunk_id"].to_list())
    first = chunks.filter(pl.col("doc_id").is_in(of_documents) | named)
    return Scope(run.settings.budget, frozenset(first["chunk_id"]))


def _teacher(run: Run, base: BaseModel) -> CachingTeacher:
    kind = TEACHERS[run.settings.teacher.kind]
    return CachingTeacher(kind.make(run.settings, base, say), run.cache("replies"))


def generate_pairs(run: Run, base: BaseModel, corpus: Corpus) -> tuple[Dataset, Usage]:
    """Run the stages and return the screened pairs, and what the teacher was asked for them.

    A TeacherError where it does not answer or its answers yield nothing, an InputError with the
    most frequent reasons where no pair passed the screens.
    """
    settings = run.settings
    seeds, scope = read_seed_tasks(settings.paths.seeds), _scope(run, corpus)
    seed_tasks = Given(seeds, digest(seeds.to_dicts()))
    teacher, brief = _teacher(run, base), read_brief(settings.task, settings.paths)
    asked = f"{teacher.name} {teacher.strength} {settings.teacher.thinking_tokens}"
    criteria = criteria_of(run, brief)
    candidates = run(
        GENERATE,
        chunks=corpus.chunks,
        seed_tasks=seed_tasks,
        teacher=Given(teacher, asked),
        rules=Given(settings.screen),
        criteria=Given(criteria),
        brief=Given(brief, brief.digest if teacher.strength == "strong" else None),
        scope=Given(scope, digest(sorted(scope.first)) if scope.first else None),
        # Which chunks are asked depends on what passes the screens, and on the budget.
        also={
            "screen": settings.screen.recipe() | {"languages": criteria.rejecting},
            "budget": settings.budget.recipe(),
        },
    )
    found = run.store.manifest(candidates.name, candidates.fingerprint).facts.metrics
    if found["chunks_not_asked"] and not found.get("over_budget"):
        say(
            f"generate: {found['chunks_not_asked']:,.0f} of {found['chunks']:,.0f} chunks were not "
            f"asked, since {settings.generate.target:,} pairs pass without them (generate.target)"
        )
    require_rows(run, candidates, "generate: no pair came out", "see the replies folder")
    shares, sources, own = settings.split, settings.paths.rows, None
    if sources:
        download = settings.model.allow_download
        rows = [row for source in sources for row in load_rows(source, download)]
        name = ", ".join(str(source).rsplit("/", 1)[-1] for source in sources)
        own = run(ROWS, rows=Given(rows, digest(rows)), name=Given(name))
    screened = run(
        SCREEN,
        pairs=candidates,
        rows=own,
        shares=Given(shares, digest(shares.recipe()) if own else None),
        chunks=corpus.chunks,
        seed_tasks=seed_tasks,
        splits=corpus.splits,
        criteria=Given(criteria, digest(criteria.recipe)),
    )
    require_rows(run, screened, "screen: no pair passed", "see the settings of [screen]")
    return screened, teacher.usage
