"""Deployments: what runs by itself, when, and on which kind of machine. One registry.

::

    python -m flows.services.deploy SETTINGS.toml            serve them here, as `tuneloop up` does
    python -m flows.services.deploy --workers SETTINGS.toml  make them for workers elsewhere, once

The latter makes slots, automations and deployments of two work pools on the server that
PREFECT_API_URL names (that of `tuneloop up` asks for PREFECT_API_AUTH_STRING too, the line in
``<home>/prefect/login``), and says how to start the workers. Such deployments are left to them.

Their names, ``curate/tuneloop`` and so on, leave the home out: a Prefect server has one. What
somebody paused in Prefect stays paused; what is changed in the settings is applied at the next
start.
"""

import asyncio
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal, NamedTuple, cast
from uuid import UUID

import httpx
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, FlowRun
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.runner import Runner
from prefect.states import Cancelled, Crashed
from prefect.types._datetime import now
from prefect.types.entrypoint import EntrypointType

from flows.engine import environment
from flows.engine.context import MODEL_SLOTS
from flows.engine.home import is_at_work
from flows.engine.settings_file import load_settings
from flows.services.automations import apply_automations
from flows.services.running import BEAT, runs_of
from pipeline.core.cache import write_atomically
from pipeline.settings import Settings

DEPLOYMENT = "tuneloop"  # name of each deployment behind its flow's, and slug of its schedule
RUNS_AT_ONCE = 4
"""Flow runs of the serving process: a training, and a synthesize that waits for it, must not hold
up the review sync and the monitor."""
BEAT_SECONDS = 2.0
BEGUN = ("PENDING", "RUNNING", "CANCELLING")  # states of a run that a process is at work on
PAGE = 200  # runs in one answer
SETTLE_SECONDS = 60.0  # between two looks for runs whose command was killed


@dataclass(frozen=True, slots=True)
class Entry:
    """One flow that runs by itself."""

    name: str  # of the flow; also the field of ScheduleSettings, for one with a schedule
    entrypoint: str  # module path of the flow: works in a checkout and in a package
    about: str
    pool: Literal["cpu", "gpu"] = "cpu"  # kind of worker, where there are workers
    scheduled: bool = True  # False for one that is only started by an event or by hand

    def cron(self, settings: Settings) -> str:
        """Return the five cron fields; empty for never."""
        return str(getattr(settings.schedule, self.name)) if self.scheduled else ""

    @property
    def work_pool(self) -> str:
        """The pool whose workers run it, where there are workers."""
        return f"{DEPLOYMENT}-{self.pool}"

    def flow(self) -> Flow[..., Any]:
        """Import the flow."""
        return cast("Flow[..., Any]", resolve_name(":".join(self.entrypoint.rsplit(".", 1))))


REGISTRY = (
    Entry("curate", "flows.curate.curate", "Takes new documents in."),
    Entry("synthesize", "flows.synthesize.synthesize",
          "Takes new documents in, writes and screens pairs for them.", pool="gpu"),
    Entry("review", "flows.review.sync_reviews", "Pulls decisions and pushes what is next."),
    Entry("monitor", "flows.monitor.monitor", "Looks for drift and decides what it leads to."),
    Entry("retrain", "flows.retrain.retrain",
          "Trains a challenger, judges it, promotes or keeps. Started by a drift event.",
          pool="gpu", scheduled=False),
    Entry("reconcile", "flows.reconcile.reconcile", "Starts a retrain whose event got lost."),
)  # fmt: skip


class Applied(NamedTuple):
    """A deployment as it is on the server."""

    name: str
    id: UUID
    served: RunnerDeployment | None  # None for one that the workers of a pool run


