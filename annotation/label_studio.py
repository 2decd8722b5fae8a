"""The review queue in Label Studio: pairs become tasks, annotations become decisions."""

import secrets
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from pandera.typing.polars import DataFrame

from annotation.decisions import Item
from annotation.label_studio_api import Server
from annotation.label_studio_connection import Connection
from annotation.label_studio_ledger import Ledger, Line, State, is_gone
from annotation.label_studio_project import ReviewProject, mark
from annotation.queue import Pulled, PushResult, done_and_skipped, join_reviews, locked
from pipeline.pairs.reviewers import Policy
from pipeline.settings import LabelStudioSettings
from schemas.pairs import Reviews


class LabelStudioQueue:
    """A project of a Label Studio server, and a folder with the ledger and all raw annotations.

    The ledger keeps a pair from being imported twice, the rules of ``annotation.decisions`` an
    annotation from being nonsense. ReviewError: the server cannot be asked, or the project is gone.
    """

    def __init__(
        self,
        folder: Path,
        connection: Connection,
        settings: LabelStudioSettings,
        policy: Policy | None = None,
    ) -> None:
        self.folder = folder
        self.policy = policy or Policy(people=settings.reviewers)
        self._settings = settings
        self._server = Server(connection, settings.timeout_seconds)
        self._ledger = Ledger(folder)
        self._project = ReviewProject(self._server, self._ledger, settings)

    def push(self, items: Sequence[Item], batch: str | None = None) -> PushResult:
        """Store the items that were never pushed as tasks; the next push completes a killed one."""
        name = batch or f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        if not items:
            return PushResult(new=0, already=0)
        with locked(self.folder), closing(self._server):
            state = self._ledger.state() or self._new_state()
            project = self._project.open(state, create=True)
            self._project.compare(state, project.task_number or 0)
            new = self._ledger.missing(state, items)
            size = self._settings.chunk_size
            for start in range(0, len(new), size):
                self._project.store(state, new[start : start + size], name)
        return PushResult(new=len(new), already=len(items) - len(new))

    def pull(self, elsewhere: DataFrame[Reviews] | None = None) -> Pulled:
        """Fetch what is new; take away tasks that decisions ``elsewhere``, in the files, settle."""
        with locked(self.folder), closing(self._server):
            notes: list[str] = []
            state = self._ledger.state()
            if state is None and self._ledger.pushed().last_queue is not None:
                state = self._new_state()
                notes.append(
                    f"{self._ledger.state_path.name} is gone or cannot be read; the project is "
                    "looked for by its mark, and all of it is fetched again"
                )
            if state and (project := self._project.open(state, create=False)):
                notes += self._project.compare(state, project.task_number or 0)
                if torn := self._project.fetch(state):
                    notes.append(
                        f"annotations.jsonl: {torn} of its lines cannot be read; all of the "
                        "project was fetched again; only a decision whose task is deleted by now "
                        "does not come back"
                    )
                # Each task is asked of as many people as its pair lacks; what lacks none is closed.
                here = self.stored().reviews
                lacking = self.policy.missing(join_reviews(here, elsewhere), self.queued())
                settled = {pair_id for pair_id, count in lacking.items() if not count}
                self._project.close(state, settled)
                votes = here.filter(pl.col("verdict") != "skip").group_by("pair_id").len()
                self._project.ask(state, lacking, dict(votes.iter_rows()))
        return replace(self.stored(), notes=tuple(notes))

    def stored(self) -> Pulled:
        """Return the decisions pulled so far; asks no server."""
        return self._ledger.judge()

    def queued(self) -> frozenset[str]:
        """Return the pairs with a task or a decision; asks no server."""
        return frozenset(self._tasks(set(self.stored().reviews["pair_id"])))

    def batches(self, stored: Pulled) -> list[dict[str, Any]]:
        """Return the pushes, oldest first, by what was pulled so far, here or everywhere.

        Each has ``batch``, ``pushed_at`` (UTC, ISO 8601) and its ``tasks``: ``decided``,
        ``skipped`` or ``open``, without those that were deleted before anybody decided.
        """
        tasks = self._tasks(set(stored.reviews["pair_id"]))
        decided, skipped = done_and_skipped(tasks, stored, self.policy)
        batches: dict[str, dict[str, Any]] = {}
        counts = dict.fromkeys(("tasks", "decided", "skipped", "open"), 0)
        for pair_id, line in tasks.items():
            about = {"batch": line["batch"], "pushed_at": line["pushed_at"]}
            batch = batches.setdefault(line["batch"], about | counts)
            side = "decided" if pair_id in decided else "skipped" if pair_id in skipped else "open"
            batch["tasks"] += 1
            batch[side] += 1
        return list(batches.values())

    def _tasks(self, answered: Collection[str]) -> dict[str, Line]:
        """Return the last task of each pair; one that is deleted counts when it was answered."""
        last = {key: line for (_, key), line in self._ledger.pushed().tasks.items()}
        return {key: line for key, line in last.items() if key in answered or not is_gone(line)}

    def _new_state(self) -> State:
        """Return a state for a first push, or for one whose state file is gone."""
        last = self._ledger.pushed().last_queue
        is_there = last is not None and self._server.find_project(mark(State(last))) is not None
        return State(last if last and is_there else secrets.token_hex(8))
