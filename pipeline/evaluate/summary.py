"""What the answers of all arms say: each metric with its interval, and paired differences."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.errors import InputError
from pipeline.evaluate.statistics.intervals import (
    Interval,
    Resampling,
    interval,
    minimum_detectable_effect,
)
from pipeline.evaluate.test_set.slices import Labels, Slice, compare_slices
from pipeline.settings import EvaluateSettings
from schemas.evaluation import ARMS, Answers


class Metric(NamedTuple):
    """The column in Answers that a metric is the mean of, and what its rows weigh."""

    column: str
    weight: str | None = None


METRICS = {
    "loss": Metric("loss", "response_tokens"),
    "bits_per_byte": Metric("bits_per_byte", "response_bytes"),
    "token_f1": Metric("token_f1"),
    "rouge_l": Metric("rouge_l"),
    "chrf": Metric("chrf"),
    "exact_match": Metric("exact_match"),
    "grounded": Metric("grounded"),
    "refusal_right": Metric("refusal_right"),
    "refusal_wrong": Metric("refusal_wrong"),
    "stop_rate": Metric("stopped"),
    "repetition": Metric("repetition"),
    "length_ratio": Metric("length_ratio"),
    "retrieval_hit": Metric("found_document"),
}
"""Loss is in nats a token and lower is better, as it is for bits_per_byte, refusal_wrong and
repetition; a length_ratio of 1 is right; the rest is 0..1 and higher is better."""

CORRECT = 0.5
"""Token F1 from which an answer counts as right for the calibration."""

Intervals = Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All arms on one frozen test set.

    A metric that is defined for no row of an arm is not among its intervals. Differences are
    challenger minus the other arm, on the rows where both are defined, by metric: a better
    challenger has a negative difference of ``loss``.
    """

    test_rows: int
    test_clusters: int
    """Independent units: clusters of documents, or of sections, that the test rows come from."""
    arms: Mapping[str, Intervals]
    challenger_minus: Mapping[str, Intervals]
    """By the other arm, for each one that was run beside the challenger."""
    mde: Mapping[str, float]
    """Smallest difference from base that this test set finds with 80 % power, by metric."""
    best: str = ""
    """The arm of the lowest loss; the first of equals."""
    best_minus: Mapping[str, Interval] = field(default_factory=dict)
    """Loss of the best arm minus that of each other arm that has one, nats a token."""
    calibration: Mapping[str, float] = field(default_factory=dict)
    """AUROC of the mean log-probability of an answer against its being right (token F1 of 0.5 or
    more), by arm: 0.5 says nothing, 1.0 tells right from wrong. An arm whose answers are all
    right or all wrong has none."""
    slices: Mapping[str, tuple[Slice, ...]] = field(default_factory=dict)
    """Challenger against base, and against the champion, by kind of row."""
    unit: str = "documents"
    """What the clusters are: ``documents`` or ``sections``."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; an end or effect that cannot be given is None."""
        return {
            "test_rows": self.test_rows,
            "test_clusters": self.test_clusters,
            "unit": self.unit,
            "arms": {arm: _plain(metrics) for arm, metrics in self.arms.items()},
            "challenger_minus": {
                arm: _plain(metrics) for arm, metrics in self.challenger_minus.items()
            },
            "minimum_detectable_effect": {
                metric: value if isfinite(value) else None for metric, value in self.mde.items()
            },
            "best": self.best,
            "best_minus": _plain(self.best_minus),
            "calibration": dict(self.calibration),
            "slices": {
                arm: [item.to_dict() for item in slices] for arm, slices in self.slices.items()
            },
        }


