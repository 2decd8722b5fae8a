"""One run of a flow: its home, the stages that it runs, its folder with the record of them.

``<home>/runs/<utc>-<flow>-<slug>`` has run.json, settings.toml, events.ndjson and the reports.
"""

import contextlib
import gc
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.concurrency.sync import concurrency
from prefect.context import FlowRunContext, TagsContext
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from flows.engine.console import StageLine, StageProgress, console
from flows.engine.home import RUN_LOCK, check_space, locked
from flows.engine.mirror import push
from flows.engine.recipes import code_version, is_stage, outdated, recipe_of, ref_name, why_anew
from flows.engine.settings_file import dump_settings
from pipeline.core.cache import Cache, write_atomically
from pipeline.core.code import LOOKED, remembered
from pipeline.core.journal import now
from pipeline.core.manifest import Facts
from pipeline.core.memory import bounded
from pipeline.core.outcome import Outcome
from pipeline.core.progress import listening
from pipeline.core.registry import Registry
from pipeline.core.stage import Given, Stage
from pipeline.core.store import Dataset, Filled, Store
from pipeline.settings import Settings

MODEL_SLOTS = "tuneloop-model"  # global concurrency limit of the stages that hold a model in memory
LEASE_SECONDS = 60
"""After kill -9 a model slot comes back this long after its last renewal, and up to 15 s more
(the server's look-out); renewed at three quarters of it."""
REBUILT = "rebuilt"  # folder of refs, by the fingerprint in whose place a dear stage was made again
WAIT_SECONDS = 12 * 3600.0  # of a scheduled run for another; at a command line one is told at once


