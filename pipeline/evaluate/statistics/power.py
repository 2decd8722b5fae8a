"""What a test set can show, said before the training: the minimum detectable effect, foreseen.

The variance of challenger minus base is not known before there is a challenger. Few-shot minus
base is the nearest thing that is: another change of the same model on the same rows.
"""

from dataclasses import asdict, dataclass
from math import isfinite, sqrt
from typing import Any

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.evaluate.statistics.intervals import minimum_detectable_effect
from pipeline.settings import EvaluateSettings
from schemas.evaluation import Answers

CORRELATION = 0.8
"""Of two models' losses on the same rows, an assumption for where no second arm was run: rows that
are hard for one are hard for the other. The less they correlate, the larger the true effect."""


@dataclass(frozen=True, slots=True)
class Foresight:
    """The smallest difference in loss that a test set would find with 80 % power."""

    effect: float
    """Nats a token; infinite for a single cluster."""
    rows: int
    clusters: int
    basis: str
    """Where the variance comes from."""
    unit: str = "documents"
    """What the clusters are: ``documents`` or ``sections``."""

    def __str__(self) -> str:
        rows = f"{self.rows:,} rows of {self.clusters:,} {self.unit}"
        if not isfinite(self.effect):
            return f"test set: {rows} cannot show any difference; expected two {self.unit} or more"
        return (
            f"test set: {rows} can show a difference of {self.effect:.3f} nats a token or more "
            f"({self.basis})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; an infinite effect is None."""
        return asdict(self) | {"effect": self.effect if isfinite(self.effect) else None}


def foresee(
    base: DataFrame[Answers],
    few_shot: DataFrame[Answers] | None,
    settings: EvaluateSettings,
    unit: str = "documents",
) -> Foresight:
    """Foresee the minimum detectable effect of a comparison with the base model.

    Args:
        base: the base model's answers.
        few_shot: its answers with examples in the prompt, to the same rows; None assumes a
            correlation of :data:`CORRELATION` between the losses of two models instead, under
            which their difference has ``sqrt(2 (1 - r))`` of the spread of one.
        settings: ``confidence``.
        unit: what the clusters are, in the plural.
    """
    rows = base.sort("pair_id")
    clusters = rows["cluster_id"].to_list()
    if few_shot is not None:
        spread = few_shot.sort("pair_id")["loss"] - rows["loss"]
        scale, basis = 1.0, "by the spread of few-shot minus base"
    else:
        spread, scale = rows["loss"], sqrt(2 * (1 - CORRELATION))
        basis = f"by the spread of the base model's loss, two models correlating at {CORRELATION}"
    effect = _effect(spread, clusters, rows["response_tokens"], settings) if rows.height else None
    found = float("inf") if effect is None else scale * effect
    return Foresight(found, rows.height, len(set(clusters)), basis, unit)


def _effect(
    spread: pl.Series, clusters: list[str], tokens: pl.Series, settings: EvaluateSettings
) -> float:
    return minimum_detectable_effect(
        spread.to_numpy(), clusters, weights=tokens.to_numpy(), confidence=settings.confidence
    )
