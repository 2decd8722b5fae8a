"""Tests of single numbers of a window against the reference: shares of rows, and mean losses."""

from collections.abc import Sequence
from math import hypot

import numpy as np
from numpy.typing import NDArray

from pipeline.drift.evidence import Signal
from pipeline.evaluate.statistics.intervals import cluster_bootstrap, expanded_tail

DRAWS = 4_000
"""Of the bootstrap: 40 of them lie beyond a bound of level 0.01."""

Floats = NDArray[np.float64]


def share_signal(
    name: str,
    hits_reference: int,
    rows_reference: int,
    hits_window: int,
    rows_window: int,
    margin: float,
    alpha: float,
) -> Signal:
    """Compare two shares of rows: is the window's higher?

    Args:
        name: of the signal.
        hits_reference: rows of the reference that count.
        rows_reference: rows of the reference; 0 when there is none to compare with.
        hits_window: rows of the window that count.
        rows_window: rows of the window; 0 when nothing is new.
        margin: difference up to which a higher share does not matter.
        alpha: level of the test (Fisher's exact one, one-sided) and of the interval.

    Returns:
        The signal, with Newcombe's interval of the difference. Without rows on a side the share
        is 0 and nothing is worse than it.
    """
    from scipy.stats import hypergeom  # a second of every command that shows signals

    before = hits_reference / rows_reference if rows_reference else 0.0
    after = hits_window / rows_window if rows_window else 0.0
    worse, low, high, p_value = False, None, None, None
    if rows_reference and rows_window:
        hits, rows = hits_reference + hits_window, rows_reference + rows_window
        p_value = float(hypergeom.sf(hits_window - 1, rows, hits, rows_window))
        low, high = _newcombe((hits_reference, rows_reference), (hits_window, rows_window), alpha)
        worse = p_value < alpha and after - before > margin
    return Signal(
        name=name,
        reference=before,
        window=after,
        rows_reference=rows_reference,
        rows_window=rows_window,
        low=low,
        high=high,
        p_value=p_value,
        threshold=margin,
        worse=worse,
    )


def loss_signal(
    name: str,
    reference: Sequence[float | None],
    window: Sequence[float | None],
    margin: float,
    alpha: float,
    seed: int,
    groups_reference: Sequence[str] | None = None,
    groups_window: Sequence[str] | None = None,
) -> Signal:
    """Compare two mean losses by a bootstrap of whole groups.

    Args:
        name: of the signal.
        reference: nats a token of each row; None where it could not be measured.
        window: likewise.
        margin: nats by which the window must be higher at least.
        alpha: level of the lower bound.
        seed: of the bootstrap.
        groups_reference: cluster of each row (its document); rows alone when left out.
        groups_window: likewise.

    Returns:
        The signal: worse when the lower bound of the difference, at level alpha, is above the
        margin. With fewer than two groups on a side there are no bounds, and nothing is worse.
    """
    sides = [
        _sums(values, groups)
        for values, groups in ((reference, groups_reference), (window, groups_window))
    ]
    means = [float(sums.sum() / counts.sum()) if len(sums) else 0.0 for sums, counts in sides]
    worse, low, high, p_value = False, None, None, None
    if min(len(sums) for sums, _ in sides) >= 2:
        # Seeds of their own: sides of equal size would share their resamples.
        before, after = (
            cluster_bootstrap(*side, DRAWS, seed + number) for number, side in enumerate(sides)
        )
        difference = after - before
        tail = expanded_tail(min(len(sums) for sums, _ in sides), alpha)
        low, high = (float(end) for end in np.quantile(difference, [tail, 1 - tail]))
        p_value = (1 + int((difference <= 0).sum())) / (1 + DRAWS)
        worse = low > margin
    return Signal(
        name=name,
        reference=means[0],
        window=means[1],
        rows_reference=int(sides[0][1].sum()),
        rows_window=int(sides[1][1].sum()),
        low=low,
        high=high,
        p_value=p_value,
        threshold=margin,
        worse=worse,
    )


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


def _sums(values: Sequence[float | None], groups: Sequence[str] | None) -> tuple[Floats, Floats]:
    """Return the sum of losses and the number of rows of each group."""
    names = [str(row) for row in range(len(values))] if groups is None else groups
    known = [(name, value) for name, value in zip(names, values, strict=True) if value is not None]
    if not known:
        return np.zeros(0), np.zeros(0)
    _, index = np.unique([name for name, _ in known], return_inverse=True)
    sums = np.bincount(index, [value for _, value in known])
    return sums.astype(np.float64), np.bincount(index).astype(np.float64)
