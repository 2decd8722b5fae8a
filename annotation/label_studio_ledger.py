"""What we keep of Label Studio's project: what was pushed, what was annotated, where we stand.

::

    pushed.jsonl       a line before each import, one for each task stored or found deleted
    annotations.jsonl  each version of each annotation as it came, and a line when it was deleted
    state.json         marker and id of the project, and how far was pulled

The two journals are only ever appended to; the state can be found again from them, and what a
torn line of theirs held from the server.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from annotation.decisions import BOUNCES, EDITS, Item, filled_in, to_decision
from annotation.queue import Pulled
from pipeline.core.cache import write_atomically
from pipeline.core.journal import append, pair_id_in, parse, read_lines, read_time, write_time
from pipeline.core.outcome import Drop

Line = dict[str, Any]
ANNOTATED = {"queue", "task_id", "pair_id", "response", "reviewer", "annotation"}
"""What a line of annotations.jsonl holds, beside the time of the pull and the project."""


@dataclass(slots=True)
class State:
    """Where we stand; one small file, replaced in one step."""

    queue: str  # marker of our project, since titles repeat and ids do on another server
    project: int = 0  # 0 while it is being made
    form: str = ""  # digest of the form and the settings that the project has
    tasks: int = 0  # that the project had when it was last compared with the ledger
    seen: str | None = None  # the latest update of a task pulled, by the server's clock


class Pushed(NamedTuple):
    """What pushed.jsonl says."""

    tasks: dict[tuple[str, str], Line]
    """The task of each (queue, pair): ``deleted_at`` when a person deleted it, ``closed_at`` when
    we did, since it was decided elsewhere; ``overlap``: of how many people it is asked, where that
    is not as many as of the others."""
    pending: set[str]  # pairs of an import of which nobody knows whether it was stored
    last_queue: str | None
    torn: int  # lines that cannot be read, since the last comparison with the server

    def of(self, state: State) -> dict[str, Line]:
        """Return the tasks of our project by pair, those that are gone included."""
        return {pair: line for (queue, pair), line in self.tasks.items() if queue == state.queue}


class Ledger:
    """The folder with these files."""

    def __init__(self, folder: Path) -> None:
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
        pending: set[str] = set()
        last = None
        torn = 0
        for line in map(parse, read_lines(self._pushed)):
            if line is None or "queue" not in line:
                torn += 1
                continue
            last = str(line["queue"])
            there = last, str(line.get("pair_id"))
            if "importing" in line:
                pending = set(line["importing"])
            elif "compared_at" in line:
                pending, torn = set(), 0
            elif "task_id" in line:
                tasks[there] = line
                pending.discard(there[1])
            elif there in tasks:
                tasks[there] |= line
        return Pushed(tasks, pending, last, torn)

    def note(self, state: State, lines: Iterable[Line], time: str = "at") -> None:
        """Append lines to pushed.jsonl, with the marker of our project and the time by its name."""
        stamp = {"queue": state.queue, time: write_time(datetime.now(UTC))}
        append(self._pushed, [line | stamp for line in lines])

    def missing(self, state: State, items: Sequence[Item]) -> list[Item]:
        """Return the items that nobody decided on and the project never had, or we took away."""
        ours = self.pushed().of(state)
        known = {pair_id for pair_id, line in ours.items() if "closed_at" not in line}
        known |= set(self.judge().reviews["pair_id"])
        return [item for item in items if item["pair_id"] not in known]

    def annotations(self) -> tuple[dict[tuple[str, int], Line], list[str]]:
        """Return the latest annotations by (queue, id), and the lines that cannot be read."""
        current: dict[tuple[str, int], Line] = {}
        torn: list[str] = []
        for text in read_lines(self._annotations):
            line = parse(text) or {}
            queue = str(line.get("queue"))
            if "deleted" in line:
                current.pop((queue, line["deleted"]), None)
            elif "all_fetched" in line:
                torn.clear()
            elif line.keys() >= ANNOTATED and isinstance(_id(line), int):
                current[queue, _id(line)] = line
            else:
                torn.append(text)
        return current, torn

    def note_annotations(self, lines: Iterable[Line]) -> None:
        """Append to annotations.jsonl; ``all_fetched``: what torn lines held is there again."""
        stamp = {"pulled_at": write_time(datetime.now(UTC))}
        append(self._annotations, [stamp | line for line in lines])

    def judge(self) -> Pulled:
        """Check the latest annotation of each reviewer on each pair against the rules."""
        known = {pair_id for _, pair_id in self.pushed().tasks}
        current, torn = self.annotations()
        ordered = sorted(current.values(), key=lambda line: (_when(line), _id(line)))
        latest = {(str(line["pair_id"]), str(line["reviewer"])): line for line in ordered}
        good: list[Line] = []
        advice = (
            f"{self._annotations.name}: the line cannot be read; the next pull that reaches Label "
            "Studio fetches it again"
        )
        bounced = [Drop(pair_id_in(text), "unreadable", f"{advice}: {text}") for text in torn]
        for (pair_id, reviewer), line in sorted(latest.items(), key=itemgetter(0)):
            decision = to_decision(line["annotation"], pair_id, reviewer)
            texts = {name: line.get(name, "") for name in EDITS}
            reason = decision.bounce_reason(texts if pair_id in known else None)
            if reason is None:
                edits = decision.edits(texts)
                good.append(decision.fields() | edits | {"decided_at": write_time(_when(line))})
            else:
                what = filled_in(decision.fields() | {"task": line["task_id"]})
                bounced.append(Drop(pair_id, reason, f"{BOUNCES[reason]}: {what}"))
        return Pulled.of(good, bounced)


def is_gone(line: Line) -> bool:
    """Whether the task of a line of pushed.jsonl was deleted, by a person or by us."""
    return not line.keys().isdisjoint(("deleted_at", "closed_at"))


def _id(line: Line) -> Any:
    return line["annotation"].get("id") if isinstance(line["annotation"], dict) else None


def _when(line: Line) -> datetime:
    found = read_time(line["annotation"].get("updated_at")) or read_time(line.get("pulled_at"))
    return found or datetime.min.replace(tzinfo=UTC)
