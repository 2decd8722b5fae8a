"""Our project on a Label Studio server: made, kept in line with the ledger, filled, read."""

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import tenacity

from annotation.decisions import Item
from annotation.items import LABEL_CONFIG, instructions, to_task
from annotation.label_studio_api import Gone, Passing, Server
from annotation.label_studio_ledger import Ledger, Line, State, is_gone
from pipeline.core.cache import digest
from pipeline.core.errors import ReviewError
from pipeline.core.journal import read_time, write_time
from pipeline.settings import LabelStudioSettings

ONCE = {"max_retries": 0}  # after an error nobody knows whether something was stored
ATTEMPTS = 4  # of one import; with the pauses, about four seconds
OVERLAP = timedelta(minutes=2)
"""Looked at again by each pull: a transaction may end after one that began later."""
HIDDEN = (
    *("data.passage", "data.pair_id", "data.batch", "data.input", "created_at", "updated_at"),
    *("updated_by", "annotations_results", "annotations_ids", "total_predictions", "overlap"),
    *("predictions_score", "predictions_results", "predictions_model_versions", "is_labeled"),
    *("file_upload", "storage_filename", "avg_lead_time", "draft_exists", "inner_id"),
)
VIEW = {
    "title": "Pairs",
    "hiddenColumns": {"explore": [f"tasks:{name}" for name in HIDDEN], "labeling": []},
}
"""The tab of the project: question, response, who answered; not the passage with its marks."""


