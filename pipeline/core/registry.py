"""Refs: tiny files that name the current dataset or model, swapped atomically, with a log."""

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from pipeline.core.cache import write_atomically
from pipeline.core.errors import CorruptDataset, InputError, MissingDataset
from pipeline.core.journal import append, read_rows
from pipeline.core.record import Record
from pipeline.core.store import Dataset, Store

LOG = "refs.log"
CHAMPION = "model/champion"
CHALLENGER = "model/challenger"

WAYS_BACK = {
    CHAMPION: "make another model champion with `tuneloop rollback` or `tuneloop promote`",
    CHALLENGER: "train another with `tuneloop run`",
}
"""What to do, by ref, when the dataset it names is gone and cannot be restored."""


class Ref(Record):
    """What a ref points to, and what it pointed to before."""

    name: str
    fingerprint: str
    previous: str | None
    """Fingerprint that this one replaced; None for the first."""
    reason: str
    at: str
    """UTC, ISO 8601."""
    evidence: str | None = None
    """``verdict/fingerprint``, which says what the gate saw; None where no verdict moved it."""


class Registry:
    """Reads and moves refs."""

    def __init__(self, root: Path, say: Callable[[str], None] = lambda text: None) -> None:
        self.root = root
        self._say = say

    def get(self, ref: str) -> Ref | None:
        """Return a ref, or None when it was never set; CorruptDataset when the file is no ref."""
        path = self.root / ref
        try:
            return Ref.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise CorruptDataset(
                f"refs: {path} is not a ref ({error.error_count()} errors); expected what "
                "refs.log has in its last line for it; restore it from there"
            ) from error

    def point(
        self, ref: str, dataset: Dataset, reason: str, at: str, evidence: str | None = None
    ) -> Ref:
        """Point a ref to a dataset; nothing happens when it points there already."""
        current = self.get(ref)
        if current and current.fingerprint == dataset.fingerprint:
            return current
        entry = Ref(
            name=dataset.name,
            fingerprint=dataset.fingerprint,
            previous=current.fingerprint if current else None,
            reason=reason,
            at=at,
            evidence=evidence,
        )
        lines = [entry]
        if ref == CHAMPION and current and not self._logged(ref, current.fingerprint):
            lines.insert(0, current)  # a crash came between the ref and its line
        write_atomically(self.root / ref, entry.model_dump_json().encode())
        append(self.root / LOG, [{"ref": ref} | line.model_dump() for line in lines])
        return entry

    def was(self, ref: str, fingerprint: str) -> bool:
        """Whether a ref ever pointed to a dataset: by the log, and by the ref itself."""
        current = self.get(ref)
        known = (current.fingerprint, current.previous) if current else ()
        return fingerprint in known or self._logged(ref, fingerprint)

    def _logged(self, ref: str, fingerprint: str) -> bool:
        rows = read_rows(self.root / LOG, self._say)
        return any(row.get("ref") == ref and row.get("fingerprint") == fingerprint for row in rows)

    def dataset(self, ref: str, store: Store) -> Dataset | None:
        """Return the dataset that a ref points to, or None; a MissingDataset says what to do."""
        entry = self.get(ref)
        if entry is None:
            return None
        found = store.find(entry.name, entry.fingerprint)
        if found is None:
            raise MissingDataset(
                f"{ref}: it names {entry.name}/{entry.fingerprint}, which is not in the store; "
                f"expected {store.folder(entry.name, entry.fingerprint)}; restore that folder, or "
                f"{WAYS_BACK.get(ref, 'run the stage that makes it again')}"
            )
        return found

    def rollback(self, store: Store, reason: str, at: str) -> Ref:
        """Point the champion back to the model it replaced, or raise InputError without one."""
        current = self.get(CHAMPION)
        if current is None or current.previous is None:
            found = "no champion" if current is None else "a champion that replaced no other"
            raise InputError(
                f"rollback: {found} found; expected an earlier champion; see refs/refs.log"
            )
        earlier = Dataset.of(store.manifest(current.name, current.previous))
        return self.point(CHAMPION, earlier, reason, at)
