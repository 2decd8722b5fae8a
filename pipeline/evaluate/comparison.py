"""Several trainings on the same held-out rows: each with its intervals, and against the first.

Losses are nats a token.
"""

from collections.abc import Mapping, Sequence
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
    forgetting: Forgetting | None
    """None without a general set."""
    training: Mapping[str, Any]
    """Facts of the training: trainable_parameters, steps, tokens_per_second, seconds,
    peak_memory_bytes."""
    disk_bytes: int
    tokens_written: float | None = None
    """Tokens a second of decoding at batch 1, as trained; None when not timed for this seed."""
    tokens_written_merged: float | None = None
    """The same, merged into the base; None when the method cannot be merged, too."""


@record
class Candidate:
    """What a candidate came to, over its seeds."""

    name: str
    seeds: tuple[int, ...]
    train_rows: int
    trainable_parameters: int
    steps: int
    """Of the longest training; early stopping may end one before the others."""
    validation_loss: Interval | None
    """Mean over the seeds, interval over documents; None without such rows."""
    test_loss: Interval | None
    test_loss_by_seed: tuple[float, ...]
    test_spread: float | None
    """Standard deviation over the seeds; None for one seed."""
    difference: Interval | None
    """Test loss minus the first candidate's, paired by row; negative is better. None for the
    first."""
    forgetting: float | None
    """Rise of the loss on the general set over the base model's; mean over the seeds."""
    peak_memory_bytes: int
    """Of the hungriest training."""
    seconds: float
    """Of a training, mean over the seeds."""
    tokens_per_second: float
    """In training steps, mean over the seeds."""
    disk_bytes: int
    tokens_written: float | None
    """Tokens a second of decoding at batch 1, as trained."""
    tokens_written_merged: float | None
    """The same, merged into the base; None when the method cannot be merged."""


@record
class Comparison:
    """Several trainings, measured on the same held-out rows."""

    about: str
    """What tells the candidates apart: ``method`` or ``data``."""
    candidates: tuple[Candidate, ...]
    missing: Mapping[str, str]
    """Why a candidate that was asked for is not there."""
    base_validation_loss: Interval | None
    base_test_loss: Interval | None
    validation_rows: int
    test_rows: int
    test_clusters: int
    unit: str = "documents"
    """What the clusters are: documents or sections."""
    confidence: float = 0.95


def compare_candidates(
    trained: Mapping[str, Sequence[Trained]],
    train_rows: Mapping[str, int],
    settings: EvaluateSettings,
) -> tuple[Candidate, ...]:
    """Summarise the trainings of each candidate; the first is what the others are held against.

    The loss of a row is its mean over the seeds, so that the difference between two candidates is
    not that between two lucky seeds; the interval is over documents and says nothing about other
    seeds, which the spread does.
    """
    first = next(iter(trained.values()))
    return tuple(
        _candidate(name, runs, first, train_rows[name], settings) for name, runs in trained.items()
    )


def mean_loss(
    losses: Sequence[DataFrame[HeldOutLosses]], split: str, settings: EvaluateSettings
) -> Interval | None:
    """Return the mean loss a token of a split with its interval over documents; None when empty."""
    rows = losses[0].filter(split=split).sort("pair_id")
    if not rows.height:
        return None
    return interval(
        _row_losses(losses, split),
        rows["cluster_id"].to_list(),
        weights=rows["tokens"].to_numpy(),
        **resampling(settings),
    )


def _candidate(
    name: str,
    runs: Sequence[Trained],
    first: Sequence[Trained],
    train_rows: int,
    settings: EvaluateSettings,
) -> Candidate:
    losses = [run.losses for run in runs]
    test = losses[0].filter(split="test").sort("pair_id")
    by_seed = tuple(_weighted(one.filter(split="test")) for one in losses) if test.height else ()
    difference = None
    if runs is not first and test.height:
        difference = interval(
            _row_losses(losses, "test") - _row_losses([run.losses for run in first], "test"),
            test["cluster_id"].to_list(),
            weights=test["tokens"].to_numpy(),
            **resampling(settings),
        )
    rises = [run.forgetting.rise.value for run in runs if run.forgetting is not None]
    written = [each for run in runs if (each := run.tokens_written) is not None]
    merged = [each for run in runs if (each := run.tokens_written_merged) is not None]
    return Candidate(
        name=name,
        seeds=tuple(run.seed for run in runs),
        train_rows=train_rows,
        trainable_parameters=runs[0].training["trainable_parameters"],
        steps=max(run.training["steps"] for run in runs),
        validation_loss=mean_loss(losses, "validation", settings),
        test_loss=mean_loss(losses, "test", settings),
        test_loss_by_seed=by_seed,
        test_spread=stdev(by_seed) if len(by_seed) > 1 else None,
        difference=difference,
        forgetting=fmean(rises) if rises else None,
        peak_memory_bytes=max(run.training["peak_memory_bytes"] for run in runs),
        seconds=fmean(run.training["seconds"] for run in runs),
        tokens_per_second=fmean(run.training["tokens_per_second"] for run in runs),
        disk_bytes=max(run.disk_bytes for run in runs),
        tokens_written=fmean(written) if written else None,
        tokens_written_merged=fmean(merged) if merged else None,
    )


def _row_losses(losses: Sequence[pl.DataFrame], split: str) -> Any:
    """Return the loss of each row of a split, sorted by pair_id, as the mean over the seeds."""
    return np.mean(
        [one.filter(split=split).sort("pair_id")["loss"].to_numpy() for one in losses], axis=0
    )


def _weighted(rows: pl.DataFrame) -> float:
    return float(np.average(rows["loss"].to_numpy(), weights=rows["tokens"].to_numpy()))
