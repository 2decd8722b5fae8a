"""What pairs are judged by beside the settings of the screens: languages, and a judge of claims."""

import os

import polars as pl

from flows.engine.context import Run, say
from pipeline.core.home import Home
from pipeline.core.outcome import table
from pipeline.pairs.asking import Asking
from pipeline.pairs.kinds.brief import CLAIMS, Brief
from pipeline.pairs.reviewers import as_written
from pipeline.pairs.screen.candidate import Candidate
from pipeline.pairs.screen.judge import ClaimsJudge, Criteria
from pipeline.pairs.screen.rules import SCREEN_RULES
from pipeline.pairs.screen.screen import Screens
from pipeline.pairs.teachers.endpoint import EndpointTeacher
from pipeline.pairs.teachers.replies import CachingTeacher, usage_of
from pipeline.settings import TeacherSettings
from schemas.documents import Chunks
from schemas.pairs import Pairs, Reviews, SeedTasks


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


def price_of_judge(criteria: Criteria, screens: Screens, asking: Asking) -> str:
    """Return what the judge takes beside the teacher, as it goes with the pairs of the pilot."""
    judge = criteria.judge
    judged = map(screens.alone, asking.harvest.pairs)
    passed = [one for one, finding in judged if not finding]
    if judge is None or not passed:
        return ""
    before = usage_of(judge.teacher)
    screens.by_judge(passed)
    after, times = usage_of(judge.teacher), asking.forecast.pairs / len(passed)
    read, written = after.read - before.read, after.written - before.written
    return (
        f"; of the judge about {asking.forecast.pairs:,} requests, {times * read:,.0f} tokens read "
        f"and {times * written:,.0f} written"
    )
