"""Take a document out of a home for good: say what holds it, remove that, refuse it from then on.

Nothing is removed before the ledger ``forgotten.jsonl`` has the digest of its text, so that no run
takes it in again; what is to be looked for stays in ``forgetting.json`` until all is removed, so
that a forgetting that was killed is ended by the same command.
"""

from contextlib import closing
from typing import Any

from annotation.label_studio_api import Server
from annotation.label_studio_connection import find_connection
from annotation.label_studio_ledger import Ledger
from flows.engine.home import MONITOR_LOCK, locked
from flows.housekeeping.held import Held, held_by
from flows.housekeeping.scrub import Scrub
from flows.services.running import running_up
from pipeline.core.cache import write_atomically
from pipeline.core.errors import InputError, StoreError
from pipeline.core.home import Home
from pipeline.core.journal import now
from pipeline.core.remote import address_of
from pipeline.documents.forgotten import Forgotten, forgotten, note
from pipeline.settings import Settings

PLAN = "forgetting.json"


def forget(settings: Settings, name: str, act: bool) -> dict[str, Any]:
    """Say what holds a document, named by its id or its path, and with ``act`` remove it.

    Returns ``documents``, ``sources``, ``near`` (what is nearly a copy and stays), ``held``
    (rows, lines and entries by place; before it was removed), ``models`` (trained on it) and
    ``done``. A StoreError where servers of the home run, or something could not be removed.
    """
    path = settings.paths.home
    home = Home.at(path)
    if address := address_of(path):
        raise InputError(
            f"forget: the home is {address}, whose packs hold what was read for good; expected a "
            "folder of this machine; take the documents out of the input and make a new home"
        )
    held = _unfinished(home, name) or held_by(home, name)
    if held is None:
        row = next((row for row in forgotten(path) if name in (*row.doc_ids, *row.sources)), None)
        if row is None:
            raise InputError(
                f"forget: no document {name!r} in any data set; expected an id or a path below the "
                "input folder, as `tuneloop show raw_documents` prints them"
            )
        facts = row.model_dump(mode="json", include={"sources", "models"})
        return {"documents": row.doc_ids, "near": (), "held": {}, "done": True} | facts
    if not act:
        return _facts(held, dict(Scrub(path, held, act=False).run()), done=False)
    if up := running_up(path):
        raise StoreError(
            f"forget: `tuneloop up` runs (process {up.process}) and its servers hold the text in "
            "their databases; expected them stopped; press Ctrl-C there and run this again"
        )
    with locked(path), locked(path, MONITOR_LOCK):
        known = held.model_dump(include=set(Forgotten.model_fields))
        row = Forgotten(**known, at=now(), done=False)
        write_atomically(path / "store" / PLAN, held.model_dump_json().encode())
        note(path, row)
        _take_tasks(settings, held)
        removed = dict(Scrub(path, held, act=True).run())
        if left := dict(Scrub(path, held, act=False).run()):
            raise StoreError(
                f"forget: {', '.join(left)} still quote the document; expected nothing there; "
                "delete these files and run this again"
            )
        note(path, row.model_copy(update={"at": now(), "done": True}))
        (path / "store" / PLAN).unlink()
    return _facts(held, removed, done=True)


def _unfinished(home: Home, name: str) -> Held | None:
    """Return what a forgetting that was killed looked for."""
    plan = home.store.root / PLAN
    if not plan.exists():
        return None
    held = Held.model_validate_json(plan.read_bytes())
    if name not in (*held.doc_ids, *held.sources):
        raise StoreError(
            f"forget: that of {held.doc_ids[0]} was not ended; expected it to be; run `tuneloop "
            f"forget {held.doc_ids[0]} --yes` first"
        )
    return held


def _facts(held: Held, places: dict[str, int], done: bool) -> dict[str, Any]:
    facts = held.model_dump(mode="json", include={"sources", "near", "models"})
    return {"documents": held.doc_ids, "held": places, "done": done} | facts


def _take_tasks(settings: Settings, held: Held) -> None:
    """Delete the tasks on a Label Studio of yours; ours has its database in the home."""
    state = Ledger(settings.paths.home / "reviews" / "label_studio").state()
    connection = find_connection(settings.label_studio, settings.paths.home)
    if not settings.label_studio.url or connection is None or state is None or not state.project:
        return
    with closing(Server(connection, settings.label_studio.timeout_seconds)) as server:
        tasks = list(server.tasks(state.project))
        for task in tasks:
            if task["data"].get("pair_id") in held.ids:
                server.delete_task(task["id"])
