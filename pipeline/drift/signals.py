"""The shelf of drift signals: single numbers that are held against the reference.

A signal is added with a function and an entry in :data:`SIGNALS`. Evidence, policy, reasons and
the report follow from the entry.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.drift.evidence import Signal
from pipeline.drift.signal_tests import loss_signal, share_signal
from pipeline.drift.windows import Intake, Watched
from pipeline.settings import Settings
from schemas.drift import DriftFeatures
from schemas.pairs import Examples, Reviews

MIN_FRESH = 20
"""Freshly accepted pairs below which their loss says nothing about performance."""
MIN_REVIEWED = 20
"""Reviewed pairs, likewise."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What signals are measured on."""

    settings: Settings
    watched: Watched
    intake: Intake
    reviews: DataFrame[Reviews]
    judged: DataFrame[Examples]
    """Examples that the champion was trained and judged on."""
    examples: DataFrame[Examples]
    """Examples as training would see them now."""
    champion: Callable[[], tuple[Any, Any]]
    """Loads the champion and its tokenizer."""
    reference: DataFrame[DriftFeatures]
    window: DataFrame[DriftFeatures]
    """Both without rows until the windows are measured."""


@dataclass(frozen=True, slots=True)
class DriftSignal:
    """A signal on the shelf."""

    name: str
    title: str
    """In the report's table."""
    reason: str
    """In the sentence that gives it as a reason."""
    takes: Literal["intake", "champion", "window"]
    """``intake``: what was read and reviewed, no model; ``champion``: asks it, once a check;
    ``window``: the features of each window."""
    role: Literal["damage", "performance", "loss", "warning"]
    """What follows where it is worse. ``damage``: ingest is broken, nothing is trained;
    ``performance``: drift by itself; ``loss``: training helps; ``warning``: it is said."""
    measure: Callable[[Inputs], Signal | None]
    """None where there is too little to compare."""
    share: bool = False
    """A share of rows; else nats a token."""


def performance(inputs: Inputs) -> Signal | None:
    """Compare the champion's loss on freshly accepted responses with that on its test set."""
    from pipeline.evaluate.answers.answers import response_losses

    accepted = inputs.examples.filter(
        pl.col("status").is_in(["accepted", "edited"])
        & ~pl.col("pair_id").is_in(inputs.judged["pair_id"].to_list())
    )
    test = inputs.judged.filter(split="test")
    if accepted.height < MIN_FRESH or not test.height:
        return None
    settings = inputs.settings.monitor
    losses, clusters = [], []
    for rows in (test, accepted):
        examples = cast("DataFrame[Examples]", rows)
        measured = response_losses(examples, *inputs.champion(), inputs.settings.evaluate)
        cluster_of = dict(rows.select("pair_id", "cluster_id").iter_rows())
        losses.append(list(measured.values()))
        clusters.append([cluster_of[pair] for pair in measured])
    margin, alpha = settings.performance_margin, settings.alpha
    return loss_signal(
        "performance", losses[0], losses[1], margin, alpha, settings.seed, clusters[0], clusters[1]
    )


def loss(inputs: Inputs) -> Signal | None:
    """Compare losses on texts of one kind: documents when they were measured on both sides."""
    settings = inputs.settings.monitor
    for kind in ("document", "pair"):
        before, after = (
            side.filter(kind=kind)["loss"].drop_nulls().to_list()
            for side in (inputs.reference, inputs.window)
        )
        if min(len(before), len(after)) >= settings.min_window // 2:
            margin, alpha = settings.loss_margin, settings.alpha
            return loss_signal(f"loss on {kind}s", before, after, margin, alpha, settings.seed)
    return None


def rejected(inputs: Inputs) -> Signal | None:
    """Compare the share of rejected reviews since the champion was promoted with that before."""
    decided = inputs.reviews.filter(pl.col("verdict") != "skip")
    since = pl.col("decided_at") > inputs.watched.promoted_at
    sides = (decided.filter(~since), decided.filter(since))
    if min(side.height for side in sides) < MIN_REVIEWED:
        return None
    (before, rows_before), (after, rows_after) = (
        (side.filter(verdict="reject").height, side.height) for side in sides
    )
    margin, alpha = inputs.settings.review.max_error, inputs.settings.monitor.alpha
    return share_signal("rejected", before, rows_before, after, rows_after, margin, alpha)


def quarantined(inputs: Inputs) -> Signal | None:
    """Compare the share of newly read rows that ingest and cleaning dropped."""
    return _read_share("quarantined", inputs, inputs.watched.dropped, inputs.intake.dropped)


def duplicates(inputs: Inputs) -> Signal | None:
    """Compare the share of newly read documents that repeat another."""
    return _read_share("duplicates", inputs, inputs.watched.duplicates, inputs.intake.duplicates)


def _read_share(name: str, inputs: Inputs, before: frozenset[str], after: frozenset[str]) -> Signal:
    settings, read = inputs.settings.monitor, inputs.intake.read
    margin, alpha = settings.max_quarantined, settings.alpha
    return share_signal(
        name, len(before), len(inputs.watched.seen), len(after), read, margin, alpha
    )


_SIGNALS = (
    DriftSignal(
        "performance",
        "Loss on newly accepted responses",
        "nats a token on freshly accepted pairs against the test set",
        "champion",
        "performance",
        performance,
    ),
    DriftSignal(
        "loss",
        "Loss on new texts",
        "champion's nats a token on the new texts",
        "window",
        "loss",
        loss,
    ),
    DriftSignal(
        "rejected",
        "Rejected in review",
        "share of reviewed pairs that were rejected",
        "intake",
        "warning",
        rejected,
        share=True,
    ),
    DriftSignal(
        "quarantined",
        "Dropped while reading",
        "share of new rows that were dropped",
        "intake",
        "damage",
        quarantined,
        share=True,
    ),
    DriftSignal(
        "duplicates",
        "Repeated documents",
        "share of new documents that repeat another",
        "intake",
        "damage",
        duplicates,
        share=True,
    ),
)
SIGNALS = {signal.name: signal for signal in _SIGNALS}
"""By name, in the order of a report."""


def of_role(role: str) -> tuple[str, ...]:
    """Return the names of the signals of a role."""
    return tuple(signal.name for signal in SIGNALS.values() if signal.role == role)


def any_worse(signals: Mapping[str, Signal], role: str) -> bool:
    """Whether a signal of a role was measured and is worse; of ``damage``: ingest looks wrong."""
    return any(signals[name].worse for name in of_role(role) if name in signals)