def summarise(
    answers: DataFrame[Answers],
    settings: EvaluateSettings,
    labels: Labels | None = None,
    unit: str = "documents",
) -> Evaluation:
    """Compare the arms on the rows they all answered.

    Loss is the mean over tokens: rows are weighted by ``response_tokens``. All intervals resample
    the same clusters with the same seed, so that metrics and arms are comparable.

    Args:
        answers: rows of all arms in any order, each arm with the same pairs. No rows at all give
            an evaluation of 0 rows, which the gate refuses.
        settings: draws, confidence and seed of the bootstrap.
        labels: of every row by dimension, from :func:`.test_set.slices.label_rows`; None
            compares no slices.
        unit: what the clusters are, in the plural.

    Returns:
        The evaluation; arms in the order of :data:`schemas.evaluation.ARMS`.

    Raises:
        InputError: an arm lacks pairs that another has, has a pair twice, or counted other
            tokens in the same response.
    """
    arms = {arm: rows for arm in ARMS if (rows := answers.filter(arm=arm).sort("pair_id")).height}
    _check_same_rows(arms)
    first = next(iter(arms.values()), answers)
    options = Resampling(
        seed=settings.seed, draws=settings.bootstrap_draws, confidence=settings.confidence
    )
    others = [arm for arm in arms if arm != "challenger" and "challenger" in arms]
    scored = [arm for arm in arms if arms[arm]["loss"].null_count() == 0]
    scores = {arm: _means(rows, None, options) for arm, rows in arms.items()}
    best = min(scored, key=lambda arm: scores[arm]["loss"].value, default="")
    return Evaluation(
        test_rows=first.height,
        test_clusters=first["cluster_id"].n_unique(),
        arms=scores,
        challenger_minus={arm: _means(arms["challenger"], arms[arm], options) for arm in others},
        mde=_detectable(arms["challenger"], arms["base"], settings) if "base" in others else {},
        best=best,
        best_minus={
            arm: _means(arms[best], arms[arm], options)["loss"] for arm in scored if arm != best
        },
        calibration={
            arm: area for arm, rows in arms.items() if (area := _calibration(rows)) is not None
        },
        slices={
            arm: compare_slices(arms["challenger"], arms[arm], labels, options)
            for arm in ("base", "champion")
            if labels and arm in others
        },
        unit=unit,
    )


def _means(rows: pl.DataFrame, other: pl.DataFrame | None, options: Resampling) -> Intervals:
    """Return each metric's mean, or mean difference to another arm, over rows that have it."""
    found = {}
    for name, metric in METRICS.items():
        values = rows[metric.column] - (0.0 if other is None else other[metric.column])
        there = rows.filter(values.is_not_null())
        if there.height:
            found[name] = interval(
                values.drop_nulls().to_numpy(),
                there["cluster_id"].to_list(),
                weights=there[metric.weight].to_numpy() if metric.weight else None,
                **options,
            )
    return found


def _detectable(
    rows: pl.DataFrame, other: pl.DataFrame, settings: EvaluateSettings
) -> dict[str, float]:
    found = {}
    for name, metric in METRICS.items():
        values = rows[metric.column] - other[metric.column]
        there = rows.filter(values.is_not_null())
        if there.height:
            found[name] = minimum_detectable_effect(
                values.drop_nulls().to_numpy(),
                there["cluster_id"].to_list(),
                weights=there[metric.weight].to_numpy() if metric.weight else None,
                confidence=settings.confidence,
            )
    return found


def _calibration(rows: pl.DataFrame) -> float | None:
    """Return the area under the curve: how often a right answer was surer than a wrong one."""
    right = rows.filter(pl.col("token_f1") >= CORRECT)["log_prob"].to_numpy()
    wrong = rows.filter(pl.col("token_f1") < CORRECT)["log_prob"].to_numpy()
    if not (len(right) and len(wrong)):
        return None
    above = np.sign(right[:, None] - wrong[None, :])  # 1 surer, 0 as sure, -1 less sure
    return float((above.mean() + 1) / 2)


def _check_same_rows(arms: Mapping[str, pl.DataFrame]) -> None:
    """Raise unless all arms have the same pairs once, with the same response lengths."""
    keys = ["pair_id", "response_tokens"]
    expected_arm, expected = next(iter(arms.items()), ("", None))
    for arm, rows in arms.items():
        assert expected is not None
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


def _plain(metrics: Intervals) -> dict[str, dict[str, float | None]]:
    return {metric: value.to_dict() for metric, value in metrics.items()}
