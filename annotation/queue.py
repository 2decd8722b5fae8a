"""The review queue: what every reviewing tool answers, and what is noted beside it.

::

    gold_items.jsonl   the items whose verdict is known, noted before they are queued
    asked_again.jsonl  pairs queued anew, and when: decisions before that do not count any more
    targeted.jsonl     pairs that people should see for what they are
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import polars as pl
from filelock import FileLock, Timeout
from pandera.typing.polars import DataFrame

from pipeline.core.errors import ReviewError
from pipeline.core.journal import append, read_rows
from pipeline.core.outcome import Drop, drops, table
from pipeline.pairs.review_sample import GoldItem
from pipeline.pairs.reviewers import Policy
from pipeline.settings import Settings
from schemas.base import Drops
from schemas.pairs import Reviews

LOCK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class PushResult:
    """How many pairs were new to the queue, and how many it had already."""

    new: int
    already: int
    missed: str = ""  # why Label Studio did not get its part; empty when it did


@dataclass(frozen=True, slots=True)
class Pulled:
    """Decisions that count, and those that do not, with the reason and the words as they came."""

    reviews: DataFrame[Reviews]
    """The latest decision of each reviewer on each pair, sorted by pair and reviewer."""
    bounced: DataFrame[Drops]
    missed: str = ""  # why Label Studio could not be asked for what is new; empty when it was
    notes: tuple[str, ...] = ()  # what a person should know besides, a line each

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], bounced: Iterable[Drop]) -> "Pulled":
        """Take rows that have the columns of Reviews, and what bounced."""
        reviews = ({name: row[name] for name in Reviews.columns()} for row in rows)
        return cls(table(Reviews, reviews), drops(bounced))

    @property
    def decided(self) -> frozenset[str]:
        """The pairs that somebody accepted, edited or rejected."""
        return frozenset(self.reviews.filter(pl.col("verdict") != "skip")["pair_id"])


def join_reviews(
    here: DataFrame[Reviews], elsewhere: DataFrame[Reviews] | None
) -> DataFrame[Reviews]:
    """Return the decisions of two places; of one reviewer's on a pair the latest."""
    parts = [here] if elsewhere is None else [here, elsewhere]
    reviews = pl.concat(parts).sort("pair_id", "reviewer", "decided_at")
    latest = reviews.unique(["pair_id", "reviewer"], keep="last", maintain_order=True)
    return cast("DataFrame[Reviews]", latest)


def done_and_skipped(
    queued: Iterable[str], pulled: Pulled, policy: Policy
) -> tuple[set[str], set[str]]:
    """Return which of the queued pairs are decided, wherever it was, and which only skipped."""
    lacking = policy.missing(pulled.reviews, queued)
    done = {pair_id for pair_id, count in lacking.items() if not count}
    return done, lacking.keys() & set(pulled.reviews["pair_id"]) - done - pulled.decided


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder of a queue, which is made when it is missing; ReviewError: it is held."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=LOCK_SECONDS):
            yield
    except Timeout as error:
        raise ReviewError(
            f"review: the queue in {folder} is in use for more than {LOCK_SECONDS:g} s; expected "
            "one push or pull at a time; wait for the other one and run again"
        ) from error


def read_policy(settings: Settings) -> Policy:
    """Return whose decisions count, by the settings and by what is noted."""
    gold = [
        GoldItem(**row | {"makers": tuple(row["makers"])})
        for row in read_rows(journal(settings.paths.home, "gold_items"))
        if row.keys() == set(GoldItem._fields)
    ]
    asked = read_rows(journal(settings.paths.home, "asked_again"))
    again = {row["pair_id"]: row["at"] for row in asked if "pair_id" in row}
    people = settings.label_studio.reviewers
    return Policy(settings.review, people, {item.pair_id: item for item in gold}, again)


def target(home: Path, pair_ids: Sequence[str], evidence_id: str) -> None:
    """Note pairs that people should see for what they are: those of drifted documents."""
    known = targeted(home)
    rows = [{"pair_id": key, "evidence_id": evidence_id} for key in pair_ids if key not in known]
    append(journal(home, "targeted"), rows)


def targeted(home: Path, say: Callable[[str], None] = lambda text: None) -> frozenset[str]:
    """Return the ids of all pairs noted by :func:`target`; ``say`` is told of a torn line."""
    rows = read_rows(journal(home, "targeted"), say)
    return frozenset(str(row["pair_id"]) for row in rows if "pair_id" in row)


def journal(home: Path, name: str) -> Path:
    """Return the path of one of the journals beside the queue (see the head of the module)."""
    return home / "reviews" / f"{name}.jsonl"
