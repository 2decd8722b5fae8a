"""The shelf of drift signals: evidence, policy, reasons and the report follow from an entry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import hypot
from typing import Any, Literal, cast

import numpy as np
import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.drift.evidence import Signal
from pipeline.drift.windows import Intake, Watched
from pipeline.evaluate.statistics.intervals import Floats, cluster_bootstrap, expanded_tail
from pipeline.settings import Settings
from schemas.drift import DriftFeatures
from schemas.pairs import Examples, Reviews

DRAWS = 4_000  # of the bootstrap: 40 of them lie beyond a bound of level 0.01
MIN_FRESH = 20  # freshly accepted pairs below which their loss says nothing about performance
MIN_REVIEWED = 20  # reviewed pairs, likewise


@dataclass(frozen=True, slots=True)
class Inputs:
    """What signals are measured on."""

    settings: Settings
    watched: Watched
    intake: Intake
    reviews: DataFrame[Reviews]
    judged: DataFrame[Examples]  # that the champion was trained and judged on
    examples: DataFrame[Examples]  # as training would see them now
    champion: Callable[[], tuple[Any, Any]]  # loads it and its tokenizer
    reference: DataFrame[DriftFeatures]
    window: DataFrame[DriftFeatures]  # both without rows until the windows are measured


@dataclass(frozen=True, slots=True)
class DriftSignal:
    """A signal on the shelf."""

    name: str
    title: str  # in the report's table
    reason: str  # in the sentence that gives it as a reason
    takes: Literal["intake", "champion", "window"]
    """``intake``: what was read and reviewed, no model; ``champion``: asks it, once a check;
    ``window``: the features of each window."""
    role: Literal["damage", "performance", "loss", "warning"]
    """What follows where it is worse. ``damage``: ingest is broken, nothing is trained;
    ``performance``: drift by itself; ``loss``: training helps; ``warning``: it is said."""
    measure: Callable[[Inputs], Signal | None]  # None where there is too little to compare
    share: bool = False  # a share of rows; else nats a token


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
        losses.append([loss for loss, _ in measured.values()])
        clusters.append([cluster_of[pair] for pair in measured])
    (known, fresh), margin, alpha = losses, settings.performance_margin, settings.alpha
    return loss_signal("performance", known, fresh, margin, alpha, settings.seed, clusters)


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
    before, after = decided.filter(~since), decided.filter(since)
    if min(before.height, after.height) < MIN_REVIEWED:
        return None
    known, fresh = ((side.filter(verdict="reject").height, side.height) for side in (before, after))
    margin, alpha = inputs.settings.review.max_error, inputs.settings.monitor.alpha
    return share_signal("rejected", known, fresh, margin, alpha)


def quarantined(inputs: Inputs) -> Signal | None:
    """Compare the share of newly read rows that ingest and cleaning dropped."""
    return _read_share("quarantined", inputs, inputs.watched.dropped, inputs.intake.dropped)


def duplicates(inputs: Inputs) -> Signal | None:
    """Compare the share of newly read documents that repeat another."""
    return _read_share("duplicates", inputs, inputs.watched.duplicates, inputs.intake.duplicates)


def _read_share(name: str, inputs: Inputs, before: frozenset[str], after: frozenset[str]) -> Signal:
    settings = inputs.settings.monitor
    known, fresh = (len(before), len(inputs.watched.seen)), (len(after), inputs.intake.read)
    return share_signal(name, known, fresh, settings.max_quarantined, settings.alpha)


_SIGNALS = (
    DriftSignal("performance", "Loss on newly accepted responses",
                "nats a token on freshly accepted pairs against the test set",
                "champion", "performance", performance),
    DriftSignal("loss", "Loss on new texts", "champion's nats a token on the new texts",
                "window", "loss", loss),
    DriftSignal("rejected", "Rejected in review", "share of reviewed pairs that were rejected",
                "intake", "warning", rejected, share=True),
    DriftSignal("quarantined", "Dropped while reading", "share of new rows that were dropped",
                "intake", "damage", quarantined, share=True),
    DriftSignal("duplicates", "Repeated documents", "share of new documents that repeat another",
                "intake", "damage", duplicates, share=True),
)  # fmt: skip
SIGNALS = {signal.name: signal for signal in _SIGNALS}  # by name, in the order of a report


def of_role(role: str) -> tuple[str, ...]:
    """Return the names of the signals of a role."""
    return tuple(signal.name for signal in SIGNALS.values() if signal.role == role)


def any_worse(signals: Mapping[str, Signal], role: str) -> bool:
    """Whether a signal of a role was measured and is worse; of ``damage``: ingest looks wrong."""
    return any(signals[name].worse for name in of_role(role) if name in signals)


def share_signal(
    name: str, reference: tuple[int, int], window: tuple[int, int], margin: float, alpha: float
) -> Signal:
    """Compare two shares, each (rows that count, all rows): is the window's higher by a margin?

    By Fisher's exact test, one-sided at level alpha, with Newcombe's interval of the difference.
    Without rows on a side the share is 0 and nothing is worse than it.
    """
    from scipy.stats import hypergeom  # a second of every command that shows signals

    (hits_before, rows_before), (hits_after, rows_after) = reference, window
    before, after = (hits / rows if rows else 0.0 for hits, rows in (reference, window))
    tested: dict[str, Any] = {"worse": False}
    if rows_before and rows_after:
        hits, rows = hits_before + hits_after, rows_before + rows_after
        p_value = float(hypergeom.sf(hits_after - 1, rows, hits, rows_after))
        low, high = _newcombe(reference, window, alpha)
        worse = p_value < alpha and after - before > margin
        tested = {"low": low, "high": high, "p_value": p_value, "worse": worse}
    return _signal(name, (before, after), (rows_before, rows_after), margin, tested)


def loss_signal(
    name: str,
    reference: Sequence[float],
    window: Sequence[float],
    margin: float,
    alpha: float,
    seed: int,
    groups: Sequence[Sequence[str]] | None = None,
) -> Signal:
    """Compare two mean losses (nats a token of each row) by a bootstrap of whole groups.

    Groups are the documents of the rows, of both sides; without them each row is one. A window is
    worse when the lower bound of the difference, at level alpha, is above the margin. With fewer
    than two groups on a side there are no bounds, and nothing is worse.
    """
    names = groups or [list(map(str, range(len(values)))) for values in (reference, window)]
    sides = [_sums(reference, names[0]), _sums(window, names[1])]
    means = [float(sums.sum() / counts.sum()) if len(sums) else 0.0 for sums, counts in sides]
    tested: dict[str, Any] = {"worse": False}
    smallest = min(len(sums) for sums, _ in sides)
    if smallest >= 2:
        # Seeds of their own: sides of equal size would share their resamples.
        before, after = (
            cluster_bootstrap(*side, DRAWS, seed + number) for number, side in enumerate(sides)
        )
        difference = after - before
        tail = expanded_tail(smallest, alpha)
        low, high = (float(end) for end in np.quantile(difference, [tail, 1 - tail]))
        p_value = (1 + int((difference <= 0).sum())) / (1 + DRAWS)
        tested = {"low": low, "high": high, "p_value": p_value, "worse": low > margin}
    return _signal(name, means, [int(counts.sum()) for _, counts in sides], margin, tested)


def _signal(
    name: str, means: Sequence[float], rows: Sequence[int], margin: float, tested: dict[str, Any]
) -> Signal:
    names = ("reference", "window", "rows_reference", "rows_window")
    sides: dict[str, Any] = dict(zip(names, (*means, *rows), strict=True))
    return Signal(name=name, threshold=margin, **sides, **tested)


def _newcombe(before: tuple[int, int], after: tuple[int, int], alpha: float) -> tuple[float, float]:
    """Return the interval of ``after - before`` out of Wilson's intervals of the two shares."""
    from scipy.stats import binomtest

    (share_a, low_a, high_a), (share_b, low_b, high_b) = (
        (hits / rows, *binomtest(hits, rows).proportion_ci(1 - 2 * alpha, method="wilson"))
        for hits, rows in (before, after)
    )
    difference = share_b - share_a
    return (
        difference - hypot(share_b - low_b, high_a - share_a),
        difference + hypot(high_b - share_b, share_a - low_a),
    )


def _sums(values: Sequence[float], groups: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the sum of losses and the number of rows of each group."""
    _, index = np.unique(groups, return_inverse=True)
    sums = np.bincount(index, values)
    return sums.astype(np.float64), np.bincount(index).astype(np.float64)