@dataclass
class Run:
    """What the steps of one run share. Called with a stage, it makes a dataset or reuses one.

    Each stage is a Prefect task, so that a server shows it with its time and state; between tasks
    travel dataset references. Prefect's result cache stays off: the store is the one cache.
    """

    flow: str
    settings: Settings
    folder: Path
    started_at: str
    store: Store
    registry: Registry
    lines: list[StageLine] = field(default_factory=list)
    datasets: dict[str, Dataset] = field(default_factory=dict)  # what each stage ended with

    @property
    def home(self) -> Path:
        """The folder that holds everything the program writes."""
        return self.settings.paths.home

    def cache(self, name: str) -> Cache:
        """Return one of the caches of costly results: ``reads`` or ``replies``."""
        return Cache(self.home / name)

    def remembered(
        self,
        make: Callable[[], dict[str, Any]],
        module: str,
        of: Sequence[Dataset],
        **settings: Any,
    ) -> dict[str, Any]:
        """Return what a module finds in datasets, as JSON; anew when they or its code changed.

        For what takes a second in each run and is no dataset itself.
        """
        key = {"of": [str(each) for each in of], **settings}
        return remembered(self.home / LOOKED, module, key, make)

    def facts(self, stage: str) -> Facts:
        """Return what the manifest of a stage's dataset counts."""
        dataset = self.datasets[stage]
        return self.store.manifest(dataset.name, dataset.fingerprint).facts

    def event(self, kind: str, stage: str, **facts: Any) -> None:
        """Append an event to events.ndjson (START, PROGRESS, COMPLETE, FAIL as in OpenLineage)."""
        row = {"at": now(), "event": kind, "run": self.folder.name, "stage": stage} | facts
        with (self.folder / "events.ndjson").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")

    def __call__(
        self, stage: Stage, inputs: Mapping[str, Dataset] | None = None, *,
        settings: Any = None, also: Mapping[str, Any] | None = None,
        parents: Mapping[str, Dataset] | None = None,
        **arguments: Dataset | Given | str | None,
    ) -> Dataset:  # fmt: skip
        """Make the dataset of a stage, or take the one made before.

        Args:
            stage: what is done.
            inputs: datasets that count and are not passed, where their names vary.
            settings: another section than the run's own.
            also: settings of other sections on which the result depends.
            parents: datasets of the lineage that decide nothing.
            arguments: of the stage's function. A dataset that it does not read and a digest are
                not passed, but decisive. None: as if it were not there.
        """
        section = settings or stage.settings(self.settings)
        datasets = dict(inputs or {})
        datasets |= {name: item for name, item in arguments.items() if isinstance(item, Dataset)}
        given = {name: item for name, item in arguments.items() if isinstance(item, Given)}
        digests = {name: item for name, item in arguments.items() if isinstance(item, str)}
        digests |= {name: item.digest for name, item in given.items() if item.digest is not None}
        counting = stage.recipe(section) | dict(also or {})
        contents = {name: item.content for name, item in datasets.items()} | digests
        lineage = digests | datasets | dict(parents or {})
        named = {name: str(item) for name, item in lineage.items()}
        rebuilding = any(is_stage(stage.name, name) for name in self.settings.store.rebuild)
        plain, recipe = recipe_of(stage, counting, contents, named, rebuilding)

        def write() -> Dataset:
            started = time.monotonic()
            passed: dict[str, Any] = {name: item.value for name, item in given.items()}
            for name in stage.reads.keys() & datasets.keys():
                passed[name] = self.store.read(datasets[name], stage.reads[name])
            if section is not None:
                passed["settings"] = section
            if stage.writes is None:
                fill = cast("Callable[[Path], Filled]", partial(stage.function, **passed))
                return self.store.write_folder(recipe, fill)
            outcome = cast("Outcome[Any]", stage.function(**passed))
            seconds = time.monotonic() - started
            budget = self.settings.store.failure_budget
            return self.store.write(recipe, stage.writes, outcome, budget, seconds)

        @task(name=stage.name, cache_policy=NO_CACHE)
        def make() -> Dataset:
            started = time.monotonic()
            rebuilt = self.registry.get(f"{REBUILT}/{recipe.fingerprint}")
            existing = self.store.find(rebuilt.name, rebuilt.fingerprint) if rebuilt else None
            existing = existing or self.store.find(recipe.dataset, recipe.fingerprint)
            if existing is not None:
                note = outdated(self.store, stage, existing, recipe)
                self._finished(stage.name, existing, time.monotonic() - started, note, reused=True)
                self.event("REUSE", stage.name, dataset=str(existing), rows=existing.rows)
                return existing
            note = why_anew(self.store, self.registry, stage, recipe)
            self.event("START", stage.name, fingerprint=recipe.fingerprint)
            with (
                model_slot() if stage.holds_model else nullcontext(),
                StageProgress(stage.name, self.event) as bar,
                listening(bar, say),
                bounded(self.settings.compute.memory_megabytes, self.folder),
            ):
                dataset = write()
            if recipe.fingerprint != plain and stage.version is not None:
                self.registry.point(f"{REBUILT}/{plain}", dataset, "rebuilt", now())
            self._finished(stage.name, dataset, time.monotonic() - started, note)
            self.event("COMPLETE", stage.name, dataset=str(dataset), rows=dataset.rows)
            return dataset

        # The command's tag is for its flow run: Prefect takes a slot for each task that has one.
        with TagsContext(current_tags=set()):
            return make()

    def _finished(
        self, stage: str, dataset: Dataset, seconds: float, note: str, reused: bool = False
    ) -> None:
        self.datasets[stage] = dataset
        key = dataset.fingerprint if reused else None
        self.lines.append(StageLine(stage, self.facts(stage), seconds, key, note))
        self.registry.point(f"dataset/{ref_name(stage, dataset.name)}", dataset, self.flow, now())
        push(self.home)
        say(str(self.lines[-1]))


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
    running = FlowRunContext.get()
    return bool(running and running.flow_run and running.flow_run.deployment_id)


@contextmanager
def model_slot() -> Iterator[None]:
    """Hold a place among the stages that may have a model in memory.

    A command of its own needs none: the lock of the home folder keeps others out. ``strict``: a
    limit that does not exist would not be enforced, without a word.
    """
    slot = partial(concurrency, MODEL_SLOTS, occupy=1, strict=True, lease_duration=LEASE_SECONDS)
    with slot() if is_scheduled() else nullcontext():
        yield


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
        gc.freeze()  # what is loaded is no garbage: to look through it takes a tenth of a second
        try:
            yield run
        except BaseException as error:
            _close(run, f"{type(error).__name__}: {str(error) or 'it was stopped from outside'}")
            raise
        finally:
            gc.unfreeze()
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
