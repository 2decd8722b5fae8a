"""Intervals that respect where rows come from.

Questions about one document rise and fall together, so the bootstrap resamples documents: at an
intra-cluster correlation of 0.71 with 10 rows each, resampling rows rejects a true null in 43 % of
runs instead of 5 %. Two models are compared on the same rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import inf, sqrt
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from pipeline.evaluate.results import Interval
from pipeline.settings import EvaluateSettings

Floats = NDArray[np.float64]


class Resampling(TypedDict):
    """How the bootstrap draws: arguments of :func:`interval`."""

    seed: int
    draws: int
    confidence: float


def resampling(settings: EvaluateSettings) -> Resampling:
    """Return how section ``evaluate`` draws."""
    return Resampling(
        seed=settings.seed, draws=settings.bootstrap_draws, confidence=settings.confidence
    )


_CELLS = 4_000_000  # draws times clusters held at once: 32 MB, however large the test set is


def interval(
    values: ArrayLike,
    clusters: Sequence[str],
    *,
    seed: int,
    weights: ArrayLike | None = None,
    draws: int = 10_000,
    confidence: float = 0.95,
) -> Interval:
    """Return the (weighted) mean of row values with its clustered bootstrap interval.

    Whole clusters are drawn with replacement; each draw is ``sum(w x) / sum(w)`` over the rows
    of its clusters, with positive weights (tokens, for a loss a token). The ends are expanded
    percentiles, see :func:`expanded_tail`; infinite when there is one cluster only. ValueError: no
    rows, unequal lengths, or a value that is not finite.
    """
    numerators, denominators = _cluster_sums(values, clusters, weights)
    value = float(numerators.sum() / denominators.sum())
    size = len(numerators)
    if size < 2:
        return Interval(value, -inf, inf)
    tail = expanded_tail(size, (1 - confidence) / 2)
    low, high = np.quantile(
        cluster_bootstrap(numerators, denominators, draws, seed), [tail, 1 - tail]
    )
    return Interval(value, float(low), float(high))


def p_value(values: ArrayLike, clusters: Sequence[str], *, seed: int, draws: int = 10_000) -> float:
    """Return the level at which :func:`interval` of a mean just excludes 0; 1.0 of one cluster."""
    numerators, denominators = _cluster_sums(values, clusters, None)
    size = len(numerators)
    if size < 2:
        return 1.0
    drawn = cluster_bootstrap(numerators, denominators, draws, seed)
    below = (np.count_nonzero(drawn < 0) + np.count_nonzero(drawn == 0) / 2) / draws
    tail = max(min(below, 1 - below), 0.5 / draws)
    return float(min(1.0, 2 * stdtr(size - 1, ndtri(tail) * sqrt((size - 1) / size))))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values adjusted for being looked at together (Holm 1979), in the order given."""
    ordered = sorted(p_values, key=lambda name: (p_values[name], name))
    adjusted, least = {}, 0.0
    for place, name in enumerate(ordered):
        least = max(least, min(1.0, (len(ordered) - place) * p_values[name]))
        adjusted[name] = least
    return {name: adjusted[name] for name in p_values}


def intra_cluster_correlation(values: ArrayLike, clusters: Sequence[str]) -> float:
    """Return the share of variance between clusters, 0..1: one-way ANOVA (Donner 1986)."""
    rows, index, _ = _checked(values, clusters, None)
    sizes = np.bincount(index).astype(np.float64)
    size, count = len(sizes), len(rows)
    if size < 2 or count == size:
        return 0.0
    means = np.bincount(index, rows) / sizes
    between = float((sizes * (means - rows.mean()) ** 2).sum()) / (size - 1)
    within = float(((rows - means[index]) ** 2).sum()) / (count - size)
    typical = (count - float((sizes**2).sum()) / count) / (size - 1)
    total = between + (typical - 1) * within
    return min(1.0, max(0.0, (between - within) / total)) if total > 0 else 0.0


def minimum_detectable_effect(
    differences: ArrayLike,
    clusters: Sequence[str],
    *,
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
) -> float:
    """Return the smallest true mean difference that a test of this size finds with 80 % power.

    ``(t + t') sd / sqrt(n_eff)`` with ``n_eff = n / (1 + (m - 1) ICC)`` (Kish 1965), where m is the
    mean cluster size as a row sees it, ``sum(n_k^2) / n``, and the quantiles are those of t with a
    degree of freedom less than there are clusters. With weights the differences are linearised
    around the weighted mean first (ratio estimator). Infinite for a single cluster.
    """
    rows, index, weight = _checked(differences, clusters, weights)
    count = len(rows)
    if index.max() == 0:
        return inf
    mean = float((rows * weight).sum() / weight.sum())
    linearised = mean + weight / weight.mean() * (rows - mean)
    seen = float((np.bincount(index) ** 2).sum()) / count
    inflation = 1 + (seen - 1) * intra_cluster_correlation(linearised, clusters)
    quantiles = stdtrit(int(index.max()), [1 - (1 - confidence) / 2, 0.8])
    return float(quantiles.sum()) * float(linearised.std(ddof=1)) * sqrt(inflation / count)


def _checked(
    values: ArrayLike, clusters: Sequence[str], weights: ArrayLike | None
) -> tuple[Floats, NDArray[np.intp], Floats]:
    rows = np.asarray(values, dtype=np.float64)
    weight = np.ones_like(rows) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (rows.ndim == 1 and len(rows) == len(clusters) == len(weight) > 0):
        raise ValueError(
            f"statistics: {rows.shape} values, {len(clusters)} clusters, {weight.shape} weights; "
            "expected one of each a row and at least one row"
        )
    if not (np.isfinite(rows).all() and (weight > 0).all()):
        raise ValueError("statistics: a value is not finite or a weight is not positive")
    _, index = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    return rows, index, weight


def _cluster_sums(
    values: ArrayLike, clusters: Sequence[str], weights: ArrayLike | None
) -> tuple[Floats, Floats]:
    rows, index, weight = _checked(values, clusters, weights)
    sums = np.bincount(index, rows * weight), np.bincount(index, weight)
    return sums[0].astype(np.float64), sums[1].astype(np.float64)


def expanded_tail(clusters: int, level: float) -> float:
    """Return the expanded percentile (Hesterberg 2015) of draws that bounds a mean one-sidedly."""
    return float(ndtr(sqrt(clusters / (clusters - 1)) * stdtrit(clusters - 1, level)))


def cluster_bootstrap(numerators: Floats, denominators: Floats, draws: int, seed: int) -> Floats:
    """Return the ratio of sums in each of ``draws`` resamples of the clusters."""
    size = len(numerators)
    generator, block = np.random.default_rng(seed), max(1, _CELLS // size)
    blocks: Iterable[Floats] = (
        _drawn(generator, size, min(block, draws - start)) for start in range(0, draws, block)
    )
    if draws <= block:
        blocks = [resamples(size, draws, seed)]
    return np.concatenate([(drawn @ numerators) / (drawn @ denominators) for drawn in blocks])


@lru_cache(maxsize=4)
def resamples(size: int, draws: int, seed: int) -> Floats:
    """Return how often each cluster is in each resample, (draws, size); alike for all metrics."""
    return _drawn(np.random.default_rng(seed), size, draws)


def _drawn(generator: np.random.Generator, size: int, draws: int) -> Floats:
    return generator.multinomial(size, np.full(size, 1 / size), size=draws).astype(np.float64)
