"""Run a stage once: fingerprint -> reuse, or read, call, validate, write.

Each stage is a Prefect task, so that a server shows it with its time and state; between tasks
travel dataset references. Prefect's result cache stays off: the store is the one cache.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.concurrency.sync import concurrency

from flows.console import StageLine, StageProgress
from flows.context import Run, code_version, is_scheduled, library_versions, say
from flows.deploy import LEASE_SECONDS, MODEL_SLOTS
from flows.home import now
from pipeline.manifest import fingerprint
from pipeline.outcome import Outcome
from pipeline.progress import listening
from pipeline.settings import Section
from pipeline.store import Dataset, Filled, Recipe
from schemas.base import Table

S = TypeVar("S", bound=Table)

EVENT_EVERY = 2.0
"""Seconds between two progress events of one stage."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Name and version of a stage; raise the version when its results change."""

    name: str
    version: int
    dataset: str | None = None
    """Name of the dataset; the stage's own unless several stages make the same kind."""
    holds_model: bool = False
    """Whether it loads a language model: on a server, such stages take turns."""


def run_stage(
    run: Run,
    stage: Stage,
    schema: type[S],
    compute: Callable[..., Outcome[S]],
    *,
    settings: Section | Mapping[str, Any],
    tables: Mapping[str, tuple[Dataset, type[Table]]] | None = None,
    keys: Mapping[str, str] | None = None,
    parents: Mapping[str, Dataset] | None = None,
) -> Dataset:
    """Make the dataset of a table stage, or take the one made before.

    Args:
        run: the run that the stage belongs to.
        stage: name and version.
        schema: contract of the kept rows.
        compute: called with the input tables by name, when the dataset is not there.
        settings: what the result depends on, besides the inputs.
        tables: inputs from the store, with the schema to read them by.
        keys: digests of inputs that are not in the store (files, a base model), or of the part
            of a dataset that matters.
        parents: datasets that belong to the lineage while ``keys`` decide about reuse.
    """
    tables = tables or {}

    def write(recipe: Recipe) -> Dataset:
        started = time.monotonic()
        frames = {name: run.store.read(*entry) for name, entry in tables.items()}
        outcome = compute(**frames)
        seconds = time.monotonic() - started
        return run.store.write(recipe, schema, outcome, run.settings.store.failure_budget, seconds)

    inputs = {name: dataset for name, (dataset, _) in tables.items()}
    return _once(run, stage, settings, inputs, keys or {}, write, parents or {})


def run_folder_stage(
    run: Run,
    stage: Stage,
    fill: Callable[[Path], Filled],
    *,
    settings: Section | Mapping[str, Any],
    inputs: Mapping[str, Dataset] | None = None,
    keys: Mapping[str, str] | None = None,
    parents: Mapping[str, Dataset] | None = None,
) -> Dataset:
    """Make a dataset that is a folder of files, such as a model, or take the one made before.

    Args:
        run: the run that the stage belongs to.
        stage: name and version.
        fill: writes the files into the folder it is given and says which make its content.
        settings: what the result depends on, besides the inputs.
        inputs: datasets whose content decides about reuse; ``fill`` reads what it needs.
        keys: as in :func:`run_stage`.
        parents: as in :func:`run_stage`.
    """

    def write(recipe: Recipe) -> Dataset:
        return run.store.write_folder(recipe, fill)

    return _once(run, stage, settings, inputs or {}, keys or {}, write, parents or {})


def _once(
    run: Run,
    stage: Stage,
    settings: Section | Mapping[str, Any],
    inputs: Mapping[str, Dataset],
    keys: Mapping[str, str],
    write: Callable[[Recipe], Dataset],
    parents: Mapping[str, Dataset],
) -> Dataset:
    section = settings.recipe() if isinstance(settings, Section) else dict(settings)
    contents = {name: dataset.content for name, dataset in inputs.items()} | dict(keys)
    name = stage.dataset or stage.name
    recipe = Recipe(
        name=name,
        fingerprint=fingerprint(stage.name, stage.version, section, contents),
        version=stage.version,
        settings=section,
        inputs={key: str(item) for key, item in {**keys, **inputs, **parents}.items()},
        code=code_version(),
        libraries=library_versions(),
        created_at=now(),
    )

    @task(name=stage.name, cache_policy=NO_CACHE)
    def make() -> Dataset:
        started = time.monotonic()
        existing = run.store.find(name, recipe.fingerprint)
        if existing is not None:
            _finish(run, stage, existing, time.monotonic() - started, reused=True)
            run.event("REUSE", stage.name, dataset=str(existing), rows=existing.rows)
            return existing
        run.event("START", stage.name, fingerprint=recipe.fingerprint)
        with (
            model_slot() if stage.holds_model else nullcontext(),
            StageProgress(stage.name) as bar,
            listening(_with_events(run, stage.name, bar), say),
        ):
            dataset = write(recipe)
        _finish(run, stage, dataset, time.monotonic() - started, reused=False)
        run.event("COMPLETE", stage.name, dataset=str(dataset), rows=dataset.rows)
        return dataset

    return make()


@contextmanager
def model_slot() -> Iterator[None]:
    """Hold a place among the stages that may have a model in memory.

    A command of its own needs none: the lock of the home folder keeps others out. ``strict``: a
    limit that does not exist would not be enforced, without a word.
    """
    if not is_scheduled():
        yield
        return
    with concurrency(MODEL_SLOTS, occupy=1, strict=True, lease_duration=LEASE_SECONDS):
        yield


def _finish(run: Run, stage: Stage, dataset: Dataset, seconds: float, reused: bool) -> None:
    facts = run.store.manifest(dataset.name, dataset.fingerprint).facts
    line = StageLine(
        stage=stage.name,
        rows_in=facts.rows_in,
        rows_kept=facts.rows_kept,
        rows=facts.rows,
        reasons=facts.reasons,
        seconds=seconds,
        reused=dataset.fingerprint if reused else None,
    )
    run.finished(line, dataset)


def _with_events(run: Run, stage: str, bar: StageProgress) -> Callable[[int, int, str], None]:
    last = 0.0

    def listen(done: int, total: int, unit: str) -> None:
        nonlocal last
        bar(done, total, unit)
        if done == total or time.monotonic() - last > EVENT_EVERY:
            last = time.monotonic()
            run.event("PROGRESS", stage, done=done, total=total, unit=unit)

    return listen
