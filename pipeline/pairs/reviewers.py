"""Decisions of people on pairs: whose count, what several amount to, how many are lacking."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any, NamedTuple

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.errors import ReviewError
from pipeline.core.journal import read_time
from pipeline.core.outcome import Drop, table
from pipeline.pairs.review_sample import GoldItem, is_overlap
from pipeline.settings import ReviewSettings
from schemas.pairs import Reviews

GOLD_ANSWERS = 5
"""Gold items that a reviewer has answered before they can be held back: fewer tell little."""
Row = dict[str, Any]


class Reviewer(NamedTuple):
    """What is known of one reviewer."""

    reviewer: str
    decisions: int  # without skips and gold items
    edit_share: float | None  # of the decisions
    median_seconds: float | None  # a decision; None where nobody measured
    gold_right: int
    gold_answered: int
    held_back: bool


@dataclass(frozen=True)
class Policy:
    """Which decisions count, by the settings and by what was noted beside the queue."""

    settings: ReviewSettings = field(default_factory=ReviewSettings)
    people: int = 1  # who should decide on each pair
    gold: Mapping[str, GoldItem] = field(default_factory=dict)
    asked_again: Mapping[str, str] = field(default_factory=dict)
    """When a pair was queued anew (UTC, ISO 8601): what was decided before does not count."""

    def counting(self, reviews: DataFrame[Reviews]) -> tuple[DataFrame[Reviews], list[Drop]]:
        """Return the decisions that count, and why others do not (``held_back``: gold accuracy)."""
        held_back = {row.reviewer: row for row in self.reviewers(reviews) if row.held_back}
        counted: list[Row] = []
        dropped = []
        for row in reviews.iter_rows(named=True):
            pair_id, excerpt = row["pair_id"], f"{row['verdict']} by {row['reviewer']}"
            if item := self.gold.get(pair_id):
                dropped.append(Drop(pair_id, "gold_item", excerpt, related_id=item.source))
            elif self._is_stale(row):
                dropped.append(Drop(pair_id, "asked_again", excerpt))
            elif person := held_back.get(row["reviewer"]):
                share = person.gold_right / person.gold_answered
                least = self.settings.min_gold_accuracy
                dropped.append(Drop(pair_id, "held_back", excerpt, share, least))
            else:
                counted.append(row)
        return table(Reviews, counted), dropped

    def _is_stale(self, row: Row) -> bool:
        again = read_time(self.asked_again.get(row["pair_id"]))
        decided = read_time(row["decided_at"])
        return again is not None and decided is not None and decided < again

    def votes(self, reviews: DataFrame[Reviews]) -> dict[str, list[Row]]:
        """Return the decisions that count by pair, oldest first; skips are none."""
        current = current_decisions(self.counting(reviews)[0])
        return {pair_id: votes_of(rows) for pair_id, rows in current.items()}

    def missing(self, reviews: DataFrame[Reviews], pair_ids: Iterable[str]) -> dict[str, int]:
        """Return how many decisions each pair still lacks; 0: it is settled."""
        votes = self.votes(reviews)
        answered = set(reviews.filter(pl.col("verdict") != "skip")["pair_id"])
        several = len({vote["reviewer"] for rows in votes.values() for vote in rows}) > 1
        disputed = self.disputed(reviews)
        lacking = {}
        for pair_id in pair_ids:
            if pair_id in self.gold:
                lacking[pair_id] = int(pair_id not in answered)
                continue
            is_shared = several and is_overlap(pair_id, self.settings)
            people = max(2, self.people) if is_shared else self.people
            lacking[pair_id] = max(pair_id in disputed, people - len(votes.get(pair_id, ())))
        return lacking

    def open_to(
        self, reviewer: str, reviews: DataFrame[Reviews], pair_ids: Iterable[str]
    ) -> set[str]:
        """Return the pairs that lack a decision which this reviewer may take."""
        rows = reviews.filter(pl.col("reviewer") == reviewer).iter_rows(named=True)
        closed = {row["pair_id"] for row in rows if not self._is_stale(row)}
        closed |= {item.pair_id for item in self.gold.values() if reviewer in item.makers}
        if self.settings.adjudicator not in ("", reviewer):
            closed |= self.disputed(reviews)
        return {key for key, count in self.missing(reviews, pair_ids).items() if count} - closed

    def disputed(self, reviews: DataFrame[Reviews]) -> set[str]:
        """Return the pairs on which people disagree, while nobody settled it."""
        votes = self.votes(reviews).items()
        return {key for key, rows in votes if ruling(rows, self.settings.adjudicator) is None}

    def agreed(self, reviews: DataFrame[Reviews]) -> dict[str, list[Row]]:
        """Return the decisions on each pair that two people or more accept, or reject."""
        unanimous = ({"accept"}, {"reject"})
        return {
            pair_id: rows
            for pair_id, rows in self.votes(reviews).items()
            if len(rows) > 1 and {vote["verdict"] for vote in rows} in unanimous
        }

    def reviewers(self, reviews: DataFrame[Reviews]) -> list[Reviewer]:
        """Return what is known of each reviewer, by name."""
        known = []
        for (name,), rows in reviews.sort("reviewer").group_by("reviewer", maintain_order=True):
            votes = votes_of(rows.iter_rows(named=True))
            answers = [
                (vote["verdict"] == "reject") == (item.expected == "reject")
                for vote in votes
                if (item := self.gold.get(vote["pair_id"])) and name not in item.makers
            ]
            own = [vote for vote in votes if vote["pair_id"] not in self.gold]
            seconds = [vote["seconds"] for vote in own if vote["seconds"] is not None]
            edits = sum(vote["verdict"] == "edit" for vote in own)
            is_known = len(answers) >= GOLD_ANSWERS
            least = self.settings.min_gold_accuracy
            known.append(
                Reviewer(
                    reviewer=str(name),
                    decisions=len(own),
                    edit_share=edits / len(own) if own else None,
                    median_seconds=median(seconds) if seconds else None,
                    gold_right=sum(answers),
                    gold_answered=len(answers),
                    held_back=is_known and sum(answers) < least * len(answers),
                )
            )
        return known


def current_decisions(reviews: DataFrame[Reviews]) -> dict[str, list[Row]]:
    """Return the latest decision of each reviewer by pair, oldest first."""
    # Equal times are told apart by the content, never by the order of the rows.
    content = sorted(Reviews.columns())

    def age(row: Row) -> tuple[datetime, list[str]]:
        return _time(row), [str(row[name]) for name in content]

    ordered = sorted(reviews.iter_rows(named=True), key=age)
    latest = {(row["pair_id"], row["reviewer"]): row for row in ordered}
    current: dict[str, list[Row]] = {}
    for row in sorted(latest.values(), key=age):
        current.setdefault(row["pair_id"], []).append(row)
    return current


def _time(row: Row) -> datetime:
    time = read_time(row["decided_at"])
    if time is None:
        raise ReviewError(
            f"review of {row['pair_id']} by {row['reviewer']}: decided_at {row['decided_at']!r} "
            "found; expected a time such as 2026-01-31T12:00:00Z; mend it in the reviews"
        )
    return time


def as_written(reviews: DataFrame[Reviews], adjudicator: str) -> dict[str, bool]:
    """Return by pair whether people accepted it as written, where they agree on the response."""
    found = {}
    for pair_id, rows in current_decisions(reviews).items():
        votes = ruling(votes_of(rows), adjudicator) or ()
        verdicts = {vote["verdict"] for vote in votes}
        edited = any(vote["edited_response"] for vote in votes)
        if verdicts and (edited or verdicts != {"edit"}):
            found[pair_id] = not edited and "reject" not in verdicts
    return found


def votes_of(rows: Iterable[Row]) -> list[Row]:
    """Return decisions without skips, which are none."""
    return [row for row in rows if row["verdict"] != "skip"]


def ruling(votes: Sequence[Row], adjudicator: str) -> Sequence[Row] | None:
    """Return the decisions of the majority, or of the adjudicator; None while it is disputed."""
    rejects = [vote for vote in votes if vote["verdict"] == "reject"]
    keeps = [vote for vote in votes if vote["verdict"] != "reject"]
    if not (rejects and keeps):
        return votes
    if adjudicator or len(rejects) == len(keeps):
        return [vote for vote in votes if vote["reviewer"] == adjudicator] or None
    return max(rejects, keeps, key=len)
