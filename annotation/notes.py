"""What is noted beside the queue: gold items, pairs asked again, pairs that somebody chose.

::

    gold_items.jsonl   the items whose verdict is known
    asked_again.jsonl  pairs queued anew, and when
    targeted.jsonl     pairs that people should see for what they are
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.core.journal import append, read_rows, write_time
from pipeline.pairs.review_sample import GoldItem
from pipeline.pairs.reviewers import Policy
from pipeline.settings import Settings

Say = Callable[[str], None]


def read_policy(settings: Settings) -> Policy:
    """Return whose decisions count, by the settings and the notes."""
    gold = [
        GoldItem(**row | {"makers": tuple(row["makers"])})
        for row in _rows(settings.paths.home, "gold_items")
        if row.keys() == set(GoldItem._fields)
    ]
    again = {row["pair_id"]: row["at"] for row in _rows(settings.paths.home, "asked_again")}
    people = settings.label_studio.reviewers
    return Policy(settings.review, people, {item.pair_id: item for item in gold}, again)


def note_gold(home: Path, items: Sequence[GoldItem]) -> None:
    """Note gold items before they are queued."""
    append(_path(home, "gold_items"), [item._asdict() for item in items])


def ask_again(home: Path, pair_ids: Sequence[str]) -> None:
    """Note pairs whose decisions so far do not count any more."""
    at = write_time(datetime.now(UTC))
    append(_path(home, "asked_again"), [{"pair_id": pair_id, "at": at} for pair_id in pair_ids])


def target(home: Path, pair_ids: Sequence[str], evidence_id: str) -> None:
    """Note pairs that people should see for what they are: those of drifted documents."""
    known = targeted(home)
    rows = [{"pair_id": key, "evidence_id": evidence_id} for key in pair_ids if key not in known]
    append(_path(home, "targeted"), rows)


def targeted(home: Path, say: Say = lambda text: None) -> frozenset[str]:
    """Return the ids of all pairs noted by :func:`target`; ``say`` is told of a torn line."""
    return frozenset(str(row["pair_id"]) for row in _rows(home, "targeted", say))


def _path(home: Path, name: str) -> Path:
    return home / "reviews" / f"{name}.jsonl"


def _rows(home: Path, name: str, say: Say = lambda text: None) -> list[dict[str, Any]]:
    return [row for row in read_rows(_path(home, name), say) if "pair_id" in row]
