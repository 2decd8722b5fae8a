"""Which pairs people see: a random sample, what the screens doubt, and gold items among them.

The sample is a seeded systematic one: within each stratum the pairs are ranked by a hash, and rank
r among m gets the key (r + u) / m, u being a hash of the stratum in [0, 1). The smallest keys come
first: all pairs have the same chance, each stratum its share, and new documents displace the last.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.errors import InputError
from pipeline.core.home import Home, ancestors
from pipeline.core.outcome import table
from pipeline.core.store import Dataset
from pipeline.pairs.assignment import places
from pipeline.pairs.harvest import pair_row
from pipeline.pairs.screen.rules import SCREEN_RULES
from pipeline.settings import ReviewSettings
from pipeline.text.bm25 import bm25
from pipeline.text.words import words
from schemas.base import Drops, Table
from schemas.pairs import GoldRows, Pairs, ScreenedPairs, Splits

Row = dict[str, Any]
DOUBTS = {
    reason: about
    for rule in SCREEN_RULES.values()
    if not rule.compares
    for reason, about in rule.reasons.items()
}
"""What a screen says of a pair by itself: a person who sees the pair alone can judge it too."""
LIKE = 0.25  # of the score that a pair has with itself: about a third of its rarer words


def sample_for_review(
    pairs: DataFrame[ScreenedPairs],
    reviewed: Collection[str],
    settings: ReviewSettings,
    targeted: Collection[str] = frozenset(),
) -> DataFrame[ScreenedPairs]:
    """Choose the pairs to see next: those of the test split, then a random sample of the others."""
    ordered = review_order(pairs, settings.seed)
    test = [row for row in ordered if row["split"] == "test" and row["pair_id"] not in reviewed]
    # Targeted ones (drifted, say) are no part of a random sample.
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
    """Return the pairs that a screen dropped by themselves: people say how often it is right."""
    find = places(splits)
    doubted = dropped.filter(pl.col("reason").is_in(list(DOUBTS)))
    reasons = dict(doubted.select("id", "reason").iter_rows())
    rows = []
    for row in candidates.filter(pl.col("pair_id").is_in(list(reasons))).iter_rows(named=True):
        own = {"split": "train", "cluster_id": row["pair_id"]}
        if place := find(row["doc_id"], row["chunk_id"]) if row["doc_id"] else own:
            rows.append(row | place)
    ordered = _systematic(rows, lambda row: (reasons[row["pair_id"]],), seed)
    known = {row["pair_id"]: reasons[row["pair_id"]] for row in ordered}
    return Flagged(table(ScreenedPairs, ordered), known)


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

    They are pairs on which two people or more ``agreed`` (their decisions by pair: accept, or
    reject), and gold rows: about half of these get the answer of another document's row.
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


class Material(NamedTuple):
    """Pairs that may be queued, and gold rows that gold items are made of."""

    pairs: DataFrame[ScreenedPairs]
    flagged: Flagged
    gold: DataFrame[GoldRows]

    @classmethod
    def of(cls, folder: Path, screened: Dataset, seed: int) -> "Material":
        """Read the screened pairs, and from what is behind them candidates and gold rows."""
        home = Home.at(folder)
        before = {item.dataset: str(item) for item in ancestors(home, screened)}

        def read(schema: type[Table], name: str) -> Any:
            if name not in before:
                return table(schema, [])
            return home.store.read(home.dataset(before[name]), schema)

        candidates, splits = read(Pairs, "candidate_pairs"), read(Splits, "splits")
        flagged = flagged_pairs(candidates, home.store.read_dropped(screened), splits, seed)
        pairs = home.store.read(screened, ScreenedPairs).select(ScreenedPairs.columns())
        gold = read(GoldRows, "gold_rows")
        return cls(cast("DataFrame[ScreenedPairs]", pairs), flagged, gold)


def similar_pairs(pairs: pl.DataFrame, pair_id: str, count: int) -> pl.DataFrame:
    """Return a pair and the ``count`` most like it by BM25, with ``similarity``: 1 is itself."""
    ids = pairs["pair_id"].to_list()
    if pair_id not in ids:
        raise InputError(
            f"review like: no pair {pair_id!r} found; expected one of the {len(ids)} screened "
            "pairs; `tuneloop show screened_pairs` prints their ids"
        )
    texts = pairs.select(pl.concat_str("instruction", "input", "response", separator=" "))
    documents = [words(text) for text in texts.to_series()]
    scores = bm25(documents, k1=1.2)(documents[ids.index(pair_id)])
    own = scores[ids.index(pair_id)]
    is_own = pl.col("pair_id") == pair_id
    ranked = pairs.with_columns(similarity=pl.Series(scores / own) if own else is_own.cast(float))
    ranked = ranked.filter(is_own | (pl.col("similarity") >= LIKE))
    return ranked.sort(~is_own, -pl.col("similarity"), "pair_id").head(count + 1)
