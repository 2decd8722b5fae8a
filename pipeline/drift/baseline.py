"""The reference that is stored with a model: how its training data looked."""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.outcome import Drop, Outcome, drops
from pipeline.core.stage import Stage
from pipeline.drift.evidence import Spread
from pipeline.drift.features import FEATURES, features
from pipeline.drift.sampling import sample_losses
from schemas.drift import KINDS, DriftFeatures


def baseline(
    texts: pl.DataFrame,
    count_tokens: Callable[[str], int],
    losses: Mapping[str, float | None] | None = None,
) -> Outcome[DriftFeatures]:
    """Make the reference of a later drift check out of the training snapshot.

    Args:
        texts: ``id`` (unique), ``kind``, ``category`` and ``text`` of training documents and
            pairs, rows in any order; see :mod:`pipeline.drift.features`.
        count_tokens: length of a text by the tokenizer of the base model.
        losses: nats a token under the trained model of those texts that were sampled, by id.

    Returns:
        The features sorted by id. A text of white space only says nothing about the data and is
        dropped as ``empty_text``.
    """
    written = pl.col("text").str.strip_chars().str.len_chars()
    kept = texts.filter(written > 0)
    dropped = texts.filter(written.fill_null(0) == 0)
    measured = features(kept, count_tokens, losses)
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
    """Return the quantiles of each feature, by kind of text and feature: ``document tokens``.

    A feature that no text of the kind has is left out.
    """
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
    """Make the reference of a model: the features of its training data, and its losses on some.

    Args:
        texts: as for :func:`baseline`.
        count_tokens: as for :func:`baseline`.
        model: loads the model and its tokenizer.
        seed: of the sample whose losses are measured, as large for documents as for pairs: a
            drift check compares like with like.
    """
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
