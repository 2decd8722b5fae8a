"""What other programs see of a running ``tuneloop up``: its addresses, and what will run when."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from filelock import FileLock, Timeout

from flows.engine.home import open_home
from pipeline.core.cache import write_atomically

LOCK_SECONDS = 1.0
"""Longer than anybody holds the lock who only asks whether it is held."""


BUSY_TRIES = 10
"""Prefect answers 503 while its database is locked, which a busy moment is enough for."""

BUSY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Up:
    """A running ``tuneloop up``."""

    process: int
    since: str
    """UTC, ISO 8601."""
    ready: bool
    """False while the servers start."""
    prefect: str
    """Address of its page; the API is below ``/api``."""
    label_studio: str
    """Address; empty when none was started."""
    page: str = ""
    """Address of the front page."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A deployment on the server."""

    name: str
    """Of the flow."""
    next: datetime | None
    """None when nothing is planned."""
    last: datetime | None
    """Start of the last run that ended or runs."""
    state: str
    """Of the last run; empty when there was none."""


BEGUN = ("RUNNING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED", "CANCELLING")
"""Types of the states of a run that is more than a plan."""


@contextmanager
def sole(home: Path) -> Iterator[bool]:
    """Hold the lock of ``up`` for the block; yields False when another process holds it."""
    open_home(home)
    folder = home / "services"
    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        (folder / "up.json").unlink(missing_ok=True)
        lock.release()


def record(home: Path, up: Up) -> None:
    """Write down where the servers are."""
    write_atomically(home / "services" / "up.json", json.dumps(asdict(up), indent=1).encode())


def running_up(home: Path) -> Up | None:
    """Return the ``tuneloop up`` of a home folder; None when there is none.

    What a killed one wrote down does not count: its lock went with it.
    """
    path = home / "services" / "up.json"
    if not path.exists():
        return None
    try:
        with FileLock(home / "services" / "lock", timeout=0):
            return None
    except Timeout:
        pass
    try:
        return Up(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None  # it stopped just now


def running_prefect(home: Path) -> str | None:
    """Return the API address of the Prefect server of a running ``tuneloop up``, if it is well."""
    up = running_up(home)
    if up is None or not up.ready:
        return None
    url = f"{up.prefect}/api"
    return url if answers(url) else None


def answers(api: str) -> bool:
    """Whether a Prefect server answers at an address that ends with ``/api``, and is well."""
    try:
        return httpx.get(f"{api}/health", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def schedules(api: str, secret: str) -> list[Scheduled]:
    """Ask a Prefect server what it will run when, and what became of the last runs.

    Args:
        api: its address, which ends with ``/api``.
        secret: its login, ``name:password``.

    Returns:
        All deployments, soonest first; those without a planned run last.

    Raises:
        httpx.HTTPError: the server does not answer as it should.
    """
    with _client(api, secret) as client:
        flows = {item["id"]: item["name"] for item in _post(client, "/flows/filter", {})}
        found = []
        for deployment in _post(client, "/deployments/filter", {}):
            last = _run(client, deployment["id"], BEGUN, "EXPECTED_START_TIME_DESC")
            planned = _run(client, deployment["id"], ("SCHEDULED",), "EXPECTED_START_TIME_ASC")
            found.append(
                Scheduled(
                    name=flows[deployment["flow_id"]],
                    next=_time(planned, "expected_start_time"),
                    last=_time(last, "start_time"),
                    state=last["state"]["name"] if last else "",
                )
            )
    far = datetime.max.replace(tzinfo=UTC)
    return sorted(found, key=lambda item: (item.next or far, item.name))


def plan(api: str, secret: str) -> None:
    """Let a server plan the next runs now: its own look-out takes a few seconds.

    Raises:
        httpx.HTTPError: the server does not answer as it should.
    """
    with _client(api, secret) as client:
        for deployment in _post(client, "/deployments/filter", {}):
            if deployment["schedules"] and not deployment["paused"]:
                _post(client, f"/deployments/{deployment['id']}/schedule", {})


@contextmanager
def _client(api: str, secret: str) -> Iterator[httpx.Client]:
    """Give the block a client with the login and a CSRF token, as Prefect's own has them."""
    name, _, password = secret.partition(":")
    with httpx.Client(base_url=api, auth=(name, password), timeout=30, trust_env=False) as client:
        key = str(uuid4())
        token = _ask(client, "GET", f"/csrf-token?client={key}")["token"]
        client.headers.update({"Prefect-Csrf-Client": key, "Prefect-Csrf-Token": token})
        yield client


def _run(
    client: httpx.Client, deployment: str, states: tuple[str, ...], order: str
) -> dict[str, Any] | None:
    """Return the first flow run of a deployment in one of the states."""
    wanted = {
        "deployments": {"id": {"any_": [deployment]}},
        "flow_runs": {"state": {"type": {"any_": states}}},
        "sort": order,
        "limit": 1,
    }
    return next(iter(_post(client, "/flow_runs/filter", wanted)), None)


def _post(client: httpx.Client, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _ask(client, "POST", path, body) or []
    return rows


def _ask(client: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    answer = client.request(method, path, json=body)
    for _ in range(BUSY_TRIES):
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(BUSY_SECONDS)
        answer = client.request(method, path, json=body)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def _time(run: dict[str, Any] | None, field: str) -> datetime | None:
    return datetime.fromisoformat(run[field]) if run and run[field] else None
