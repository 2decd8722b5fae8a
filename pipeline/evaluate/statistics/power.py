"""What a test set can show: the smallest effect, the error a look may spend, a recipe's gain.

Ten looks at 2.5 % each would let a challenger no better win with 22 %. Of the allowed error look
``k`` gets ``6 / (pi k)^2``: a Bonferroni bound over a series that sums to one, as in Foster and
Stine 2008, "alpha-investing", without its returns.
"""

from collections.abc import Collection, Mapping, Sequence
from math import inf, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike
from pandera.typing.polars import DataFrame
from scipy.special import stdtrit

from pipeline.evaluate.results import Claim, Foresight, Interval, Looks
from pipeline.evaluate.statistics.intervals import minimum_detectable_effect
from schemas.evaluation import Answers

CORRELATION = 0.5  # of two models' correctness, assumed: rows hard for one are hard for the other
LITTLE = 0.1  # share of the error left from which fresh test rows are due: after the sixth look
MIN_SEEDS = 2  # that a gain of the recipe is claimed by
SAME = 0.5  # share of the test rows that an earlier look had, from which it was of this test set


def foresee(
    base: DataFrame[Answers],
    few_shot: DataFrame[Answers] | None,
    confidence: float,
    unit: str = "documents",
) -> Foresight:
    """Foresee the minimum detectable effect of a comparison with the base model.

    Few-shot minus base stands in for challenger minus base: another change of the same model.
    Without few-shot answers two models' correctness is taken to correlate by :data:`CORRELATION`:
    their difference then has ``sqrt(2 (1 - r))`` of the spread of one.
    """
    rows = base.sort("pair_id")
    clusters = rows["cluster_id"].to_list()
    if few_shot is not None:
        spread = few_shot.sort("pair_id")["correct"] - rows["correct"]
        scale, basis = 1.0, "by the spread of few-shot minus base"
    else:
        spread, scale = rows["correct"], sqrt(2 * (1 - CORRELATION))
        basis = f"by the spread of the base model, two models correlating at {CORRELATION}"
    count, effect = len(set(clusters)), None
    if count > 1:
        least = minimum_detectable_effect(spread.to_numpy(), clusters, confidence=confidence)
        effect = scale * least
    return Foresight(effect, rows.height, count, basis, unit)


def looks(number: int, confidence: float, ways: int = 1) -> Looks:
    """Return what a look, from 1, may spend; ``ways``: arms of the challenger looked at."""
    share = 6 / (pi * number) ** 2
    left = 1 - sum(6 / (pi * look) ** 2 for look in range(1, number + 1))
    return Looks(number, 1 - (1 - confidence) * share / ways, left, left < LITTLE)


def earlier(
    rows: Sequence[Mapping[str, object]], test_set: str, pairs: Collection[str], model: str
) -> int:
    """Return how many other models the journal has before this one on these test rows."""
    asked = set(pairs)
    models: list[object] = []
    for row in rows:
        seen = row.get("pairs")
        known = len(asked.intersection(seen)) if isinstance(seen, list) else 0
        same = row.get("test_set") == test_set or (known and known >= SAME * len(asked))
        if same and row.get("model") not in models:
            models.append(row.get("model"))
    return models.index(model) if model in models else len(models)


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
    over two seeds would halve their variance. ValueError: no seed, no row, or unequal lengths.
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
