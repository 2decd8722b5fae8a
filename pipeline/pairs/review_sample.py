"""Which pairs people see: a random sample, what the screens doubt, and gold items among them.

A sample is a seeded systematic sample: within each stratum the pairs are ranked by a hash, and
the pair of rank r among m gets the key (r + u) / m, u being a hash of the stratum in [0, 1). The
smallest keys come first. Each key is uniform over [0, 1), so every pair has the same chance, each
stratum is represented in proportion to its size, and new documents only displace pairs at the end
of the sample.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.outcome import table
from pipeline.pairs.harvest import pair_row
from pipeline.pairs.places import places
from pipeline.pairs.screen.rules import SCREEN_RULES
from pipeline.settings import ReviewSettings
from schemas.base import Drops
from schemas.pairs import GoldRows, Pairs, ScreenedPairs, Splits

Row = dict[str, Any]

DOUBTS = {
    reason: about
    for rule in SCREEN_RULES.values()
    if not rule.compares
    for reason, about in rule.reasons.items()
}
"""What a screen says of a pair by itself: a person who sees the pair alone can judge it too."""


def sample_for_review(
    pairs: DataFrame[ScreenedPairs],
    reviewed: AbstractSet[str],
    settings: ReviewSettings,
    targeted: AbstractSet[str] = frozenset(),
) -> DataFrame[ScreenedPairs]:
    """Choose the pairs that people should see next, in the order in which to show them.

    Args:
        pairs: screened pairs of all splits; gold pairs are never sampled, a person wrote them.
        reviewed: ids of the pairs that have a decision; they count towards the sample size.
        settings: ``sample_size`` and ``seed`` are used.
        targeted: ids that were queued for what they are (drifted); no part of a random sample.

    Returns:
        Every unreviewed pair of the test split, then as many of train and validation as are
        missing from ``sample_size``; the columns of ScreenedPairs.
    """
    ordered = review_order(pairs, settings.seed)
    waiting = [row for row in ordered if row["pair_id"] not in reviewed]
    test = [row for row in waiting if row["split"] == "test"]
    rest = [row for row in ordered if row["split"] != "test" and row["pair_id"] not in targeted]
    open_rest = [row for row in rest if row["pair_id"] not in reviewed]
    missing = settings.sample_size - (len(rest) - len(open_rest))
    return table(ScreenedPairs, test + open_rest[: max(0, missing)])


def review_order(pairs: DataFrame[ScreenedPairs], seed: int) -> list[Row]:
    """Return the pairs without gold by their systematic key (see the head of the module)."""
    apart = ("gold", "traffic")
    rows = (row for row in pairs.iter_rows(named=True) if row["origin"] not in apart)
    return _systematic(rows, lambda row: (row["split"], row["origin"], row["doc_id"]), seed)


def _systematic(
    rows: Iterable[Row], stratum_of: Callable[[Row], tuple[str, ...]], seed: int
) -> list[Row]:
    strata: dict[tuple[str, ...], list[tuple[str, Row]]] = {}
    for row in rows:
        mark = short_id(str(seed), row["pair_id"])
        strata.setdefault(stratum_of(row), []).append((mark, row))
    keyed = []
    for stratum, members in strata.items():
        offset = _uniform(str(seed), *stratum)
        for rank, (mark, row) in enumerate(sorted(members, key=lambda member: member[0])):
            keyed.append(((rank + offset) / len(members), mark, row))
    return [row for _, _, row in sorted(keyed, key=lambda entry: entry[:2])]


def _uniform(*parts: str) -> float:
    return int(short_id(*parts), 16) / 16**16


def is_overlap(pair_id: str, settings: ReviewSettings) -> bool:
    """Whether a pair is one of those that two people are asked about."""
    return _uniform(str(settings.seed), "overlap", pair_id) < settings.overlap


class Flagged(NamedTuple):
    """Pairs that a screen dropped by themselves, as people may see them."""

    pairs: DataFrame[ScreenedPairs]
    """In the order in which to ask: a systematic sample by reason."""
    reasons: dict[str, str]
    """Reason by ``pair_id``."""


def flagged_pairs(
    candidates: DataFrame[Pairs], dropped: DataFrame[Drops], splits: DataFrame[Splits], seed: int
) -> Flagged:
    """Return what screens dropped: people say how often they are right, and take pairs back.

    Args:
        candidates: what was screened.
        dropped: ledger of the screening; what one pair lost against another is left out.
        splits: split and cluster of each document or section.
        seed: of the order.
    """
    find = places(splits)
    reasons = {
        pair_id: reason
        for pair_id, reason in dropped.select("id", "reason").iter_rows()
        if reason in DOUBTS
    }
    rows = []
    for row in candidates.filter(pl.col("pair_id").is_in(list(reasons))).iter_rows(named=True):
        own = {"split": "train", "cluster_id": row["pair_id"]}
        where = find(row["doc_id"], row["chunk_id"]) if row["doc_id"] else own
        if where is not None:
            rows.append(row | {name: where[name] for name in own})
    ordered = _systematic(rows, lambda row: (reasons[row["pair_id"]],), seed)
    return Flagged(
        table(ScreenedPairs, ordered), {row["pair_id"]: reasons[row["pair_id"]] for row in ordered}
    )


class GoldItem(NamedTuple):
    """A pair whose verdict is known, asked under an id of its own: its answers teach nothing."""

    pair_id: str
    source: str
    """The pair or gold row that it shows."""
    expected: str
    """``keep`` or ``reject``."""
    makers: tuple[str, ...]
    """Who decided on the source: their answers do not count."""


def gold_items(
    agreed: Mapping[str, Sequence[Row]],
    pairs: DataFrame[ScreenedPairs],
    gold: DataFrame[GoldRows],
    seed: int,
) -> list[tuple[GoldItem, Row]]:
    """Return all items whose verdict is known, in a seeded order, with the row that is shown.

    Args:
        agreed: decisions of at least two people by pair, all accept or all reject.
        pairs: the screened pairs, as the teacher wrote them.
        gold: the user's own; every other one gets the answer of another document's row and is to
            be rejected.
        seed: of order and choice.
    """
    items: list[tuple[GoldItem, Row]] = []
    for row in pairs.filter(pl.col("pair_id").is_in(list(agreed))).iter_rows(named=True):
        votes = agreed[row["pair_id"]]
        expected = "keep" if votes[0]["verdict"] == "accept" else "reject"
        makers = tuple(sorted(vote["reviewer"] for vote in votes))
        items.append(_gold_item(row, row["pair_id"], expected, makers, seed))
    rows = gold.sort("pair_id").to_dicts()
    for number, row in enumerate(rows):
        others = [
            other for other in rows[number:] + rows[:number] if other["doc_id"] != row["doc_id"]
        ]
        is_wrong = bool(others) and _uniform(str(seed), "wrong", row["pair_id"]) < 0.5
        answer = others[0]["answer"] if is_wrong else row["answer"]
        shown = pair_row("gold", row["question"], answer, row["input"], row["doc_id"])
        shown |= {"chunk_id": row["chunk_id"], "split": "test", "cluster_id": ""}
        expected = "reject" if is_wrong else "keep"
        items.append(_gold_item(shown, row["pair_id"], expected, (), seed))
    return sorted(items, key=lambda entry: entry[0].pair_id)


def _gold_item(
    row: Row, source: str, expected: str, makers: tuple[str, ...], seed: int
) -> tuple[GoldItem, Row]:
    item = GoldItem(short_id(str(seed), "gold item", source), source, expected, makers)
    return item, row | {"pair_id": item.pair_id}