class ReviewProject:
    """The project of one ledger; every method may raise ReviewError."""

    def __init__(self, server: Server, ledger: Ledger, settings: LabelStudioSettings) -> None:
        self._server = server
        self._ledger = ledger
        self._settings = settings

    def open(self, state: State, create: bool) -> Any:
        """Return our project, with the form and the settings of today; None before it is made."""
        marker = mark(state)
        project = self._server.find_project(marker, state.project)
        if project is None and state.project:
            raise ReviewError(
                f"label studio at {self._server.url}: no project with {marker!r} in its "
                f"description; expected project {state.project}, which holds our tasks; bring it "
                "back (or correct label_studio.url), or delete "
                f"{self._ledger.state_path}: the next push then makes a new project for the "
                "pairs without a decision, and decisions pulled before still count"
            )
        fields: dict[str, Any] = {
            "title": self._settings.project,
            "description": f"Pairs to review; written by tuneloop. Keep this mark: {marker}",
            "label_config": LABEL_CONFIG.read_text("utf-8"),
            "expert_instruction": instructions(),
            "show_instruction": True,
            "maximum_annotations": self._settings.reviewers,
            "skip_queue": "REQUEUE_FOR_OTHERS",
            "show_skip_button": True,
            "enable_empty_annotation": False,
            "show_collab_predictions": False,
            "sampling": "Sequential sampling",
        }
        form = digest(fields)
        if project is None and create:
            self._ledger.save(state)  # with the marker, so that a project made now is found again
            with self._server.asking() as sdk:
                project = sdk.projects.create(**fields, request_options=ONCE)
                sdk.views.create(project=project.id, data=VIEW)
        elif project is not None and state.form != form:
            with self._server.asking() as sdk:  # it refuses a form that drops answers given before
                sdk.projects.update(project.id, **fields)
        if project is not None and (state.project, state.form) != (project.id, form):
            state.project, state.form = project.id, form
            self._ledger.save(state)
        return project

    def store(self, state: State, chunk: Sequence[Item], batch: str) -> None:
        """Import a chunk; after an error only what the server lacks is imported again."""
        left = list(chunk)
        for attempt in tenacity.Retrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_exponential(multiplier=0.5, max=8),
            retry=tenacity.retry_if_exception_type(Passing),
            reraise=True,
        ):
            with attempt:
                if attempt.retry_state.attempt_number > 1:
                    self.compare(state, state.tasks)
                    left = self._ledger.missing(state, left)
                if left:
                    self._import(state, left, batch)

    def _import(self, state: State, items: Sequence[Item], batch: str) -> None:
        pair_ids = [str(item["pair_id"]) for item in items]
        self._ledger.note(state, [{"importing": pair_ids}])
        tasks = [to_task(item, batch) for item in items]
        with self._server.asking() as sdk:
            stored = sdk.projects.import_tasks(
                state.project, request=tasks, return_task_ids=True, request_options=ONCE
            )
            task_ids = list(getattr(stored, "task_ids", None) or [])
        if len(task_ids) != len(tasks):
            raise Passing(
                f"label studio at {self._server.url}: an import returned {len(task_ids)} ids for "
                f"{len(tasks)} tasks; expected one each; the next push compares"
            )
        about = {"batch": batch, "project": state.project}
        made = zip(pair_ids, task_ids, strict=True)
        lines = [{"pair_id": pair_id, "task_id": task_id} | about for pair_id, task_id in made]
        self._ledger.note(state, lines, "pushed_at")
        state.tasks += len(tasks)
        self._ledger.save(state)

    def compare(self, state: State, count: int) -> list[str]:
        """Bring the ledger in line with the server, which may know more or less than it.

        Nothing is asked where the project's count of tasks is ours and no import failed. Return
        what to say: lines of the ledger that cannot be read.
        """
        pushed = self._ledger.pushed()
        if not (pushed.pending or pushed.torn) and count == state.tasks:
            return []
        tasks = list(self._server.tasks(state.project))
        by_pair: dict[str, list[Line]] = {}
        for task in tasks:
            by_pair.setdefault(str(task["data"].get("pair_id", "")), []).append(task)
        by_pair.pop("", None)  # a task that a person made
        count = len(tasks)
        for twins in by_pair.values():
            twins.sort(key=lambda task: (not _is_annotated(task), task["id"]))
            while len(twins) > 1 and not _is_annotated(twins[-1]):
                self._server.delete_task(twins.pop()["id"])
                count -= 1
        ours = pushed.of(state)
        found = [
            {"pair_id": pair_id, "task_id": twins[0]["id"]}
            | {"batch": str(twins[0]["data"].get("batch", "")), "project": state.project}
            for pair_id, twins in by_pair.items()
            if ours.get(pair_id, {}).get("task_id") not in [task["id"] for task in twins]
            or "closed_at" in ours[pair_id]
        ]
        self._ledger.note(state, found, "pushed_at")
        there = {pair_id for pair_id, line in ours.items() if not is_gone(line)}
        deleted = [{"pair_id": pair_id} for pair_id in there - by_pair.keys()]
        self._ledger.note(state, deleted, "deleted_at")
        self._ledger.note(state, [{}], "compared_at")
        state.tasks = count
        self._ledger.save(state)
        said = f"pushed.jsonl: {pushed.torn} of its lines cannot be read; compared with the server"
        return [said] if pushed.torn else []

    def close(self, state: State, pair_ids: Collection[str]) -> None:
        """Delete the tasks of pairs that were decided elsewhere, but none with work in it."""
        ours = self._ledger.pushed().of(state)
        here = {pair_id for pair_id, line in ours.items() if not is_gone(line)}
        here -= set(self._ledger.judge().reviews["pair_id"])
        if here.isdisjoint(pair_ids):
            return
        idle = {
            str(task["data"].get("pair_id", "")): task["id"]
            for task in self._server.tasks(state.project)
            if not task.get("total_annotations") and not task.get("drafts")
        }
        closing = sorted(here.intersection(pair_ids, idle))
        # Counted first: after a kill in here the counts differ, and the next pull compares.
        state.tasks -= len(closing)
        self._ledger.save(state)
        self._ledger.note(state, [{"pair_id": pair_id} for pair_id in closing], "closed_at")
        for pair_id in closing:
            self._server.delete_task(idle[pair_id])

    def ask(self, state: State, lacking: Mapping[str, int], votes: Mapping[str, int]) -> None:
        """Have tasks asked of as many people as have ``votes`` on a pair and are ``lacking``."""
        for pair_id, line in self._ledger.pushed().of(state).items():
            count = lacking.get(pair_id, 0)
            people = votes.get(pair_id, 0) + count
            if pair_id not in lacking or is_gone(line) or not people:
                continue
            before = line.get("overlap", self._settings.reviewers)
            if people == before or (not count and people > before):
                continue
            asked = {"overlap": people, "is_labeled": not count}
            with suppress(Gone), self._server.asking() as sdk:
                options = {"additional_body_parameters": asked}  # the SDK knows few by name
                sdk.tasks.update(str(line["task_id"]), request_options=options)
            self._ledger.note(state, [{"pair_id": pair_id, "overlap": people}])

    def fetch(self, state: State) -> int:
        """Store what is new; after torn lines all there is. Return how many lines were torn."""
        stored, torn = self._ledger.annotations()
        seen = read_time(state.seen) if state.seen and not torn else None
        by_task: dict[int, dict[int, Line]] = {}
        for (queue, number), line in stored.items():
            if queue == state.queue:
                by_task.setdefault(line["task_id"], {})[number] = line
        lines: list[Line] = []
        emails: dict[int, str] = {}
        latest = seen
        began = time.monotonic()
        since = None if seen is None else seen - OVERLAP
        for task in self._server.tasks(state.project, since):
            updated = read_time(task.get("updated_at"))
            latest = max(filter(None, (latest, updated)), default=None)
            before = by_task.get(task["id"], {})
            there = {row["id"]: row for row in task.get("annotations") or []}
            head = {"queue": state.queue, "project": state.project, "task_id": task["id"]}
            names = ("pair_id", "instruction", "response")
            shown = {name: str(task["data"].get(name, "")) for name in names}
            for number, row in there.items():
                known = before.get(number, {})
                # The server adds the age of an annotation.
                if {**known.get("annotation", {}), "created_ago": ""} == {**row, "created_ago": ""}:
                    continue
                if not emails:
                    with self._server.asking() as sdk:
                        emails = {user.id: user.email for user in sdk.users.list()}
                reviewer = emails.get(row.get("completed_by"), known.get("reviewer", ""))
                lines.append(head | shown | {"reviewer": reviewer, "annotation": row})
            lines += [head | {"deleted": number} for number in before.keys() - there.keys()]
        self._ledger.note_annotations(lines)
        if latest is not None:
            # What changed on an early page while the later ones were read is read next time.
            state.seen = write_time(latest - timedelta(seconds=time.monotonic() - began))
        self._ledger.save(state)
        if torn:
            self._ledger.note_annotations([{"queue": state.queue, "all_fetched": True}])
        return len(torn)


def mark(state: State) -> str:
    """Return the words in the description by which our project is found."""
    return f"tuneloop queue {state.queue}"


def _is_annotated(task: Line) -> bool:
    return bool(task.get("total_annotations") or task.get("cancelled_annotations"))
