"""`tuneloop status`: where everything stands, also of a new home. Reads only, needs no server."""

import json
from pathlib import Path
from typing import Any

import click
import httpx

from annotation.queues import CombinedQueue, open_queue
from flows.engine.context import say_once
from flows.services.prefect import read_secret
from flows.services.running import Up, running_up, schedules
from flows.services.up import local, schedule_lines, server_lines
from pipeline.core.errors import ReviewError, StoreError
from pipeline.core.journal import now
from pipeline.core.record import as_json
from pipeline.core.registry import CHALLENGER, CHAMPION, Registry
from pipeline.core.store import Store
from pipeline.drift.ledger import Ledger
from pipeline.drift.policy import Decision, Retrain, next_retrain_at
from pipeline.drift.reasons import Reason
from pipeline.report.drift_words import reasons_line
from pipeline.settings import Settings

Facts = dict[str, Any]


def show(settings: Settings, as_json: bool) -> None:
    """Print where everything stands; at last a MissingDataset where the champion is gone."""
    facts = status(settings)
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
    else:
        for name, lines in _lines(facts, settings):
            for number, line in enumerate(lines):
                click.echo(f"{name if number == 0 else '':<13}{line}".rstrip())
    home = settings.paths.home
    Registry(home / "refs").dataset(CHAMPION, Store(home / "store"))


def status(settings: Settings) -> Facts:
    """Return where everything stands, JSON-able; times are UTC.

    ``servers``: where `tuneloop up` runs; ``schedules``: next and last run of each deployment, None
    when Prefect does not answer; ``reviews``: counts of the queue, or why it cannot be read;
    ``champion``, ``challenger``: refs; ``decision``, ``retrain``: the last of their ledgers;
    ``next_retrain_at``: None when it may start now. None for what is not there yet.
    """
    home, there = settings.paths.home, running_up(settings.paths.home)
    registry, ledger = Registry(home / "refs"), Ledger(home, say_once)
    decisions, retrains = ledger.rows(Decision), ledger.rows(Retrain)
    facts: Facts = {
        "home": str(home),
        "servers": there,
        "schedules": _schedules(there, home),
        "reviews": _reviews(settings),
        "champion": registry.get(CHAMPION),
        "challenger": registry.get(CHALLENGER),
        "decision": decisions[-1] if decisions else None,
        "retrain": retrains[-1] if retrains else None,
        "next_retrain_at": next_retrain_at(retrains, now(), settings.retrain),
    }
    return {name: as_json(fact) for name, fact in facts.items()}


def _schedules(there: Up | None, home: Path) -> list[Facts] | None:
    if there is None or not there.ready:
        return None
    try:
        return schedules(f"{there.prefect}/api", read_secret(home))
    except (httpx.HTTPError, StoreError):
        return None


def _reviews(settings: Settings) -> Facts | None:
    """Count what is open, each pair once, by what was pulled so far."""
    folder = settings.paths.home / "reviews"
    if not ((folder / "queue.jsonl").exists() or (folder / "label_studio").exists()):
        return None
    try:
        queue = open_queue(settings)
        server = queue.server if isinstance(queue, CombinedQueue) else None
        batches = server.batches(queue.stored()) if server else ()
        waiting = [batch for batch in batches if batch["open"]]
        return {**queue.status(), "batches": waiting}
    except ReviewError as error:
        return {"error": str(error)}


def _lines(facts: Facts, settings: Settings) -> list[tuple[str, list[str]]]:
    stopped = ["not running; start them with `tuneloop up`"]
    servers = facts["servers"]
    return [
        ("home", [facts["home"]]),
        ("servers", server_lines(servers, settings.paths.home) if servers else stopped),
        ("schedules", _schedule_lines(facts, settings)),
        ("reviews", _review_lines(facts["reviews"])),
        ("champion", [_ref_line(facts["champion"], "none yet; `tuneloop run` makes one")]),
        ("challenger", [_ref_line(facts["challenger"], "none yet")]),
        ("drift", _decision_lines(facts["decision"])),
        ("retrain", _retrain_lines(facts)),
    ]


def _schedule_lines(facts: Facts, settings: Settings) -> list[str]:
    if facts["schedules"] is None:
        planned = settings.schedule
        names = ("curate", "synthesize", "review", "monitor", "reconcile")
        crons = [f"{name:<12}{getattr(planned, name) or 'never'}" for name in names]
        return [*crons, f"cron in {planned.timezone}; they run while `tuneloop up` does"]
    return schedule_lines(facts["schedules"])


def _review_lines(reviews: Facts | None) -> list[str]:
    if reviews is None:
        return ["nothing queued yet"]
    if "error" in reviews:
        return [reviews["error"]]
    counts = [f"{name} {value}" for name, value in reviews.items() if name != "batches"]
    return ["  ".join(counts)] + [
        f"Label Studio, batch {batch['batch']}: {batch['open']} of {batch['tasks']} open, pushed "
        f"{local(batch['pushed_at'])}"
        for batch in reviews["batches"]
    ]


def _ref_line(ref: Facts | None, none: str) -> str:
    if ref is None:
        return none
    return f"{ref['name']}/{ref['fingerprint'][:12]} since {local(ref['at'])}  ({ref['reason']})"


def _decision_lines(decision: Facts | None) -> list[str]:
    if decision is None:
        return ["no check yet"]
    lines = (reasons_line([Reason.model_validate(row)]) for row in decision["reasons"])
    return [f"{decision['action']} at {local(decision['at'])}", *lines]


def _retrain_lines(facts: Facts) -> list[str]:
    last, allowed = facts["retrain"], facts["next_retrain_at"]
    lines = [f"last: {last['outcome']} at {local(last['at'])}"] if last else ["none yet"]
    when = f"not before {local(allowed)}" if allowed else "at any time"
    return [*lines, f"by itself {when}"]
