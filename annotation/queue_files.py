"""The review queue as plain files: JSON lines and a spreadsheet, filled in by a person."""

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from annotation.decisions import BOUNCES, DECISION_FIELDS, ITEM_FIELDS, Decision, Item, filled_in
from annotation.items import GUIDELINES, QUEUE_README
from annotation.queue import Pulled, PushResult, done_and_skipped, locked
from annotation.spreadsheet import Sheet, read_sheet, write_sheet
from pipeline.core.cache import write_atomically
from pipeline.core.errors import ReviewError
from pipeline.core.journal import append, pair_id_in, parse, read_lines, read_time, write_time
from pipeline.core.outcome import Drop
from pipeline.pairs.reviewers import Policy

Row = dict[str, Any]


class FileQueue:
    """A folder with the queue as JSON lines and as CSV, to be filled in by a person.

    ::

        queue.jsonl      the items and the ledger of what was pushed; may be filled in
        queue.csv        the same items for a spreadsheet; may be filled in
        decisions.jsonl  every decision as it came, one line each, only ever appended to
        README.txt       what to do

    The queue files are replaced in one step and the ledger is written first, so a killed push
    is completed by the next one. What people filled in is never overwritten.
    """

    def __init__(self, folder: Path, policy: Policy | None = None) -> None:
        self.folder = folder
        self.policy = policy or Policy()
        self._queue = folder / "queue.jsonl"
        self._sheet = folder / "queue.csv"
        self._decisions = folder / "decisions.jsonl"

    def push(self, items: Sequence[Item]) -> PushResult:
        """Add the items whose pairs are not in the queue yet."""
        with locked(self.folder):
            lines = read_lines(self._queue)
            known = {pair_id_in(line) for line in lines}
            new = [item for item in items if item["pair_id"] not in known]
            if new or not self._queue.exists():
                blank: Row = dict.fromkeys(DECISION_FIELDS, "") | {"flags": []}
                lines += [json.dumps({**item, **blank}, ensure_ascii=False) for item in new]
                write_atomically(self._queue, "".join(f"{line}\n" for line in lines).encode())
            self._complete_sheet()
            told = QUEUE_README.read_bytes() + GUIDELINES.read_bytes()
            write_atomically(self.folder / "README.txt", told)
        return PushResult(new=len(new), already=len(items) - len(new))

    def pull(self) -> Pulled:
        """Store what was filled in since the last pull, and return every decision."""
        with locked(self.folder):
            pulled, new = self._collect()
            append(self._decisions, new)
        return pulled

    def stored(self) -> Pulled:
        """Return every decision, what was filled in and not pulled yet included; writes nothing."""
        return self._collect()[0]

    def close(self) -> None:
        """Take blank rows of settled pairs out of the CSV; add one where a decision is lacking."""
        with locked(self.folder):
            if self._sheet.exists():
                self._complete_sheet()

    def queued(self) -> Set[str]:
        """Return the ids of the pairs."""
        return self.items().keys()

    def status(self) -> dict[str, int]:
        """Count the pairs, what was filled in and not pulled yet included; writes nothing.

        ``queued``: ``open`` (with fewer decisions than they should have), ``skipped`` (with
        abstentions only) and ``done`` (decided by as many people as should, who do not disagree)
        together; ``bounced``: decisions that a person must mend before they count.
        """
        queued, pulled = self.queued(), self.stored()
        done, skipped = map(len, done_and_skipped(queued, pulled, self.policy))
        counts = {"queued": len(queued), "open": len(queued) - skipped - done}
        return counts | {"skipped": skipped, "done": done, "bounced": pulled.bounced.height}

    def items(self) -> dict[str, Item]:
        """Return the queued pairs by id, in the order of the queue."""
        items: dict[str, Item] = {}
        for line in read_lines(self._queue):
            row = parse(line)
            row = row and {"queue": "audit", "hint": ""} | row  # earlier versions had neither
            if row is not None and all(name in row for name in ITEM_FIELDS):
                items[str(row["pair_id"])] = {name: row[name] for name in ITEM_FIELDS}
        return items

    def open_items(self, reviewer: str) -> list[Item]:
        """Return the pairs that lack a decision which this reviewer may take."""
        items = self.items()
        may = self.policy.open_to(reviewer, self.stored().reviews, items)
        return [item for pair_id, item in items.items() if pair_id in may]

    def decide(self, decision: Decision) -> None:
        """Store one decision at once; ReviewError: it breaks a rule."""
        reason = decision.bounce_reason(self.items().get(decision.pair_id))
        if reason is not None:
            raise ReviewError(f"review of {decision.pair_id}: {reason}; {BOUNCES[reason]}")
        stamp = {"decided_at": write_time(datetime.now(UTC)), "source": "terminal"}
        append(self._decisions, [decision.fields() | stamp])

    def _collect(self) -> tuple[Pulled, list[Row]]:
        """Return the latest decisions, and the lines that decisions.jsonl lacks."""
        items = self.items()
        stored: list[Row] = []
        new: list[Row] = []
        bounced: list[Drop] = []
        for line in read_lines(self._decisions):
            row = parse(line)
            if row is None or read_time(row.get("decided_at")) is None:
                bounced.append(Drop(pair_id_in(line), "unreadable", line))
                continue
            source = str(row.get("source"))
            entry, reason = _entry(Decision.read(row), items, str(row["decided_at"]), source)
            stored.append(entry)
            if reason and source not in (self._sheet.name, self._queue.name):
                bounced.append(Drop(entry["pair_id"], reason, f"{BOUNCES[reason]}: {line}"))
        last = {_origin(entry): entry for entry in stored}
        # Later than all that is stored, even when the clock was set back.
        time = max([datetime.now(UTC), *map(_when, stored)])
        for source, row, line in self._rows():
            if row is None:
                bounced.append(Drop(pair_id_in(line), "unreadable", line))
            decision = Decision.read(row or {})
            if not decision.is_begun:
                continue
            # A microsecond apart: of two lines on one pair, the lower one is the later.
            time += timedelta(microseconds=1)
            entry, reason = _entry(decision, items, write_time(time), source)
            if reason:
                message = f"{source}, {BOUNCES[reason]}: {line}"
                bounced.append(Drop(decision.pair_id, reason, message))
            before = last.get(_origin(entry), {})
            if entry != before | {"decided_at": entry["decided_at"]}:
                new.append(entry)
        # A bad latest decision leaves none of its reviewer on that pair.
        latest = {(row["pair_id"], row["reviewer"]): row for row in sorted(stored + new, key=_when)}
        current = [
            row | Decision.read(row).edits(items[row["pair_id"]])
            for _, row in sorted(latest.items())
            if Decision.read(row).bounce_reason(items.get(row["pair_id"])) is None
        ]
        return Pulled.of(current, bounced), new

    def _rows(self) -> Iterator[tuple[str, Row | None, str]]:
        """Yield (file, row, text as it came) of both queue files; an unreadable row is None."""
        for cells in self._read_sheet().rows:
            yield self._sheet.name, dict(cells), filled_in(cells)
        for line in read_lines(self._queue):
            row = parse(line)
            yield self._queue.name, row, line if row is None else filled_in(row)

    def _read_sheet(self) -> Sheet:
        if not self._sheet.exists():
            return Sheet((*ITEM_FIELDS, *DECISION_FIELDS), ())
        required = [name for name in DECISION_FIELDS if name != "edited_instruction"]  # it is newer
        return read_sheet(self._sheet.read_bytes(), self._sheet.name, ("pair_id", *required))

    def _complete_sheet(self) -> None:
        """Add the items that the CSV lacks; rows that somebody began stay as they were found."""
        sheet = self._read_sheet()
        found = [(Decision.read(row), row) for row in sheet.rows]
        stored, items = self.stored(), self.items()
        settled, _ = done_and_skipped(items, stored, self.policy)
        kept = [row for made, row in found if made.is_begun or made.pair_id not in settled]
        # A further row for the next person, where one was filled in and does not settle it.
        begun = {made.pair_id for made, _ in found if made.is_begun}
        blank = {made.pair_id for made, _ in found if not made.is_begun}
        there = settled | blank | (begun - stored.decided)
        # The prefix keeps a spreadsheet from reading 1234567890123456 or 12345678901234e5, about
        # one id in 800, as a number.
        missing = [
            {name: str(value) for name, value in item.items()} | {"pair_id": f"pair-{pair_id}"}
            for pair_id, item in items.items()
            if pair_id not in there
        ]
        columns = tuple(dict.fromkeys((*sheet.columns, *ITEM_FIELDS, *DECISION_FIELDS)))
        complete = columns == sheet.columns and self._sheet.exists()
        if missing or len(kept) < len(sheet.rows) or not complete:
            data = write_sheet(columns, (*kept, *missing), sheet.delimiter)
            write_atomically(self._sheet, data)


def _entry(
    decision: Decision, items: Mapping[str, Item], decided_at: str, source: str
) -> tuple[Row, str]:
    """Return the line of decisions.jsonl, with a text that was overwritten, and why it bounces."""
    entry = decision.fields() | {"decided_at": decided_at, "source": source}
    reason = decision.bounce_reason(items.get(decision.pair_id)) or ""
    name = reason.removesuffix("_overwritten")
    return entry | ({name: getattr(decision, f"seen_{name}")} if name != reason else {}), reason


def _origin(row: Row) -> tuple[str, str, str]:
    return row["source"], row["pair_id"], row["reviewer"]


def _when(row: Row) -> datetime:
    return read_time(row["decided_at"]) or datetime.min.replace(tzinfo=UTC)
