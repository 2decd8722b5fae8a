"""What the answers of all arms say: each metric with its interval, and paired differences."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite

import polars as pl

from pipeline.core.errors import InputError
from pipeline.evaluate.measures.correctness import RIGHT
from pipeline.evaluate.measures.metrics import METRICS, Metric
from pipeline.evaluate.results import Evaluation, Interval, Intervals, Looks
from pipeline.evaluate.statistics.intervals import (
    Floats,
    Resampling,
    interval,
    minimum_detectable_effect,
    resampling,
)
from pipeline.evaluate.statistics.power import looks as first_look
from pipeline.evaluate.test_set import Labels, compare_slices
from pipeline.settings import EvaluateSettings
from schemas.evaluation import ARMS

CHALLENGER = ("challenger", "challenger_retrieval")  # alone, and with passages


def summarise(
    answers: pl.DataFrame,
    settings: EvaluateSettings,
    labels: Labels | None = None,
    unit: str = "documents",
    looks: Looks | None = None,
) -> Evaluation:
    """Compare the arms on the rows they all answered.

    Loss is the mean over tokens. All intervals resample the same clusters with the same seed.
    Columns with a colon in their name are metrics of the user's own. ``labels`` of every row go by
    dimension; without them no slices are compared. ``looks`` says which model this is that the test
    set is used for: without it the first. InputError: an arm lacks pairs that another has, has a
    pair twice, or counted other tokens in the same response.
    """
    arms = {arm: rows for arm in ARMS if (rows := answers.filter(arm=arm).sort("pair_id")).height}
    if arms:
        _check_same_rows(arms)
    first = next(iter(arms.values()), answers)
    options = resampling(settings)
    scores = {arm: _means(rows, None, options) for arm, rows in arms.items()}
    ways = [arm for arm in CHALLENGER if arm in arms]
    looks = looks or first_look(1, settings.confidence, max(1, len(ways)))
    measured = [arm for arm in arms if arm != "placebo" and "correct" in scores[arm]]
    served = served_arm(answers)
    others = [arm for arm in arms if arm != served and served in arms]
    best = _best(measured, scores)
    return Evaluation(
        test_rows=first.height,
        test_clusters=first["cluster_id"].n_unique(),
        arms=scores,
        served=served,
        challenger_minus={arm: _means(arms[served], arms[arm], options) for arm in others},
        gains={
            arm: _gain(arms[served], arms[arm], options | {"confidence": looks.confidence})
            for arm in others
            if arm in measured or arm == "placebo"
        },
        minimum_detectable_effect=(
            _detectable(arms[served], arms["base"], looks.confidence) if "base" in others else {}
        ),
        best=best,
        best_minus={arm: _gain(arms[best], arms[arm], options) for arm in measured if arm != best},
        calibration={
            arm: area for arm, rows in arms.items() if (area := _calibration(rows)) is not None
        },
        slices={
            arm: compare_slices(arms[served], arms[arm], labels, options)
            for arm in ("base", "champion")
            if labels and arm in others
        },
        unit=unit,
        looks=looks,
        confidence=settings.confidence,
    )


def served_arm(answers: pl.DataFrame) -> str:
    """Return the arm that is served: the challenger in the way in which it is more often right."""
    right = answers.filter(pl.col("arm").is_in(CHALLENGER)).group_by("arm").agg(pl.mean("correct"))
    means = {arm: round(mean or 0.0, 9) for arm, mean in right.iter_rows()}
    return max(CHALLENGER, key=lambda arm: means.get(arm, -1.0))


def _best(arms: Sequence[str], scores: Mapping[str, Intervals]) -> str:
    """Return the first arm of the highest correctness, '' of none."""
    right = {arm: scores[arm]["correct"].value for arm in arms if "correct" in scores[arm]}
    return max(right, key=lambda arm: right[arm], default="")


def _gain(rows: pl.DataFrame, other: pl.DataFrame, options: Resampling) -> Interval:
    difference = (rows["correct"] - other["correct"]).to_numpy()
    return interval(difference, rows["cluster_id"].to_list(), **options)


def _means(rows: pl.DataFrame, other: pl.DataFrame | None, options: Resampling) -> Intervals:
    """Return each metric's mean, or mean difference to another arm, over rows that have it."""
    return {
        name: interval(values, clusters, weights=weights, **options)
        for name, values, clusters, weights in _columns(rows, other)
    }


def _detectable(
    rows: pl.DataFrame, other: pl.DataFrame, confidence: float
) -> dict[str, float | None]:
    effects = {
        name: minimum_detectable_effect(values, clusters, weights=weights, confidence=confidence)
        for name, values, clusters, weights in _columns(rows, other)
    }
    return {name: effect if isfinite(effect) else None for name, effect in effects.items()}


def _columns(
    rows: pl.DataFrame, other: pl.DataFrame | None
) -> Iterator[tuple[str, Floats, list[str], Floats | None]]:
    """Yield name, values, clusters and weights of each metric, on the rows that have it."""
    own = {name: Metric(name, name, "") for name in rows.columns if ":" in name}
    for name, metric in (METRICS | own).items():
        column = metric.column or name
        values = rows[column] - (0.0 if other is None else other[column])
        there = rows.filter(values.is_not_null())
        if there.height:
            weights = there[metric.weight].to_numpy() if metric.weight else None
            yield name, values.drop_nulls().to_numpy(), there["cluster_id"].to_list(), weights


def _calibration(rows: pl.DataFrame) -> float | None:
    """Return the area under the ROC curve: how often a right answer was surer than a wrong one.

    By ranks, as Mann and Whitney's U: scikit-learn's own is a second of every command.
    """
    right = (rows["correct"].drop_nulls() >= RIGHT).to_numpy()
    count = int(right.sum())
    if rows["log_prob"].null_count() or right.all() or not count:
        return None
    ranks = rows["log_prob"].rank().to_numpy()[right]
    return float((ranks.sum() - count * (count + 1) / 2) / (count * (len(right) - count)))


def _check_same_rows(arms: Mapping[str, pl.DataFrame]) -> None:
    keys = ["pair_id", "response_tokens"]
    expected_arm, expected = next(iter(arms.items()))
    for arm, rows in arms.items():
        if rows["pair_id"].is_duplicated().any():
            twice = rows.filter(pl.col("pair_id").is_duplicated())["pair_id"][0]
            raise InputError(
                f"answers of {arm}: pair {twice} found twice; expected once; evaluate again"
            )
        if not rows.select(keys).equals(expected.select(keys)):
            raise InputError(
                f"answers of {arm}: {rows.height} rows found that are not the "
                f"{expected.height} rows of {expected_arm}; expected the same pairs and response "
                "tokens in each arm; evaluate again with one test set and one tokenizer"
            )
