"""Agreement of reviewers beyond chance on nominal verdicts, with intervals over the items.

``raw`` is the mean share of agreeing pairs of people on an item, ``kappa`` Cohen's (1960), of
several people the mean over their pairs weighted by common items (Light 1971), ``alpha``
Krippendorff's (2011), ``ac1`` Gwet's (2008), which stays apart from 0 where nearly all verdicts are
the same. Intervals: percentile bootstrap over items (Efron and Tibshirani 1993).
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pandera.typing.polars import DataFrame

from pipeline.core.record import record
from schemas.pairs import VERDICTS, Reviews

Ratings = NDArray[np.float64]  # a row a person, a column an item; a code of the category, or NaN
RESAMPLES = 500
SCALE = [verdict for verdict in VERDICTS if verdict != "skip"]


class Agreement(NamedTuple):
    """One measure with its 95 % interval; None where it is not defined."""

    measure: str
    items: int
    value: float | None
    low: float | None
    high: float | None


@record
class Calibration:
    """Agreement of a judge with people on the same pairs of answers."""

    decisions: int
    agreement: float  # share of decisions in which both name the same winner; 0 without decisions
    kappa: float  # Cohen's kappa: agreement beyond chance
    calibrated: bool
    text: str


def ratings_of(reviews: DataFrame[Reviews], people: int = 2) -> Ratings:
    """Return the first verdicts, of so many people, on each item with two or more."""
    votes = reviews.filter(pl.col("verdict") != "skip").sort("decided_at", "reviewer")
    votes = votes.group_by("pair_id", maintain_order=True).head(people)
    votes = votes.filter(pl.len().over("pair_id") > 1).sort("pair_id", "reviewer")
    names, items = (votes[name].unique().sort().to_list() for name in ("reviewer", "pair_id"))
    ratings = np.full((len(names), len(items)), np.nan)
    for name, item, verdict in votes.select("reviewer", "pair_id", "verdict").iter_rows():
        ratings[names.index(name), items.index(item)] = SCALE.index(verdict)
    return ratings


def agreement(ratings: Ratings, categories: int = len(SCALE), seed: int = 7) -> list[Agreement]:
    """Return every measure with its interval; each column of codes has two or more."""
    items = ratings.shape[1]
    draw = np.random.default_rng(seed)
    drawn = [draw.integers(items, size=items) for _ in range(RESAMPLES)] if items else []
    measured = []
    for name, measure in MEASURES.items():
        value = measure(ratings, categories) if items else np.nan
        values = np.array([measure(ratings[:, chosen], categories) for chosen in drawn])
        known = values[~np.isnan(values)]
        low, high = np.percentile(known, [2.5, 97.5]) if known.size else (np.nan, np.nan)
        numbers = (None if np.isnan(number) else float(number) for number in (value, low, high))
        measured.append(Agreement(name, items, *numbers))
    return measured


def raw(ratings: Ratings, categories: int) -> float:
    """Return the mean over items of the share of pairs of people that agree."""
    counts, people = _rated_twice(ratings, categories)
    return float(np.mean((counts * (counts - 1)).sum(axis=1) / (people * (people - 1))))


def kappa(ratings: Ratings, categories: int) -> float:
    """Return Cohen's kappa, the mean over pairs of people weighted by the items of both."""
    from sklearn.metrics import cohen_kappa_score

    total = weights = 0.0
    for first, second in combinations(ratings, 2):
        both = ~np.isnan(first) & ~np.isnan(second)
        if np.unique([first[both], second[both]]).size > 1:  # else it is not defined
            total += both.sum() * cohen_kappa_score(first[both], second[both])
            weights += both.sum()
    return total / weights if weights else np.nan


def alpha(ratings: Ratings, categories: int) -> float:
    """Return Krippendorff's alpha for nominal codes (his package is GPL, so it is not used)."""
    counts, people = _rated_twice(ratings, categories)
    totals = counts.sum(axis=0)
    unequal = people**2 - (counts**2).sum(axis=1)
    by_chance = totals.sum() ** 2 - (totals**2).sum()
    if not by_chance:
        return np.nan  # all are the same
    return float(1 - (totals.sum() - 1) * (unequal / (people - 1)).sum() / by_chance)


def ac1(ratings: Ratings, categories: int) -> float:
    """Return Gwet's AC1 (Br. J. Math. Stat. Psychol. 61, 2008)."""
    counts = _counts(ratings, categories)
    shares = (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0)
    by_chance = float((shares * (1 - shares)).sum() / (categories - 1))
    return (raw(ratings, categories) - by_chance) / (1 - by_chance)


def calibrate(
    people: Sequence[bool], judged: Sequence[bool], least: int, min_kappa: float, verb: str = "gate"
) -> Calibration:
    """Compare a judge with people; from ``least`` and ``min_kappa`` on it counts, to ``verb``."""
    count = len(people)
    if count < least:
        text = f"not calibrated: {count} decisions of people, needed {least}"
        return Calibration(count, 0.0, 0.0, False, f"{text}; shown, does not {verb}")
    agree = sum(one == other for one, other in zip(people, judged, strict=True)) / count
    found = kappa(np.array([people, judged], dtype=np.float64), 2)
    value = 0.0 if np.isnan(found) else found
    text = f"calibrated: kappa {value:.2f} on {count} decisions of people, needed {min_kappa:g}"
    text = text if value >= min_kappa else f"not {text}; shown, does not {verb}"
    return Calibration(count, agree, value, value >= min_kappa, text)


MEASURES = {"raw": raw, "kappa": kappa, "alpha": alpha, "ac1": ac1}


def _rated_twice(ratings: Ratings, categories: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the counts of the items that two people or more decided on, and how many did."""
    counts = _counts(ratings, categories)
    people = counts.sum(axis=1)
    return counts[people > 1], people[people > 1]


def _counts(ratings: Ratings, categories: int) -> NDArray[np.int64]:
    """Return how many people chose each category, a row an item."""
    return np.stack([(ratings == code).sum(axis=0) for code in range(categories)], axis=1)