def deployments(settings: Settings, entries: Sequence[Entry] = REGISTRY) -> list[RunnerDeployment]:
    """Return the deployments to serve: one run at a time each, a colliding one is dropped."""

    def schedule(cron: str) -> DeploymentScheduleCreate:
        times = CronSchedule(cron=cron, timezone=settings.schedule.timezone)
        # `active` is not said: a new schedule is active, one that was paused stays so.
        return DeploymentScheduleCreate(schedule=times, slug=DEPLOYMENT)

    cancel_new = ConcurrencyLimitStrategy.CANCEL_NEW
    return [
        RunnerDeployment.from_flow(
            entry.flow(),
            name=DEPLOYMENT,
            schedules=[schedule(cron) for cron in [entry.cron(settings)] if cron] or None,
            parameters={"settings": settings.model_dump(mode="json", exclude_defaults=True)},
            concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=cancel_new),
            description=entry.about,
            tags=[DEPLOYMENT, entry.pool],
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for entry in entries
    ]


def apply(
    settings: Settings, entries: Sequence[Entry] = REGISTRY, workers: bool = False
) -> list[Applied]:
    """Make deployments, slots and automations what the settings say; twice doubles nothing.

    ``workers``: for workers elsewhere, in work pools of theirs, which are made where they are not.
    """
    ensure_limits(settings)
    applied = []
    with get_client(sync_client=True) as client:
        for entry, deployment in zip(entries, deployments(settings, entries), strict=True):
            before, pool = None, entry.work_pool if workers else None
            with suppress(ObjectNotFound):
                before = client.read_deployment_by_name(f"{entry.name}/{DEPLOYMENT}")
            if before is not None and before.work_pool_name and not workers:
                applied.append(Applied(entry.name, before.id, None))
                continue
            if before is not None:
                deployment.paused = before.paused
            if pool:
                with suppress(ObjectAlreadyExists):
                    client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
            # Typed as if it could be awaited.
            key = cast(UUID, deployment.apply(work_pool_name=pool))
            for schedule in before.schedules if before and not deployment.schedules else ():
                if schedule.slug == DEPLOYMENT:  # one that a person added is theirs
                    client.delete_deployment_schedule(key, schedule.id)
            applied.append(Applied(entry.name, key, None if workers else deployment))
    apply_automations(settings, {item.name: item.id for item in applied})
    return applied


def ensure_limits(settings: Settings, anew: bool = False) -> None:
    """Make the concurrency limit of models; one that is missing would not be enforced.

    ``anew``, while nothing runs: give back at once the slots of runs that were killed.
    """
    slots = settings.schedule.model_slots
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(name=MODEL_SLOTS, limit=slots)
        if anew:
            client.delete_global_concurrency_limit_by_name(MODEL_SLOTS)
            client.upsert_global_concurrency_limit_by_name(name=MODEL_SLOTS, limit=slots)


def serve_all(settings: Settings, entries: Sequence[Entry] = REGISTRY) -> None:
    """Apply the deployments and run what is due, until the process is asked to end."""
    home, applied = settings.paths.home, apply(settings, entries)
    served = [item.served for item in applied if item.served is not None]
    # Workers elsewhere may be at work; without them nothing is, since this process is the only one.
    ensure_limits(settings, anew=len(served) == len(entries))
    # Schedules must survive the end of this process: Prefect would pause them.
    runner = Runner(name=DEPLOYMENT, limit=RUNS_AT_ONCE, pause_on_shutdown=False)
    settle_leftovers([cast(UUID, runner.add_deployment(item)) for item in served])
    threading.Thread(target=_beat, args=(runner, home / "services" / BEAT), daemon=True).start()
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
        with suppress(httpx.HTTPError), get_client(sync_client=True) as client:
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


def main(arguments: list[str]) -> None:
    """Serve the deployments of a settings file, or make them for workers elsewhere."""
    settings = load_settings(Path(arguments[-1]))
    environment.prepare(settings.paths.home, settings.model.allow_download)
    if arguments[0] != "--workers":
        return serve_all(settings)
    apply(settings, workers=True)
    sys.stdout.write("on each machine, with tuneloop installed and the paths of these settings:\n")
    for pool in sorted({entry.work_pool for entry in REGISTRY}):
        sys.stdout.write(f"  prefect worker start --pool {pool}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
