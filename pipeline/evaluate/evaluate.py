"""What the answers of all arms say: each metric with its interval, and paired differences."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.errors import InputError
from pipeline.evaluate.statistics import (
    Interval,
    Resampling,
    interval,
    minimum_detectable_effect,
    paired_difference,
)
from pipeline.settings import EvaluateSettings
from schemas.evaluation import ARMS, Answers

METRICS = {
    "loss": "loss",
    "rouge_l": "rouge_l",
    "token_f1": "token_f1",
    "exact_match": "exact_match",
    "stop_rate": "stopped",
}
"""Metric by its column in Answers. Loss is in nats a token (lower is better), the rest 0..1."""

Intervals = Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All arms on one frozen test set.

    Differences are challenger minus the other, on the same rows, by metric: a better challenger
    has a negative difference of ``loss`` and positive ones elsewhere. They are empty when the
    other arm was not run.
    """

    test_rows: int
    test_clusters: int
    """Independent units: clusters of documents that the test rows come from."""
    arms: Mapping[str, Intervals]
    challenger_minus_base: Intervals
    challenger_minus_few_shot: Intervals
    challenger_minus_champion: Intervals
    mde: Mapping[str, float]
    """Smallest difference from base that this test set finds with 80 % power, by metric."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; an end or effect that cannot be given is None."""
        return {
            "test_rows": self.test_rows,
            "test_clusters": self.test_clusters,
            "arms": {arm: _plain(metrics) for arm, metrics in self.arms.items()},
            "challenger_minus_base": _plain(self.challenger_minus_base),
            "challenger_minus_few_shot": _plain(self.challenger_minus_few_shot),
            "challenger_minus_champion": _plain(self.challenger_minus_champion),
            "minimum_detectable_effect": {
                metric: value if isfinite(value) else None for metric, value in self.mde.items()
            },
        }


def summarise(answers: DataFrame[Answers], settings: EvaluateSettings) -> Evaluation:
    """Compare the arms on the rows they all answered.

    Loss is the mean over tokens: rows are weighted by ``response_tokens``. All intervals resample
    the same clusters with the same seed, so that metrics and arms are comparable.

    Args:
        answers: rows of all arms in any order, each arm with the same pairs. No rows at all give
            an evaluation of 0 rows, which the gate refuses.
        settings: draws, confidence and seed of the bootstrap.

    Returns:
        The evaluation; arms in the order base, few_shot, champion, challenger.

    Raises:
        InputError: an arm lacks pairs that another has, has a pair twice, or counted other
            tokens in the same response.
    """
    arms = {arm: rows for arm in ARMS if (rows := answers.filter(arm=arm).sort("pair_id")).height}
    _check_same_rows(arms)
    first = next(iter(arms.values()), answers)
    clusters = first["cluster_id"].to_list()
    tokens = first["response_tokens"].to_numpy()
    options = Resampling(
        seed=settings.seed, draws=settings.bootstrap_draws, confidence=settings.confidence
    )

    def weights(metric: str) -> Any:
        return tokens if metric == "loss" else None

    def scores(rows: pl.DataFrame) -> dict[str, Interval]:
        return {
            metric: interval(rows[column].to_numpy(), clusters, weights=weights(metric), **options)
            for metric, column in METRICS.items()
        }

    def challenger_minus(arm: str) -> dict[str, Interval]:
        if arm not in arms or "challenger" not in arms:
            return {}
        mine, other = arms["challenger"], arms[arm]
        return {
            metric: paired_difference(
                mine[column].to_numpy(),
                other[column].to_numpy(),
                clusters,
                weights=weights(metric),
                **options,
            )
            for metric, column in METRICS.items()
        }

    def detectable() -> dict[str, float]:
        if "base" not in arms or "challenger" not in arms:
            return {}
        return {
            metric: minimum_detectable_effect(
                (arms["challenger"][column] - arms["base"][column]).to_numpy(),
                clusters,
                weights=weights(metric),
                confidence=settings.confidence,
            )
            for metric, column in METRICS.items()
        }

    return Evaluation(
        test_rows=first.height,
        test_clusters=len(set(clusters)),
        arms={arm: scores(rows) for arm, rows in arms.items()},
        challenger_minus_base=challenger_minus("base"),
        challenger_minus_few_shot=challenger_minus("few_shot"),
        challenger_minus_champion=challenger_minus("champion"),
        mde=detectable(),
    )


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
