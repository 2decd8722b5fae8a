"""What the pairwise judge is asked: test answers of two arms, and people's decisions on pairs."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline.core.home import Home, ancestors
from pipeline.core.store import Dataset, Store
from pipeline.evaluate.measures.calibration import calibrate, preferences
from pipeline.evaluate.measures.llm_judge import Answer, Comparison, Winner, judge, win_rate
from pipeline.evaluate.results import Pairwise
from pipeline.pairs.kinds.brief import brief_in_words
from pipeline.pairs.teachers.teacher import Teacher
from pipeline.settings import Settings
from schemas.evaluation import Answers
from schemas.pairs import Examples, ScreenedPairs, SettledPairs

Decisions = list[tuple[Comparison, Winner]]


def judge_arms(
    store: Store,
    settings: Settings,
    teacher: Teacher,
    decisions: Decisions,
    test: Dataset,
    answers: Mapping[str, Dataset],
) -> Pairwise:
    """Calibrate the judge on decisions, then compare the challenger with each other arm."""
    options = settings.judge
    brief = brief_in_words(settings.task)
    agreed = judge([item for item, _ in decisions], teacher, options.max_tokens, brief)
    people = [winner for _, winner in decisions]
    calibration = calibrate(people, agreed, options.min_decisions, options.min_kappa)
    rates = {
        arm: win_rate(
            judge(
                arm_comparisons(store, test, answers["challenger"], other),
                teacher,
                options.max_tokens,
                brief,
            ),
            seed=options.seed,
            draws=options.bootstrap_draws,
            confidence=settings.evaluate.confidence,
        )
        for arm, other in answers.items()
        if arm != "challenger" and test.rows
    }
    return Pairwise(options.model, calibration, rates)


def arm_comparisons(
    store: Store, test: Dataset, challenger: Dataset, other: Dataset
) -> list[Comparison]:
    """Pair the answers of two arms to each test question; the challenger's is the first."""
    questions = {
        row["pair_id"]: row["messages"][-2]["content"]
        for row in store.read(test, Examples).iter_rows(named=True)
    }
    mine, theirs = (store.read(item, Answers).sort("pair_id") for item in (challenger, other))
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


def people_decisions(home: Home, pairs: Dataset, most: int) -> Decisions:
    """Read what people decided about the pairs behind a training, as preferences."""
    before = {item.dataset: item for item in ancestors(home, pairs)}
    if "settled_pairs" not in before or "screened_pairs" not in before:
        return []
    settled = home.dataset(str(before["settled_pairs"]))
    screened = home.dataset(str(before["screened_pairs"]))
    passed = home.store.read(settled, SettledPairs)
    edited = [
        (_answer(row), Answer(_question(row), row["original_response"]))
        for row in passed.filter(status="edited").iter_rows(named=True)
        if row["original_response"]
    ]
    gone = home.store.read_dropped(settled).filter(reason="rejected")["id"].to_list()
    rejected = home.store.read(screened, ScreenedPairs).filter(pl.col("pair_id").is_in(gone))
    accepted = passed.filter(status="accepted").iter_rows(named=True)
    return preferences(
        edited,
        [_answer(row) for row in accepted],
        [_answer(row) for row in rejected.iter_rows(named=True)],
        most,
    )


def _answer(row: Mapping[str, Any]) -> Answer:
    return Answer(_question(row), str(row["response"]))


def _question(row: Mapping[str, Any]) -> str:
    return "\n\n".join(part for part in (row["instruction"], row["input"]) if part)
