"""The pairwise judge in a run: calibrated on people's decisions, asked about the test answers."""

import json
import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import polars as pl

from flows.engine.context import Run, say
from flows.engine.stage_runner import run_stage
from pipeline.core.cache import digest
from pipeline.core.home import Home, ancestors
from pipeline.core.record import read_json
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.evaluate.measures.calibration import calibrate, preferences
from pipeline.evaluate.measures.llm_judge import (
    PROMPT_VERSION,
    Answer,
    Comparison,
    Winner,
    judge,
    win_rate,
)
from pipeline.evaluate.results import Pairwise
from pipeline.evaluate.stages import COMPARED, PAIRWISE
from pipeline.pairs.teachers.endpoint import EndpointTeacher
from pipeline.pairs.teachers.replies import CachingTeacher
from pipeline.settings import JudgeSettings, TeacherSettings
from schemas.evaluation import Answers
from schemas.pairs import Examples, ScreenedPairs, SettledPairs

REJECTED = "rejected"


def judge_pairwise(
    run: Run, pairs: Dataset, frozen: Dataset, answers: Mapping[str, Dataset]
) -> tuple[Pairwise | None, dict[str, Dataset]]:
    """Let the judge compare the challenger's answers with those of base and champion.

    Args:
        run: the run; without ``judge.model`` nothing is asked.
        pairs: the pairs of the training, whose lineage has people's decisions.
        frozen: the test set.
        answers: of each arm.

    Returns:
        What the judge said, and the data set that keeps it; None and none without a judge.

    Raises:
        TeacherError: the endpoint cannot be reached, refuses, or fails too often.
    """
    settings = run.settings.judge
    if not settings.model:
        return None, {}
    asked, decisions = _judge(run), _decisions(run, pairs, settings)
    judged = {arm: answers[arm] for arm in ("base", "champion", "challenger") if arm in answers}

    ask = partial(_ask, run, asked, decisions, frozen, judged)
    dataset = run_stage(
        run,
        PAIRWISE,
        judged,
        ask=Given(ask),
        rows=Given(frozen.rows),
        test=frozen,
        decisions=digest([[item.id, winner] for item, winner in decisions]),
        judge=asked.name,
        also={
            **settings.model_dump(mode="json", exclude=_APART),
            "prompt": PROMPT_VERSION,
            "confidence": run.settings.evaluate.confidence,
        },
        parents={"pairs": pairs},
    )
    record = json.loads((run.store.path(dataset) / COMPARED).read_text("utf-8"))
    return read_json(Pairwise, record), {"pairwise": dataset}


_APART = {"concurrency", "timeout_seconds", "max_retries", "base_url"}
"""Settings that change no reply, and the address, which may hold a password."""


def _judge(run: Run) -> CachingTeacher:
    settings = run.settings.judge
    endpoint = TeacherSettings(
        kind="openai",
        model=settings.model,
        base_url=settings.base_url,
        concurrency=settings.concurrency,
        timeout_seconds=settings.timeout_seconds,
        max_retries=settings.max_retries,
        thinking_tokens=settings.thinking_tokens,
        extra=settings.extra,
    )
    key = os.environ.get("OPENAI_API_KEY")
    return CachingTeacher(EndpointTeacher(endpoint, key, say, "judge"), run.cache("replies"))


def _ask(
    run: Run,
    asked: CachingTeacher,
    decisions: list[tuple[Comparison, Winner]],
    frozen: Dataset,
    answers: Mapping[str, Dataset],
) -> Pairwise:
    settings = run.settings.judge
    said = judge([item for item, _ in decisions], asked, settings.max_tokens)
    calibration = calibrate(
        [winner for _, winner in decisions], said, settings.min_decisions, settings.min_kappa
    )
    rates = {}
    for arm in answers:
        if arm == "challenger" or not frozen.rows:
            continue
        compared = _comparisons(run, frozen, answers["challenger"], answers[arm])
        rates[arm] = win_rate(
            judge(compared, asked, settings.max_tokens),
            seed=settings.seed,
            draws=settings.bootstrap_draws,
            confidence=run.settings.evaluate.confidence,
        )
    return Pairwise(settings.model, calibration, rates)


def _comparisons(
    run: Run, frozen: Dataset, challenger: Dataset, other: Dataset
) -> list[Comparison]:
    """Pair the answers of two arms to each test question; the challenger's is the first."""
    questions = {
        row["pair_id"]: row["messages"][-2]["content"]
        for row in run.store.read(frozen, Examples).iter_rows(named=True)
    }
    mine, theirs = (run.store.read(item, Answers).sort("pair_id") for item in (challenger, other))
    said = dict(theirs.select("pair_id", "answer").iter_rows())
    return [
        Comparison(
            row["pair_id"],
            Answer(questions[row["pair_id"]], row["answer"]),
            Answer(questions[row["pair_id"]], said[row["pair_id"]]),
            row["cluster_id"],
        )
        for row in mine.iter_rows(named=True)
    ]


def _decisions(
    run: Run, pairs: Dataset, settings: JudgeSettings
) -> list[tuple[Comparison, Winner]]:
    """Read what people decided about the pairs behind a training, as preferences."""
    home = Home(run.store, run.registry)
    before = {item.dataset: item for item in ancestors(home, pairs)}
    if "settled_pairs" not in before or "screened_pairs" not in before:
        return []
    settled = home.dataset(f"settled_pairs/{before['settled_pairs'].fingerprint}")
    screened = home.dataset(f"screened_pairs/{before['screened_pairs'].fingerprint}")
    kept = run.store.read(settled, SettledPairs)
    edited = [
        (_answer(row), Answer(_question(row), row["original_response"]))
        for row in kept.filter(status="edited").iter_rows(named=True)
        if row["original_response"]
    ]
    gone = run.store.read_dropped(settled).filter(reason=REJECTED)["id"].to_list()
    rejected = run.store.read(screened, ScreenedPairs).filter(pl.col("pair_id").is_in(gone))
    return preferences(
        edited,
        [_answer(row) for row in kept.filter(status="accepted").iter_rows(named=True)],
        [_answer(row) for row in rejected.iter_rows(named=True)],
        settings.max_decisions,
    )


def _answer(row: Mapping[str, Any]) -> Answer:
    return Answer(_question(row), str(row["response"]))


def _question(row: Mapping[str, Any]) -> str:
    return "\n\n".join(part for part in (row["instruction"], row["input"]) if part)
