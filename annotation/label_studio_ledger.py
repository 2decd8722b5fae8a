"""What we keep of Label Studio's project: what was pushed, what was annotated, where we stand.

::

    pushed.jsonl       a line before each import, one for each task stored or found deleted
    annotations.jsonl  each version of each annotation as it came, and a line when it was deleted
    state.json         marker and id of the project, and how far was pulled

The two journals are only ever appended to; the state can be found again from them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from annotation.decisions import BOUNCES, Decision, Item, bounce_reason
from annotation.tasks import to_decision
from pipeline.cache import write_atomically
from pipeline.journal import append, parse, read_lines, read_time, write_time
from pipeline.outcome import Drop

Line = dict[str, Any]


@dataclass(slots=True)
class State:
    """Where we stand; one small file, replaced in one step."""

    queue: str
    """Marker of our project, since titles repeat and ids do on another server."""
    project: int | None = None
    """None while it is being made."""
    form: str = ""
    """Digest of the form and the settings that the project has."""
    tasks: int = 0
    """Tasks that the project had when it was last compared with the ledger."""
    seen: str | None = None
    """The latest update of a task that was pulled, by the server's clock."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What pushed.jsonl says."""

    tasks: dict[tuple[str, str], Line]
    """The task of each (queue, pair)."""
    deleted: set[tuple[str, str]]
    """Pairs whose task a person deleted."""
    pending: set[str]
    """Pairs of an import of which nobody knows whether it was stored."""
    last_queue: str | None


class Judged(NamedTuple):
    """The latest decision of each reviewer on each pair."""

    good: list[Line]
    """With the fields of Reviews, by pair and reviewer."""
    bounced: list[Drop]


class Ledger:
    """The folder with these files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pushed = folder / "pushed.jsonl"
        self._annotations = folder / "annotations.jsonl"
        self.state_path = folder / "state.json"

    def state(self) -> State | None:
        """Return where we stand; None before the first push, or when the file is gone or torn."""
        try:
            return State(**json.loads(self.state_path.read_text("utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def save(self, state: State) -> None:
        """Store where we stand."""
        write_atomically(self.state_path, (json.dumps(asdict(state), indent=2) + "\n").encode())

    def pushed(self) -> Pushed:
        """Read pushed.jsonl."""
        tasks: dict[tuple[str, str], Line] = {}
        deleted: set[tuple[str, str]] = set()
        pending: set[str] = set()
        last = None
        for line in filter(None, map(parse, read_lines(self._pushed))):
            queue, pair_id = str(line.get("queue")), str(line.get("pair_id"))
            last = queue
            if "importing" in line:
                pending = set(line["importing"])
            elif "compared_at" in line:
                pending = set()
            elif "deleted_at" in line:
                deleted.add((queue, pair_id))
            elif "task_id" in line:
                tasks[queue, pair_id] = line
                deleted.discard((queue, pair_id))
                pending.discard(pair_id)
        return Pushed(tasks, deleted, pending, last)

    def note_import(self, state: State, pair_ids: Iterable[str]) -> None:
        """Write down that an import of these pairs begins."""
        append(self._pushed, [{"importing": list(pair_ids), "queue": state.queue, "at": _now()}])

    def note_tasks(self, state: State, tasks: Iterable[tuple[str, int, str]]) -> None:
        """Write down (pair, task, batch) of what the server holds."""
        head = {"queue": state.queue, "project": state.project, "pushed_at": _now()}
        append(
            self._pushed,
            [
                {"pair_id": pair_id, "task_id": task_id, "batch": batch} | head
                for pair_id, task_id, batch in tasks
            ],
        )

    def note_compared(self, state: State, deleted: Iterable[str]) -> None:
        """Write down that the ledger equals the server, these deleted pairs included."""
        now = _now()
        gone = [
            {"pair_id": pair_id, "queue": state.queue, "deleted_at": now} for pair_id in deleted
        ]
        append(self._pushed, [*gone, {"compared_at": now, "queue": state.queue}])

    def missing(self, state: State, items: Sequence[Item]) -> list[Item]:
        """Return the items that the project never had and nobody decided on elsewhere."""
        pushed = self.pushed()
        known = {pair_id for queue, pair_id in pushed.tasks if queue == state.queue}
        known |= {row["pair_id"] for row in self.judge().good}
        return [item for item in items if item["pair_id"] not in known]

    def annotations(self) -> dict[tuple[str, int], Line]:
        """Return the latest version of each annotation that was not deleted, by (queue, id)."""
        current: dict[tuple[str, int], Line] = {}
        for line in filter(None, map(parse, read_lines(self._annotations))):
            queue = str(line.get("queue"))
            if "deleted" in line:
                current.pop((queue, line["deleted"]), None)
            elif isinstance(line.get("annotation"), dict):
                current[queue, line["annotation"]["id"]] = line
        return current

    def note_annotations(self, lines: Iterable[Line]) -> None:
        """Append to annotations.jsonl."""
        now = _now()
        append(self._annotations, [{"pulled_at": now} | line for line in lines])

    def judge(self) -> Judged:
        """Check the latest annotation of each reviewer on each pair against the rules."""
        known = {pair_id for _, pair_id in self.pushed().tasks}
        latest: dict[tuple[str, str], tuple[tuple[datetime, int], Line]] = {}
        for line in self.annotations().values():
            place = str(line["pair_id"]), str(line["reviewer"])
            order = _when(line), int(line["annotation"]["id"])
            if place not in latest or latest[place][0] < order:
                latest[place] = order, line
        good: list[Line] = []
        bounced: list[Drop] = []
        for (pair_id, reviewer), ((when, _), line) in sorted(
            latest.items(), key=lambda entry: entry[0]
        ):
            decision = to_decision(line["annotation"], pair_id, reviewer)
            item = {"response": line["response"]} if pair_id in known else None
            reason = bounce_reason(decision, item)
            if reason is None:
                good.append(_review(decision, when))
            else:
                said = json.dumps(_said(decision) | {"task": line["task_id"]}, ensure_ascii=False)
                bounced.append(Drop(pair_id, reason, f"{BOUNCES[reason]}: {said}"))
        return Judged(good, bounced)


def same_annotation(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two versions are the same, but for the age that the server adds."""
    return {**one, "created_ago": ""} == {**other, "created_ago": ""}


def _review(decision: Decision, when: datetime) -> Line:
    fields = decision.fields() | {"decided_at": write_time(when)}
    return fields | {
        "edited_response": decision.edited_response if decision.verdict == "edit" else None
    }


def _said(decision: Decision) -> dict[str, Any]:
    return {name: value for name, value in decision.fields().items() if value and name != "pair_id"}


def _when(line: Line) -> datetime:
    found = read_time(line["annotation"].get("updated_at")) or read_time(line.get("pulled_at"))
    return found or datetime.min.replace(tzinfo=UTC)


def _now() -> str:
    return write_time(datetime.now(UTC))
