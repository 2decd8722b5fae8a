"""What the judge is asked: test answers of all arms, and pairs that people decided on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from pipeline.core.cache import short_id
from pipeline.core.home import Home, ancestors
from pipeline.core.store import Dataset, Store
from pipeline.evaluate.measures.llm_judge import (
    GRADES,
    Asked,
    Comparison,
    Graded,
    asked_of,
    grade,
    judge,
    win_rate,
)
from pipeline.evaluate.results import Pairwise
from pipeline.evaluate.statistics.intervals import Floats, interval, resampling
from pipeline.pairs.agreement import calibrate
from pipeline.pairs.kinds.brief import brief_in_words
from pipeline.pairs.teachers.teacher import Teacher
from pipeline.settings import Settings
from schemas.documents import Chunks
from schemas.evaluation import Answers
from schemas.pairs import Examples, ScreenedPairs, SettledPairs


def judge_arms(
    store: Store,
    settings: Settings,
    teacher: Teacher,
    decisions: Sequence[Graded],
    test: Dataset,
    answers: Mapping[str, Dataset],
    sources: Mapping[str, str],
) -> Pairwise:
    """Calibrate the judge on people's decisions, grade arms, compare the challenger with each."""
    options = settings.judge
    asking = teacher, options.max_tokens, brief_in_words(settings.task)
    known = asked_of(store.read(test, Examples), sources)
    written = {arm: store.read(item, Answers).sort("pair_id") for arm, item in answers.items()}
    grades = grade(decisions, *asking)
    accepted = [bool(item.accepted) for item in decisions]
    correct = [mark == "correct" for mark in grades]
    calibration = calibrate(accepted, correct, options.min_decisions, options.min_kappa)
    if not test.rows:
        return Pairwise(options.model, calibration, {})
    marks = {arm: _marks(rows, known, *asking) for arm, rows in written.items()}
    mine, drawn = written["challenger"], resampling(settings.evaluate)
    clusters = mine["cluster_id"].to_list()
    rates = {
        arm: win_rate(
            judge(_comparisons(known, mine, rows), *asking),
            seed=options.seed,
            draws=options.bootstrap_draws,
            confidence=settings.evaluate.confidence,
        )
        for arm, rows in written.items()
        if arm != "challenger"
    }
    gains = {arm: interval(marks["challenger"] - marks[arm], clusters, **drawn) for arm in rates}
    means = {arm: interval(found, clusters, **drawn) for arm, found in marks.items()}
    return Pairwise(options.model, calibration, rates, means, gains)


def _marks(
    rows: pl.DataFrame, known: Mapping[str, Asked], teacher: Teacher, room: int, brief: str
) -> Floats:
    """Return what the grade of each answer is worth; one that cannot be read, half."""
    answers = rows.select("pair_id", "answer").iter_rows()
    marks = grade([Graded(known[pair], text) for pair, text in answers], teacher, room, brief)
    return np.array([0.5 if mark is None else GRADES[mark] for mark in marks])


def _comparisons(
    known: Mapping[str, Asked], mine: pl.DataFrame, theirs: pl.DataFrame
) -> list[Comparison]:
    other = dict(theirs.select("pair_id", "answer").iter_rows())
    return [
        Comparison(known[pair], text, other[pair], cluster)
        for pair, text, cluster in mine.select("pair_id", "answer", "cluster_id").iter_rows()
    ]


def people_decisions(home: Home, pairs: Dataset, most: int) -> list[Graded]:
    """Read what people decided about the pairs behind a training, half of it each where there is.

    An answer that a person wrote anew is right, and the one before it is not.
    """
    before = {item.dataset: item for item in ancestors(home, pairs)}
    if "settled_pairs" not in before or "screened_pairs" not in before:
        return []
    settled = home.dataset(str(before["settled_pairs"]))
    screened = home.dataset(str(before["screened_pairs"]))
    texts: dict[str, str] = {}
    if "chunks" in before:
        chunks = home.store.read(home.dataset(str(before["chunks"])), Chunks)
        texts = dict(chunks.select("chunk_id", "text").iter_rows())

    def graded(row: Mapping[str, Any], accepted: bool, answer: str = "response") -> Graded:
        question = "\n\n".join(part for part in (row["instruction"], row["input"]) if part)
        return Graded(Asked(question, "", texts.get(row["chunk_id"], "")), row[answer], accepted)

    passed = home.store.read(settled, SettledPairs)
    accepted = passed.filter(pl.col("status").is_in(["accepted", "edited"]))
    right = [graded(row, True) for row in accepted.to_dicts()]
    of_response = pl.col("original_response") != "", pl.col("original_instruction").is_null()
    edited = passed.filter(pl.col("status") == "edited", *of_response)
    wrong = [graded(row, False, "original_response") for row in edited.to_dicts()]
    gone = home.store.read_dropped(settled).filter(reason="rejected")["id"].to_list()
    rejected = home.store.read(screened, ScreenedPairs).filter(pl.col("pair_id").is_in(gone))
    wrong += [graded(row, False) for row in rejected.to_dicts()]
    drawn = []
    for part, other in ((right, wrong), (wrong, right)):
        lot = sorted(part, key=lambda item: short_id("judge", item.asked.question, item.answer))
        drawn += lot[: max(most // 2, most - len(other))]
    return drawn
