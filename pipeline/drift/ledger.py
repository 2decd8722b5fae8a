"""What the monitor decided and what retrains came of it: the record, beside events as nudges.

::

    <home>/monitor/decisions.jsonl   one Decision a line, written before any event is sent
    <home>/monitor/retrains.jsonl    one Retrain a line: started, then promoted, kept or failed
    <home>/monitor/windows.jsonl     which texts each window took: the watermark
    <home>/monitor/evidence/<id>.json
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pipeline.core.cache import write_atomically
from pipeline.core.errors import StoreError
from pipeline.core.journal import append, read_rows
from pipeline.core.record import Record
from pipeline.core.store import Dataset
from pipeline.drift.evidence import Evidence
from pipeline.drift.policy import Decision, Retrain

P = TypeVar("P", bound=Record)


class Window(Record):
    """Texts that were tested together; they are not tested again against this reference."""

    evidence_id: str
    at: str
    reference: str
    model: str
    ids: tuple[str, ...]  # documents, pairs, exchanges and dropped rows that were new


FILES: dict[type[Record], str] = {
    Decision: "decisions.jsonl", Retrain: "retrains.jsonl", Window: "windows.jsonl",
}  # fmt: skip


class Ledger:
    """Reads and appends; a torn line is said and passed over: its writer never went on."""

    def __init__(self, home: Path, say: Callable[[str], None]) -> None:
        """Take the home folder, and who is told of torn lines."""
        self._say = say
        self.folder = home / "monitor"

    def rows(self, kind: type[P]) -> list[P]:
        """Return all rows of a kind, oldest first; StoreError: of another version."""
        path = self.folder / FILES[kind]
        rows = []
        for found in read_rows(path, self._say):
            try:
                rows.append(kind.model_validate(found))
            except ValidationError as error:
                raise StoreError(
                    f"monitor: {path} has a line with {error.error_count()} errors; expected a "
                    f"{kind.__name__}; it was written by another version: move the file away"
                ) from error
        return rows

    def add(self, row: Decision | Retrain | Window) -> None:
        """Append a row to the file of its kind."""
        append(self.folder / FILES[type(row)], [row.model_dump(mode="json")])

    def decide(self, evidence: Evidence, decision: Decision, window: Window | None) -> None:
        """Store evidence, decision and watermark, in this order.

        A crash between them repeats the check: a decision that says the same is no new row.
        """
        last = self._last_end()
        if decision.at <= last:  # the clock was set back: it would count as settled by that retrain
            later = datetime.fromisoformat(last) + timedelta(seconds=1)
            decision = decision.model_copy(update={"at": later.isoformat().replace("+00:00", "Z")})
        path = self.folder / "evidence" / f"{evidence.id}.json"
        if not path.exists():
            write_atomically(path, evidence.model_dump_json(indent=1).encode())
        own = [row for row in self.rows(Decision) if row.id == decision.id]
        said = own and (own[-1].action, own[-1].next_retrain_at)
        if said != (decision.action, decision.next_retrain_at):
            self.add(decision)
        if window is not None:
            self.add(window)

    def pending(self, champion: Dataset) -> Decision | None:
        """Return the latest decision on a champion when drift is confirmed and nothing started."""
        own = [row for row in self.rows(Decision) if row.model == champion.fingerprint]
        if not own or own[-1].action not in ("watch", "review"):
            return None
        return own[-1] if own[-1].state in ("confirmed", "cooldown") else None

    def evidence(self, identifier: str) -> Evidence | None:
        """Return the evidence of a decision, or None when there is none of this id."""
        path = self.folder / "evidence" / f"{identifier}.json"
        return Evidence.model_validate_json(path.read_bytes()) if path.exists() else None

    def ended(self, evidence_id: str) -> Retrain | None:
        """Return how the retrain of this evidence ended, or None when it did not yet."""
        ends = [row for row in self._ends() if row.evidence_id == evidence_id]
        return ends[-1] if ends else None

    def waiting(self) -> list[Decision]:
        """Return decisions to retrain that no retrain, its own or a later one, settled yet."""
        last = self._last_end()
        late = [row for row in self.rows(Decision) if row.action == "retrain" and row.at > last]
        return [row for row in late if self.ended(row.id) is None]

    def _ends(self) -> list[Retrain]:
        return [row for row in self.rows(Retrain) if row.outcome in ("promoted", "kept")]

    def _last_end(self) -> str:
        return max((row.at for row in self._ends()), default="")
