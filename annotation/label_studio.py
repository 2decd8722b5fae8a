"""The review queue in Label Studio: pairs become tasks, annotations become decisions."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from pandera.typing.polars import DataFrame

from annotation.items import to_items
from annotation.label_studio_api import Server
from annotation.label_studio_connection import Connection, find_connection
from annotation.label_studio_ledger import Ledger, State
from annotation.label_studio_project import ReviewProject
from annotation.queue import LOCK_SECONDS, Pulled, PushResult, QueueStatus
from pipeline.errors import ReviewError
from pipeline.outcome import drops, table
from pipeline.settings import LabelStudioSettings
from schemas.chunks import Chunks
from schemas.pairs import ScreenedPairs
from schemas.reviews import Reviews

__all__ = ["BatchStatus", "Connection", "LabelStudioQueue", "find_connection"]


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """One push, by where its tasks stand: ``tasks = decided + skipped + open``."""

    batch: str
    pushed_at: str
    """UTC, ISO 8601."""
    tasks: int
    """Without those that were deleted before anybody decided on them."""
    decided: int
    skipped: int
    open: int


class LabelStudioQueue:
    """A project of a Label Studio server, and a folder with the ledger and all raw annotations.

    The server neither keeps a pair from being imported twice nor an annotation from being
    nonsense: the ledger does the one, the rules of ``annotation.decisions`` the other.
    """

    def __init__(self, folder: Path, connection: Connection, settings: LabelStudioSettings) -> None:
        self.folder = folder
        self._settings = settings
        self._server = Server(connection, settings.timeout_seconds)
        self._ledger = Ledger(folder)
        self._project = ReviewProject(self._server, self._ledger, settings)

    def push(
        self,
        pairs: DataFrame[ScreenedPairs],
        chunks: DataFrame[Chunks],
        *,
        batch: str | None = None,
    ) -> PushResult:
        """Store the pairs that were never pushed as tasks, in the order given.

        A killed push is completed by the next one. A task that a person deleted stays deleted.

        Args:
            pairs: to be reviewed.
            chunks: at least those that the pairs name.
            batch: name of this push; the time of it by default.

        Raises:
            ReviewError: a chunk is missing, the server cannot be asked, or our project is gone.
        """
        items = to_items(pairs, chunks)
        name = batch or f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        if not items:
            return PushResult(new=0, already=0)
        with self._locked():
            state = self._ledger.state() or self._new_state()
            project = self._project.open(state, create=True)
            assert project is not None
            if self._ledger.pushed().pending or project.tasks != state.tasks:
                self._project.compare(state)
            new = self._ledger.missing(state, items)
            size = self._settings.chunk_size
            for start in range(0, len(new), size):
                self._project.store(state, new[start : start + size], name)
        return PushResult(new=len(new), already=len(items) - len(new))

    def pull(self) -> Pulled:
        """Fetch what was annotated, changed or deleted since the last pull; return all decisions.

        When the latest annotation of a reviewer on a pair breaks a rule, none of theirs counts
        for that pair until it is mended.

        Raises:
            ReviewError: the server cannot be asked, or our project is gone.
        """
        with self._locked():
            state = self._ledger.state()
            project = self._project.open(state, create=False) if state is not None else None
            if state is not None and project is not None:
                if self._ledger.pushed().pending or project.tasks != state.tasks:
                    self._project.compare(state)
                self._project.fetch(state)
        return self.stored()

    def stored(self) -> Pulled:
        """Return the decisions pulled so far; asks no server."""
        judged = self._ledger.judge()
        rows = ({name: row[name] for name in Reviews.columns()} for row in judged.good)
        return Pulled(reviews=table(Reviews, rows), bounced=drops(judged.bounced))

    def status(self) -> QueueStatus:
        """Count the pairs by what was pulled so far; asks no server."""
        batches = self.batches()
        return QueueStatus(
            queued=sum(batch.tasks for batch in batches),
            open=sum(batch.open for batch in batches),
            skipped=sum(batch.skipped for batch in batches),
            done=sum(batch.decided for batch in batches),
            bounced=len(self._ledger.judge().bounced),
        )

    def batches(self) -> list[BatchStatus]:
        """Return the pushes, oldest first, by what was pulled so far; asks no server."""
        pushed, good = self._ledger.pushed(), self._ledger.judge().good
        decided = {row["pair_id"] for row in good if row["verdict"] != "skip"}
        skipped = {row["pair_id"] for row in good} - decided
        lines = {pair_id: line for (_, pair_id), line in pushed.tasks.items()}
        gone = {
            pair_id
            for (_, pair_id), line in pushed.tasks.items()
            if (line["queue"], pair_id) in pushed.deleted and lines[pair_id] is line
        }
        members: dict[str, set[str]] = {}
        times: dict[str, str] = {}
        for pair_id, line in lines.items():
            if pair_id not in gone or pair_id in decided | skipped:
                members.setdefault(line["batch"], set()).add(pair_id)
                times.setdefault(line["batch"], line["pushed_at"])
        return [
            BatchStatus(
                batch=batch,
                pushed_at=times[batch],
                tasks=len(pairs),
                decided=len(pairs & decided),
                skipped=len(pairs & skipped),
                open=len(pairs - decided - skipped),
            )
            for batch, pairs in members.items()
        ]

    def project_url(self) -> str:
        """Return the page of the project, for a person; the server's own before the first push."""
        state = self._ledger.state()
        path = f"/projects/{state.project}/data" if state and state.project else ""
        return self._server.url + path

    def _new_state(self) -> State:
        """Return a state for a first push, or for one whose state file is gone."""
        last = self._ledger.pushed().last_queue
        if last is not None:
            state = State(last)
            if self._project.exists(state):
                return state
        return State(secrets.token_hex(8))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / ".lock", timeout=LOCK_SECONDS):
                try:
                    yield
                finally:
                    self._server.close()
        except Timeout as error:
            raise ReviewError(
                f"review: {self.folder} is in use for more than {LOCK_SECONDS:g} s; expected one "
                "push or pull at a time; wait for the other one and run again"
            ) from error
