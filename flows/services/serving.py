"""The process that starts what is due: it drops what was missed and shows that it is well."""

import asyncio
import contextlib
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import cast
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.states import Cancelled, Crashed
from prefect.types._datetime import now

from flows.engine.home import is_at_work
from flows.services.running import BEAT, runs_of
from pipeline.core.cache import write_atomically

BEAT_SECONDS = 2.0
BEGUN = ("PENDING", "RUNNING", "CANCELLING")  # states of a run that a process is at work on
PAGE = 200  # runs in one answer
SETTLE_SECONDS = 60.0  # between two looks for runs whose command was killed


def serve(deployments: Sequence[RunnerDeployment], home: Path, limit: int) -> None:
    """Run what is due, ``limit`` flow runs at a time, until the process is asked to end."""
    # Schedules must survive the end of this process: Prefect would pause them.
    runner = Runner(name="tuneloop", limit=limit, pause_on_shutdown=False)
    settle_leftovers([cast(UUID, runner.add_deployment(item)) for item in deployments])
    beat = home / "services" / BEAT
    threading.Thread(target=_beat, args=(runner, beat), daemon=True).start()
    threading.Thread(target=_settle_commands, args=(home,), daemon=True).start()
    asyncio.run(_run(runner))


async def _run(runner: Runner) -> None:
    """Run until SIGTERM or SIGINT; flow runs that are not done then are cancelled on the server.

    Prefect's own handler of SIGTERM leaves the loop before it has said so to the server.
    """
    running = asyncio.create_task(runner.start())
    while not runner.started and not running.done():
        await asyncio.sleep(0.05)
    stopping: list[asyncio.Task[None]] = []

    def stop() -> None:
        if not stopping:
            stopping.append(asyncio.create_task(runner.astop()))

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await running


def settle_leftovers(deployments: Sequence[UUID]) -> None:
    """End what an earlier process left on the server.

    Runs that it was killed in are marked crashed, which gives their slots back. Of the scheduled
    runs that nobody started in time, the latest of each deployment stays: each flow takes its
    window from what it did last. Runs that an event or a person asked for all stay.
    """
    with get_client(sync_client=True) as client:
        for run in _runs(client, deployments, BEGUN):
            stopped = "tuneloop up was stopped in the middle of this run."
            client.set_flow_run_state(run.id, Crashed(message=stopped), force=True)
        late = defaultdict(list)
        for run in _runs(client, deployments, ["SCHEDULED"]):
            due = run.expected_start_time
            if run.auto_scheduled and due is not None and due < now("UTC"):
                late[run.deployment_id].append((due, run.id))
        for missed in late.values():
            for _, key in sorted(missed)[:-1]:
                why = "tuneloop up was not running then."
                client.set_flow_run_state(key, Cancelled(name="Skipped", message=why), force=True)


def _settle_commands(home: Path) -> None:
    """Mark the runs crashed whose command was killed: nobody else would say so."""
    while True:
        # The server may be starting again.
        with contextlib.suppress(httpx.HTTPError), get_client(sync_client=True) as client:
            for run in _runs(client, None, BEGUN):
                if not any(is_at_work(home, tag) is False for tag in run.tags):
                    continue
                # It may have ended well since it was read: its lock went after that.
                state = client.read_flow_run(run.id).state
                if state is not None and not state.is_final():
                    killed = "The command of this run was killed."
                    client.set_flow_run_state(run.id, Crashed(message=killed), force=True)
        time.sleep(SETTLE_SECONDS)


def _runs(
    client: SyncPrefectClient, deployments: Sequence[UUID] | None, states: Sequence[str]
) -> list[FlowRun]:
    """Return the runs in some states of some deployments; with None, those that have none."""
    found: list[FlowRun] = []
    while True:
        page = client.read_flow_runs(
            flow_run_filter=runs_of(deployments, states), limit=PAGE, offset=len(found)
        )
        found += page
        if len(page) < PAGE:
            return found


def _beat(runner: Runner, path: Path) -> None:
    """Write down each new poll of the server: a loop that hangs or fails does not beat."""
    last = None
    while True:
        if runner.last_polled is not None and runner.last_polled != last:
            last = runner.last_polled
            write_atomically(path, last.isoformat().encode())
        time.sleep(BEAT_SECONDS)
