"""Several trainings on the same held-out rows, each against the first, in nats a token."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np
import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.record import record
from pipeline.evaluate.results import Forgetting, Interval
from pipeline.evaluate.statistics.intervals import interval, resampling
from pipeline.settings import EvaluateSettings
from schemas.evaluation import HeldOutLosses


@dataclass(frozen=True, slots=True)
class Trained:
    """One training of one candidate, as measured."""

    seed: int
    losses: DataFrame[HeldOutLosses]
    forgetting: Forgetting | None  # None without a general set
    training: Mapping[str, Any]  # its parameters, steps, tokens a second, seconds, peak memory
    disk_bytes: int
    tokens_written: float | None = None  # tokens a second at batch 1; None when not timed
    tokens_written_merged: float | None = None  # merged into the base; None where that cannot be


@record
class Candidate:
    """What a candidate came to, over its seeds."""

    name: str
    seeds: tuple[int, ...]
    train_rows: int
    trainable_parameters: int
    steps: int  # of the longest training; early stopping may end one before the others
    validation_loss: Interval | None  # mean over the seeds, interval over documents
    test_loss: Interval | None
    test_loss_by_seed: tuple[float, ...]
    test_spread: float | None  # standard deviation over the seeds; None for one seed
    difference: Interval | None  # of test loss to the first one's; negative is better
    forgetting: float | None  # rise of the loss on the general set; mean over the seeds
    peak_memory_bytes: int
    seconds: float  # of a training, mean over the seeds
    tokens_per_second: float
    disk_bytes: int
    tokens_written: float | None
    tokens_written_merged: float | None


@record
class Comparison:
    """Several trainings, measured on the same held-out rows."""

    about: str  # what tells the candidates apart: ``method`` or ``data``
    candidates: tuple[Candidate, ...]
    missing: Mapping[str, str]  # why a candidate that was asked for is not there
    base_validation_loss: Interval | None
    base_test_loss: Interval | None
    validation_rows: int
    test_rows: int
    test_clusters: int
    unit: str = "documents"  # what the clusters are: documents or sections
    confidence: float = 0.95


def mean_loss(
    losses: Sequence[DataFrame[HeldOutLosses]],
    split: str,
    settings: EvaluateSettings,
    minus: Sequence[DataFrame[HeldOutLosses]] = (),
) -> Interval | None:
    """Return the mean loss a token of a split, over documents; None when it has no rows.

    A row counts by its mean over the trainings, or the difference to that of others (``minus``).
    """
    rows = losses[0].filter(split=split).sort("pair_id")
    if not rows.height:
        return None
    values = _row_losses(losses, split) - (_row_losses(minus, split) if minus else 0.0)
    clusters, tokens = rows["cluster_id"].to_list(), rows["tokens"].to_numpy()
    return interval(values, clusters, weights=tokens, **resampling(settings))


def candidate(
    name: str,
    runs: Sequence[Trained],
    first: Sequence[Trained],
    train_rows: int,
    settings: EvaluateSettings,
) -> Candidate:
    """Summarise the trainings of a candidate, rows by their mean, against those of the first."""
    losses, training = [run.losses for run in runs], [run.training for run in runs]
    tests = [rows for one in losses if (rows := one.filter(split="test")).height]
    by_seed = tuple(
        float(np.average(rows["loss"].to_numpy(), weights=rows["tokens"].to_numpy()))
        for rows in tests
    )
    others = [] if runs is first else [run.losses for run in first]
    return Candidate(
        name=name,
        seeds=tuple(run.seed for run in runs),
        train_rows=train_rows,
        trainable_parameters=training[0]["trainable_parameters"],
        steps=max(facts["steps"] for facts in training),
        validation_loss=mean_loss(losses, "validation", settings),
        test_loss=mean_loss(losses, "test", settings),
        test_loss_by_seed=by_seed,
        test_spread=stdev(by_seed) if len(by_seed) > 1 else None,
        difference=mean_loss(losses, "test", settings, others) if others else None,
        forgetting=_mean(run.forgetting.rise.value if run.forgetting else None for run in runs),
        peak_memory_bytes=max(facts["peak_memory_bytes"] for facts in training),
        seconds=fmean(facts["seconds"] for facts in training),
        tokens_per_second=fmean(facts["tokens_per_second"] for facts in training),
        disk_bytes=max(run.disk_bytes for run in runs),
        tokens_written=_mean(run.tokens_written for run in runs),
        tokens_written_merged=_mean(run.tokens_written_merged for run in runs),
    )


def _row_losses(losses: Sequence[pl.DataFrame], split: str) -> Any:
    return np.mean(
        [one.filter(split=split).sort("pair_id")["loss"].to_numpy() for one in losses], axis=0
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
