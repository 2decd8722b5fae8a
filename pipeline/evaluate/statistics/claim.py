"""Whether a gain belongs to the recipe or to one lucky training: seeds and documents together.

An adapter of one seed may be promoted; of the recipe a gain is claimed when two or more agree.
"""

from collections.abc import Mapping, Sequence
from math import inf, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from pipeline.evaluate.results import Claim, Interval

MIN_SEEDS = 2


def claim(
    differences: Mapping[int, ArrayLike],
    clusters: Sequence[str],
    weights: ArrayLike,
    confidence: float = 0.95,
) -> Claim:
    """Judge a recipe by the differences (challenger minus base, nats a token a row) of its seeds.

    Two sources of chance are added: that of the documents, by the variance of the seeds' mean over
    clusters (a ratio of sums, weighted by tokens, linearised), and that of the seeds, ``s^2 / S``
    of their means. The t quantile has the degrees of freedom of Satterthwaite (1946). A bootstrap
    over two seeds would halve their variance.

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
        return _claim(Interval(value, -inf, inf), by_seed, size, False)
    residuals = np.bincount(index, weight * (table.mean(axis=0) - value))
    of_documents = size / (size - 1) * float((residuals**2).sum()) / float(weight.sum()) ** 2
    of_seeds = float(means.var(ddof=1)) / seeds
    total, freedom = of_documents + of_seeds, float(size - 1)
    if total > 0:
        freedom = total**2 / (of_documents**2 / (size - 1) + of_seeds**2 / (seeds - 1))
    half = -float(stdtrit(freedom, (1 - confidence) / 2)) * sqrt(total)
    interval = Interval(value, value - half, value + half)
    return _claim(interval, by_seed, size, bool((means < 0).all() and interval.high < 0))


def _claim(difference: Interval, by_seed: dict[int, float], clusters: int, claimed: bool) -> Claim:
    seeds, span = len(by_seed), f"[{difference.low:+.3f}, {difference.high:+.3f}] nats a token"
    if seeds < MIN_SEEDS:
        side = "better" if difference.value < 0 else "not better"
        text = f"measured on one seed: this adapter is {side}; not claimed of the recipe"
    elif claimed:
        text = f"a gain of the recipe is claimed: {seeds} seeds agree, difference {span}"
    else:
        text = f"no gain of the recipe is claimed: {seeds} seeds, difference {span}"
    return Claim(difference, by_seed, clusters, claimed, text)
