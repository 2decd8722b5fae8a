"""Whether a gain belongs to the recipe or to one lucky training: seeds and documents together.

An adapter trained on one seed may be promoted, since it is the adapter that is served. Of the
recipe (data, method, settings) a gain is claimed only when two seeds or more agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from pipeline.evaluate.statistics.intervals import Interval

MIN_SEEDS = 2


@dataclass(frozen=True, slots=True)
class Claim:
    """The difference in loss of a recipe over its seeds; negative is a gain."""

    difference: Interval
    """Nats a token; the ends are infinite with one seed or one cluster."""
    by_seed: Mapping[int, float]
    clusters: int
    claimed: bool
    """Two seeds or more, all with a gain, and an interval below 0."""

    def __str__(self) -> str:
        seeds = len(self.by_seed)
        if seeds < MIN_SEEDS:
            (value,) = self.by_seed.values()
            side = "better" if value < 0 else "not better"
            return f"measured on one seed: this adapter is {side}; not claimed of the recipe"
        span = f"[{self.difference.low:+.3f}, {self.difference.high:+.3f}] nats a token"
        if self.claimed:
            return f"a gain of the recipe is claimed: {seeds} seeds agree, difference {span}"
        return f"no gain of the recipe is claimed: {seeds} seeds, difference {span}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "difference": self.difference.to_dict(),
            "by_seed": {str(seed): value for seed, value in self.by_seed.items()},
            "clusters": self.clusters,
            "claimed": self.claimed,
            "text": str(self),
        }


def claim(
    differences: Mapping[int, ArrayLike],
    clusters: Sequence[str],
    weights: ArrayLike,
    confidence: float = 0.95,
) -> Claim:
    """Judge a recipe by all its seeds on all documents.

    Two sources of chance are added: that of the documents, by the variance of the seeds' mean
    over clusters (a ratio of sums, linearised), and that of the seeds, ``s^2 / S`` of their
    means. The t quantile has the degrees of freedom of Satterthwaite (1946), so that two seeds
    that differ give the wide interval they deserve. A bootstrap over two seeds would halve their
    variance.

    Args:
        differences: for each training seed, challenger minus base in nats a token, one a row.
        clusters: the cluster of each row.
        weights: tokens of each row.
        confidence: of the interval.

    Raises:
        ValueError: no seed, no row, or unequal lengths.
    """
    table = np.array([np.asarray(row, dtype=np.float64) for row in differences.values()])
    weight = np.asarray(weights, dtype=np.float64)
    if table.ndim != 2 or not table.shape[1] == len(clusters) == len(weight) > 0:
        raise ValueError(
            f"claim: {table.shape} differences, {len(clusters)} clusters, {weight.shape} weights; "
            "expected (seeds, rows) with one cluster and weight a row"
        )
    means = table @ weight / weight.sum()
    value, seeds = float(means.mean()), len(means)
    by_seed = {seed: float(mean) for seed, mean in zip(differences, means, strict=True)}
    _, index = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    size = int(index.max()) + 1
    if seeds < MIN_SEEDS or size < 2:
        return Claim(Interval(value, -inf, inf), by_seed, size, False)
    residuals = np.bincount(index, weight * (table.mean(axis=0) - value))
    of_documents = size / (size - 1) * float((residuals**2).sum()) / float(weight.sum()) ** 2
    of_seeds = float(means.var(ddof=1)) / seeds
    half = _quantile(of_documents, size - 1, of_seeds, seeds - 1, confidence) * sqrt(
        of_documents + of_seeds
    )
    interval = Interval(value, value - half, value + half)
    return Claim(interval, by_seed, size, bool((means < 0).all() and interval.high < 0))


def _quantile(first: float, n: int, second: float, m: int, confidence: float) -> float:
    """Return the t quantile of a sum of two variances with n and m degrees of freedom."""
    total = first + second
    freedom = total**2 / (first**2 / n + second**2 / m) if total > 0 else n
    return float(-stdtrit(freedom, (1 - confidence) / 2))
