"""What decisions tell of the pairs and of the screens: shares, each with its interval."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from pandera.typing.polars import DataFrame

from pipeline.pairs.review import DEFECTS, settle
from pipeline.pairs.review_sample import Flagged, review_order
from pipeline.settings import ReviewSettings
from schemas.pairs import Reviews, ScreenedPairs

DECIDED = ("accepted", "edited", *DEFECTS)


class Share(NamedTuple):
    """A share of decided pairs with its 95 % interval (Wilson 1927)."""

    name: str
    hits: int
    of: int
    share: float | None
    low: float | None
    high: float | None


class Quality(NamedTuple):
    """What people think of the pairs and of the screens."""

    audit: list[Share]
    """Pairs of the random sample by what became of them: unbiased, unlike all decisions."""
    screens: list[Share]
    """Precision of each screen: the share of what it dropped that people would not accept."""
    recall: float | None
    """Of the screens that judge a pair alone: the share of unacceptable pairs that they dropped."""


def quality(
    pairs: DataFrame[ScreenedPairs],
    flagged: Flagged,
    reviews: DataFrame[Reviews],
    settings: ReviewSettings,
    targeted: Collection[str] = frozenset(),
) -> Quality:
    """Return what the decisions that count tell of the pairs that passed, and of flagged ones.

    ``targeted`` pairs were queued for what they are, and are no part of the random sample.
    """
    settled = settle(pairs, reviews, settings, targeted, flagged.pairs)
    kinds = dict(settled.kept.select("pair_id", "status").iter_rows())
    kinds |= dict(settled.dropped.select("id", "reason").iter_rows())
    kinds = {pair_id: kind for pair_id, kind in kinds.items() if kind in DECIDED}
    sampled = [
        kinds[row["pair_id"]]
        for row in review_order(pairs, settings.seed)
        if row["split"] != "test" and row["pair_id"] in kinds.keys() - targeted
    ]
    audit = [share(kind, sampled.count(kind), len(sampled)) for kind in DECIDED]
    screens = _by_screen(flagged.reasons, kinds)
    bad = sum(row.share or 0 for row in audit[1:]) * pairs.height
    caught = (screens[0].share or 0) * len(flagged.reasons)
    is_known = bool(sampled) and screens[0].of and bad + caught
    return Quality(audit, screens, caught / (bad + caught) if is_known else None)


def _by_screen(reasons: Mapping[str, str], kinds: Mapping[str, Any]) -> list[Share]:
    """Return the precision of all screens, then of each."""
    found: dict[str, list[bool]] = {"all": []}
    for pair_id, reason in sorted(reasons.items(), key=lambda item: item[1]):
        if pair_id in kinds:
            is_bad = kinds[pair_id] != "accepted"
            found["all"].append(is_bad)
            found.setdefault(reason, []).append(is_bad)
    return [share(name, sum(bad), len(bad)) for name, bad in found.items()]


def share(name: str, hits: int, of: int) -> Share:
    """Return a share; without a decision it is unknown."""
    if not of:
        return Share(name, hits, of, None, None, None)
    from scipy.stats import binomtest

    interval = binomtest(hits, of).proportion_ci(method="wilson")
    return Share(name, hits, of, hits / of, float(interval.low), float(interval.high))
