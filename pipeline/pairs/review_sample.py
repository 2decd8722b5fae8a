"""Which pairs people see: a random sample, what the screens doubt, and gold items among them.

A sample is a seeded systematic sample: within each stratum the pairs are ranked by a hash, and
the pair of rank r among m gets the key (r + u) / m, u being a hash of the stratum in [0, 1). The
smallest keys come first. Each key is uniform over [0, 1), so every pair has the same chance, each
stratum is represented in proportion to its size, and new documents only displace pairs at the end
of the sample.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.outcome import table
from pipeline.pairs.assignment import places
from pipeline.pairs.harvest import pair_row
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
    reviewed: Collection[str],
    settings: ReviewSettings,
    targeted: Collection[str] = frozenset(),
) -> DataFrame[ScreenedPairs]:
    """Choose the pairs that people should see next, in the order in which to show them.

    Every unreviewed pair of the test split, then as many of train and validation as are missing
    from ``sample_size``. Gold pairs are never sampled, a person wrote them; targeted ones were
    queued for what they are (drifted), and are no part of a random sample.
    """
    ordered = review_order(pairs, settings.seed)
    test = [row for row in ordered if row["split"] == "test" and row["pair_id"] not in reviewed]
    rest = [row for row in ordered if row["split"] != "test" and row["pair_id"] not in targeted]
    open_rest = [row for row in rest if row["pair_id"] not in reviewed]
    missing = settings.sample_size - (len(rest) - len(open_rest))
    return table(ScreenedPairs, test + open_rest[: max(0, missing)])


def review_order(pairs: DataFrame[ScreenedPairs], seed: int) -> list[Row]:
    """Return the pairs without gold by their systematic key (see the head of the module)."""
    rows = pairs.filter(~pl.col("origin").is_in(["gold", "traffic"])).iter_rows(named=True)
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

    pairs: DataFrame[ScreenedPairs]  # in the order in which to ask: a systematic sample by reason
    reasons: dict[str, str]  # reason by `pair_id`


def flagged_pairs(
    candidates: DataFrame[Pairs], dropped: DataFrame[Drops], splits: DataFrame[Splits], seed: int
) -> Flagged:
    """Return what screens dropped: people say how often they are right, and take pairs back.

    Of the ledger of the screening, what one pair lost against another is left out.
    """
    find = places(splits)
    doubted = dropped.filter(pl.col("reason").is_in(list(DOUBTS)))
    reasons = dict(doubted.select("id", "reason").iter_rows())
    rows = []
    for row in candidates.filter(pl.col("pair_id").is_in(list(reasons))).iter_rows(named=True):
        own = {"split": "train", "cluster_id": row["pair_id"]}
        where = find(row["doc_id"], row["chunk_id"]) if row["doc_id"] else own
        if where is not None:
            rows.append(row | {name: where[name] for name in own})
    ordered = _systematic(rows, lambda row: (reasons[row["pair_id"]],), seed)
    ids = [row["pair_id"] for row in ordered]
    return Flagged(table(ScreenedPairs, ordered), {pair_id: reasons[pair_id] for pair_id in ids})


class GoldItem(NamedTuple):
    """A pair whose verdict is known, asked under an id of its own: its answers teach nothing."""

    pair_id: str
    source: str  # the pair or gold row that it shows
    expected: str  # `keep` or `reject`
    makers: tuple[str, ...]  # who decided on the source: their answers do not count


def gold_items(
    agreed: Mapping[str, Sequence[Row]],
    pairs: DataFrame[ScreenedPairs],
    gold: DataFrame[GoldRows],
    seed: int,
) -> list[tuple[GoldItem, Row]]:
    """Return all items whose verdict is known, in a seeded order, with the row that is shown.

    Of pairs, as the teacher wrote them, these are those on which people ``agreed`` (decisions of
    at least two by pair, all accept or all reject). Every other gold row gets the answer of
    another document's row, and is to be rejected.
    """

    def item(row: Row, source: str, keep: bool, *makers: str) -> tuple[GoldItem, Row]:
        pair_id = short_id(str(seed), "gold item", source)
        expected = "keep" if keep else "reject"
        return GoldItem(pair_id, source, expected, makers), row | {"pair_id": pair_id}

    items: list[tuple[GoldItem, Row]] = []
    for row in pairs.filter(pl.col("pair_id").is_in(list(agreed))).iter_rows(named=True):
        votes = agreed[row["pair_id"]]
        makers = sorted(vote["reviewer"] for vote in votes)
        items.append(item(row, row["pair_id"], votes[0]["verdict"] == "accept", *makers))
    rows = gold.sort("pair_id").to_dicts()
    for number, row in enumerate(rows):
        around = rows[number:] + rows[:number]
        other = next((each for each in around if each["doc_id"] != row["doc_id"]), None)
        is_wrong = bool(other) and _uniform(str(seed), "wrong", row["pair_id"]) < 0.5
        answer = (other if other and is_wrong else row)["answer"]
        shown = pair_row("gold", row["question"], answer, row["input"], row["doc_id"])
        shown |= {"chunk_id": row["chunk_id"], "split": "test", "cluster_id": ""}
        items.append(item(shown, row["pair_id"], not is_wrong))
    return sorted(items, key=lambda entry: entry[0].pair_id)
