"""The decisions of people on pairs: the latest of each person, and what several amount to."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.errors import ReviewError
from schemas.pairs import Reviews

Row = dict[str, Any]


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
    try:
        time = datetime.fromisoformat(row["decided_at"])
    except ValueError:
        raise ReviewError(
            f"review of {row['pair_id']} by {row['reviewer']}: decided_at {row['decided_at']!r} "
            "found; expected a time such as 2026-01-31T12:00:00Z; mend it in the reviews"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def as_written(reviews: DataFrame[Reviews], adjudicator: str) -> dict[str, bool]:
    """Return by pair whether people accepted it as it was written.

    One of which only the question was edited, or on which people disagree, is left out.
    """
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
    """Return the decisions that count of those that people took on one pair.

    Where some would keep the pair and others reject it, the adjudicator's word decides; without
    an adjudicator the majority does.

    Returns:
        None: people disagree, and nobody has settled it yet.
    """
    rejects = [vote for vote in votes if vote["verdict"] == "reject"]
    keeps = [vote for vote in votes if vote["verdict"] != "reject"]
    if not (rejects and keeps):
        return votes
    if adjudicator or len(rejects) == len(keeps):
        return [vote for vote in votes if vote["reviewer"] == adjudicator] or None
    return max(rejects, keeps, key=len)
