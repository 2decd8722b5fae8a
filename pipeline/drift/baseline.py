"""The reference that is stored with a model: how its training data looked."""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.outcome import Drop, Outcome, drops
from pipeline.core.stage import Stage
from pipeline.drift.evidence import Spread
from pipeline.drift.features import FEATURES, features, sample_losses
from schemas.drift import KINDS, DriftFeatures


def baseline(
    texts: pl.DataFrame,
    count_tokens: Callable[[str], int],
    losses: Mapping[str, float | None] | None = None,
) -> Outcome[DriftFeatures]:
    """Make the reference of a later drift check; a text of white space only is ``empty_text``."""
    empty = pl.col("text").str.strip_chars().fill_null("") == ""
    dropped = texts.filter(empty)
    measured = features(texts.filter(~empty), count_tokens, losses)
    return Outcome(
        kept=measured,
        dropped=drops(Drop(key, "empty_text", "", 0.0, 1.0) for key in dropped["id"]),
        rows_in=texts.height,
        metrics={
            **{f"{kind}s": float(measured.filter(kind=kind).height) for kind in KINDS},
            "measured_losses": float(measured["loss"].count()),
        },
    )


def spreads(measured: DataFrame[DriftFeatures]) -> dict[str, Spread]:
    """Return the quantiles of each feature that some text has: ``document tokens`` and so on."""
    return {
        f"{kind} {name}": Spread.of(values.cast(pl.Float64).to_numpy())
        for kind in KINDS
        for name in FEATURES
        if (values := measured.filter(kind=kind)[name].drop_nulls()).len()
    }


def model_baseline(
    texts: pl.DataFrame,
    count_tokens: Callable[[str], int],
    model: Callable[[], tuple[Any, Any]],
    seed: int,
) -> Outcome[DriftFeatures]:
    """Make the reference of a model: the features of its training data, and losses on some."""
    return baseline(texts, count_tokens, sample_losses(texts, seed, model))


DRIFT = Stage(
    "drift baseline",
    model_baseline,
    DriftFeatures,
    dataset="drift_reference",
    version=2,
    holds_model=True,
    code=(
        "pipeline.drift.baseline",
        "pipeline.evaluate.retention.general",
        "pipeline.train.models.adapter",
    ),
)
