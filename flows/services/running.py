"""What other programs see of a running ``tuneloop up``: its addresses, and what will run when."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
from filelock import FileLock, Timeout

from flows.engine.home import open_home
from flows.engine.mirror import is_held
from pipeline.core.cache import write_atomically

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.filters import FlowRunFilter

LOCK_SECONDS = 1.0  # longer than anybody holds the lock who only asks whether it is held
BEAT = "deployments.beat"
"""File below ``<home>/services`` that is written anew each time Prefect was asked what is due."""
BEGUN = ("RUNNING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED", "CANCELLING")
"""Types of the states of a run that is more than a plan."""


@dataclass(frozen=True, slots=True)
class Up:
    """A running ``tuneloop up``."""

    process: int
    since: str  # UTC, ISO 8601
    ready: bool  # False while the servers start
    prefect: str  # address of its page; the API is below ``/api``
    label_studio: str  # address; empty when none was started
    page: str = ""  # address of the front page


@contextmanager
def sole(home: Path) -> Iterator[bool]:
    """Hold the lock of ``up`` for the block; yields False when another process holds it."""
    open_home(home)
    lock = FileLock(home / "services" / "lock")
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        (home / "services" / "up.json").unlink(missing_ok=True)
        lock.release()


def record(home: Path, up: Up) -> None:
    """Write down where the servers are."""
    write_atomically(home / "services" / "up.json", json.dumps(asdict(up), indent=1).encode())


def running_up(home: Path) -> Up | None:
    """Return the ``tuneloop up`` of a home, or None: the lock of a killed one went with it."""
    path = home / "services" / "up.json"
    if not path.exists() or not is_held(home / "services" / "lock"):
        return None
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
    """Whether a server (of Prefect, below ``/api``) answers at an address that it is well."""
    try:
        return httpx.get(f"{api}/health", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def schedules(api: str, secret: str) -> list[dict[str, Any]]:
    """Ask a Prefect server for its deployments, soonest first; httpx.HTTPError where it fails.

    Each has its ``name``, the time of the ``next`` run (None: nothing is planned), that of the
    ``last`` one that ended or runs (None: there was none), and the ``state`` of the latter.
    """
    from prefect.client.schemas.sorting import FlowRunSort

    soonest, latest = FlowRunSort.EXPECTED_START_TIME_ASC, FlowRunSort.EXPECTED_START_TIME_DESC
    found: list[dict[str, Any]] = []
    with _client(api, secret) as client:
        flows = {flow.id: flow.name for flow in client.read_flows()}
        for deployment in client.read_deployments():
            due, begun = (runs_of([deployment.id], states) for states in (["SCHEDULED"], BEGUN))
            planned = client.read_flow_runs(flow_run_filter=due, sort=soonest, limit=1)
            last = client.read_flow_runs(flow_run_filter=begun, sort=latest, limit=1)
            state = last[0].state_name or "" if last else ""
            row: dict[str, Any] = {"name": flows[deployment.flow_id], "state": state}
            row["next"] = planned[0].expected_start_time if planned else None
            found.append(row | {"last": last[0].start_time if last else None})
    far = datetime.max.replace(tzinfo=UTC)
    return sorted(found, key=lambda item: (item["next"] or far, item["name"]))


def plan(api: str, secret: str) -> None:
    """Let a server plan the next runs now, not in a few seconds; httpx.HTTPError where it fails."""
    with _client(api, secret) as client:
        for deployment in client.read_deployments():
            if deployment.schedules and not deployment.paused:
                key = {"id": deployment.id}
                client.request("POST", "/deployments/{id}/schedule", path_params=key, json={})


def runs_of(deployments: Sequence[UUID] | None, states: Sequence[str]) -> "FlowRunFilter":
    """Return the filter of runs in some states of some deployments; with None, of no deployment."""
    from prefect.client.schemas.filters import FlowRunFilter

    own = {"is_null_": True} if deployments is None else {"any_": deployments}
    return FlowRunFilter.model_validate({"deployment_id": own, "state": {"type": {"any_": states}}})


def _client(api: str, secret: str) -> "SyncPrefectClient":
    """Return Prefect's client of a server; it waits where a busy database makes it answer 503."""
    from prefect.client.orchestration import SyncPrefectClient

    return SyncPrefectClient(api, auth_string=secret, httpx_settings={"trust_env": False})
