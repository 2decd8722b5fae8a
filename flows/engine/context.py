"""One run of a flow: its home, its folder, its record of stages and events.

::

    <home>/runs/<utc>-<flow>-<slug>/
        run.json  settings.toml  events.ndjson  report.html  report.json
"""

import contextlib
import importlib.metadata
import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import prefect.runtime
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from flows.engine.console import StageLine, console
from flows.engine.home import RUN_LOCK, check_space, locked
from flows.engine.mirror import push
from flows.engine.settings_file import dump_settings
from pipeline.core.cache import Cache, write_atomically
from pipeline.core.journal import now
from pipeline.core.manifest import Facts
from pipeline.core.registry import Registry
from pipeline.core.store import Dataset, Store
from pipeline.settings import Settings
from schemas.evaluation import ARMS

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "polars", "datasketch", "prefect")


@dataclass
class Run:
    """What the steps of one run share."""

    flow: str
    settings: Settings
    folder: Path
    started_at: str
    store: Store
    registry: Registry
    lines: list[StageLine] = field(default_factory=list)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    """The dataset each stage ended with, by stage."""

    @property
    def home(self) -> Path:
        """The folder that holds everything the program writes."""
        return self.settings.paths.home

    def cache(self, name: str) -> Cache:
        """Return one of the caches of costly results: ``reads`` or ``replies``."""
        return Cache(self.home / name)

    def facts(self, stage: str) -> Facts:
        """Return what the manifest of a stage's dataset counts."""
        dataset = self.datasets[stage]
        return self.store.manifest(dataset.name, dataset.fingerprint).facts

    def event(self, kind: str, stage: str, **facts: Any) -> None:
        """Append an event to events.ndjson (START, PROGRESS, COMPLETE, FAIL as in OpenLineage)."""
        row = {"at": now(), "event": kind, "run": self.folder.name, "stage": stage} | facts
        with (self.folder / "events.ndjson").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")

    def finished(
        self, stage: str, dataset: Dataset, seconds: float, note: str, reused: bool = False
    ) -> None:
        """Note that a stage ended, and say so."""
        self.datasets[stage] = dataset
        key = dataset.fingerprint if reused else None
        self.lines.append(StageLine(stage, self.facts(stage), seconds, key, note))
        self.registry.point(f"dataset/{ref_name(stage, dataset.name)}", dataset, self.flow, now())
        push(self.home)
        say(str(self.lines[-1]))


def is_stage(stage: str, name: str) -> bool:
    """Whether a name means a stage: its own, or that of a kind such as ``evaluate``."""
    return stage == name or stage.startswith(f"{name} ")


def say(text: str) -> None:
    """Print a line, and send it to the page of the flow run where there is one."""
    console.print(text, markup=False, soft_wrap=True)
    with contextlib.suppress(MissingContextError):
        get_run_logger().info(text)


@cache
def say_once(text: str) -> None:
    """Say what a process would come upon again and again, such as a torn line, only once."""
    say(text)


def is_scheduled() -> bool:
    """Whether a deployment started this flow run, rather than a person at a command line."""
    return bool(prefect.runtime.deployment.id)


def ref_name(stage: str, dataset: str) -> str:
    """Name the ref of a dataset: its own name, with the arm behind it where arms share one."""
    arm = stage.partition(" ")[2]
    return f"{dataset}-{arm}" if arm in ARMS else dataset


WAIT_SECONDS = 12 * 3600.0
"""A scheduled run waits so long for another one; at a command line one is told at once."""


@contextmanager
def open_run(flow: str, settings: Settings, lock: str = RUN_LOCK) -> Iterator[Run]:
    """Lock the home folder and give the block a run of its own.

    Flows that make no data set or model of the loop take another ``lock``. HomeLocked where another
    run uses the home folder, StoreError where it cannot be written or its disk is nearly full.
    """
    home = settings.paths.home
    with locked(home, lock, WAIT_SECONDS if is_scheduled() else 0):
        check_space(home, settings.store.min_free_megabytes)
        started = datetime.now(UTC)
        name = f"{started:%Y%m%dT%H%M%SZ}-{flow}-{secrets.token_hex(3)}"
        folder = home / "runs" / name
        folder.mkdir(parents=True)
        (folder / "settings.toml").write_text(dump_settings(settings), "utf-8")
        store, registry = Store(home / "store"), Registry(home / "refs", say_once)
        run = Run(flow, settings, folder, f"{started:%Y-%m-%dT%H:%M:%SZ}", store, registry)
        run.event("START", flow)
        try:
            yield run
        except BaseException as error:
            _close(run, f"{type(error).__name__}: {str(error) or 'it was stopped from outside'}")
            raise
        for name in settings.store.rebuild:
            if not any(is_stage(line.stage, name) for line in run.lines):
                stages = ", ".join(dict.fromkeys(line.stage for line in run.lines))
                say(f"rebuild: no stage {name!r} in this run; its stages are {stages}")
        _close(run, None)


def _close(run: Run, error: str | None) -> None:
    run.event("FAIL" if error else "COMPLETE", run.flow, **({"error": error} if error else {}))
    told = {"flow": run.flow, "started_at": run.started_at, "ended_at": now(), "error": error}
    record = told | {"code": code_version(), "datasets": run.datasets}
    write_atomically(run.folder / "run.json", json.dumps(record, indent=1, default=str).encode())


@cache
def code_version() -> dict[str, Any]:
    """Return commit and dirty flag of the checkout; empty when it is not one."""
    git = ["git", "-C", str(Path(__file__).parents[2])]
    ask = partial(subprocess.check_output, text=True, stderr=subprocess.DEVNULL)
    try:
        commit = ask([*git, "rev-parse", "HEAD"]).strip()
        return {"commit": commit, "dirty": bool(ask([*git, "status", "--porcelain"]).strip())}
    except (OSError, subprocess.CalledProcessError):
        return {}


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that shape results."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}
