"""The review queue: what every reviewing tool offers, and what it answers."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import polars as pl
from filelock import FileLock, Timeout
from pandera.typing.polars import DataFrame

from pipeline.core.errors import ReviewError
from pipeline.core.outcome import Drop, drops, table
from pipeline.pairs.reviewers import Policy
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


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """Pairs in the queue by where they stand: ``queued = open + skipped + done``."""

    queued: int
    open: int  # with fewer decisions than it should have
    skipped: int  # with abstentions only
    done: int  # accepted, edited or rejected by as many people as should, who do not disagree
    bounced: int  # decisions that a person must mend before they count


def join_reviews(
    here: DataFrame[Reviews], elsewhere: DataFrame[Reviews] | None
) -> DataFrame[Reviews]:
    """Return the decisions of two places; of one reviewer's on a pair the latest."""
    parts = [here] if elsewhere is None else [here, elsewhere]
    reviews = pl.concat(parts).sort("pair_id", "reviewer", "decided_at")
    latest = reviews.unique(["pair_id", "reviewer"], keep="last", maintain_order=True)
    return cast("DataFrame[Reviews]", latest)


def standing(queued: Collection[str], pulled: Pulled, policy: Policy) -> QueueStatus:
    """Count queued pairs by what was decided on them, wherever it was."""
    lacking = policy.missing(pulled.reviews, queued)
    done = {pair_id for pair_id, count in lacking.items() if not count}
    skipped = set(pulled.reviews["pair_id"]).intersection(queued) - done - pulled.decided
    return QueueStatus(
        queued=len(queued),
        open=len(queued) - len(skipped) - len(done),
        skipped=len(skipped),
        done=len(done),
        bounced=pulled.bounced.height,
    )


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
