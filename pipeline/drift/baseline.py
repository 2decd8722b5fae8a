"""The reference that is stored with a model: how its training data looked."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pandera.typing.polars import DataFrame

from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.drift.features import FEATURES, features, words
from schemas.drift import KINDS, DriftFeatures, Vocabulary

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

VOCABULARY_SIZE = 5_000
"""Words kept of each kind: beyond them a word of English text is rarer than 1 in 50,000."""

Summary = dict[str, dict[str, float | dict[str, float]]]


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
        The features sorted by id, with the table ``vocabulary`` beside them. A text of white
        space only says nothing about the data and is dropped as ``empty_text``.
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
        tables={"vocabulary": (Vocabulary, vocabulary(measured))},
    )


def vocabulary(
    measured: DataFrame[DriftFeatures], size: int = VOCABULARY_SIZE
) -> DataFrame[Vocabulary]:
    """Count the words of each kind of text.

    Returns:
        The ``size`` most frequent words of each kind, by kind, falling count, then word.
    """
    rows = []
    for kind in KINDS:
        counts: Counter[str] = Counter()
        spread: Counter[str] = Counter()
        for text in measured.filter(kind=kind)["text"].drop_nulls():
            found = words(text)
            counts.update(found)
            spread.update(set(found))
        total = counts.total()
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:size]
        rows += [
            {"kind": kind, "word": word, "count": n, "texts": spread[word], "share": n / total}
            for word, n in ranked
        ]
    return table(Vocabulary, rows)


def summary(measured: DataFrame[DriftFeatures]) -> dict[str, Summary]:
    """Describe each feature by kind of text.

    Returns:
        ``{kind: {feature: {count, mean, sd, quantiles: {"0.05": ...}}}}``; a feature that no
        text of the kind has is left out, and ``sd`` is 0 for a single value.
    """
    described: dict[str, Summary] = {}
    for kind in KINDS:
        rows = measured.filter(kind=kind)
        values = {name: rows[name].drop_nulls().cast(pl.Float64).to_numpy() for name in FEATURES}
        present = {name: column for name, column in values.items() if len(column)}
        if present:
            described[kind] = {name: _describe(column) for name, column in present.items()}
    return described


def _describe(column: NDArray[np.float64]) -> dict[str, float | dict[str, float]]:
    points = np.quantile(column, QUANTILES)
    return {
        "count": float(len(column)),
        "mean": float(column.mean()),
        "sd": float(column.std(ddof=1)) if len(column) > 1 else 0.0,
        "quantiles": {str(at): float(point) for at, point in zip(QUANTILES, points, strict=True)},
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
    from pipeline.drift.model_signal import row_losses, sample

    measured = pl.concat([sample(texts.filter(kind=kind), seed) for kind in KINDS])
    losses = row_losses(*model(), measured["text"].to_list())
    return baseline(texts, count_tokens, dict(zip(measured["id"], losses, strict=True)))


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
