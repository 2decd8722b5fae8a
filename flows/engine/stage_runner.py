"""Run a stage once: fingerprint -> reuse, or read, call, validate, write.

Each stage is a Prefect task, so that a server shows it with its time and state; between tasks
travel dataset references. Prefect's result cache stays off: the store is the one cache.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.concurrency.sync import concurrency

from flows.engine import context
from flows.engine.console import StageProgress
from flows.engine.context import Run, is_scheduled, is_stage, say
from pipeline.core.cache import digest
from pipeline.core.errors import CorruptDataset, MissingDataset
from pipeline.core.journal import now
from pipeline.core.manifest import fingerprint
from pipeline.core.memory import bounded
from pipeline.core.outcome import Outcome
from pipeline.core.progress import listening
from pipeline.core.stage import Given, Section, Stage
from pipeline.core.store import Dataset, Filled, Recipe

MODEL_SLOTS = "tuneloop-model"  # global concurrency limit of the stages that hold a model in memory
LEASE_SECONDS = 60
"""After kill -9 a model slot comes back this long after its last renewal, and up to 15 s more
(the server's look-out); renewed at three quarters of it."""
REBUILT = "rebuilt"  # folder of refs, by the fingerprint in whose place a dear stage was made again
EVENT_EVERY = 2.0  # seconds between two progress events of one stage


def run_stage(
    run: Run,
    stage: Stage,
    inputs: Mapping[str, Dataset] | None = None,
    *,
    settings: Section | None = None,
    also: Mapping[str, Any] | None = None,
    parents: Mapping[str, Dataset] | None = None,
    **arguments: Dataset | Given | str | None,
) -> Dataset:
    """Make the dataset of a stage, or take the one made before.

    Args:
        run: the run that the stage belongs to.
        stage: what is done.
        inputs: datasets that count and are not passed, where their names are not always the same.
        settings: another section than the run's own.
        also: settings of other sections on which the result depends.
        parents: datasets of the lineage that decide nothing.
        arguments: of the stage's function. A dataset that it does not read and a digest are not
            passed, but decisive. None: as if it were not there.
    """
    section = settings or stage.settings(run.settings)
    datasets = dict(inputs or {})
    datasets |= {name: item for name, item in arguments.items() if isinstance(item, Dataset)}
    given = {name: item for name, item in arguments.items() if isinstance(item, Given)}
    digests = {name: item for name, item in arguments.items() if isinstance(item, str)}
    digests |= {name: item.digest for name, item in given.items() if item.digest is not None}
    counting = stage.recipe(section) | dict(also or {})
    contents = {name: item.content for name, item in datasets.items()} | digests
    lineage = {name: str(item) for name, item in (digests | datasets | dict(parents or {})).items()}
    plain, recipe = _recipe(run, stage, counting, contents, lineage)

    def write() -> Dataset:
        started = time.monotonic()
        passed: dict[str, Any] = {name: item.value for name, item in given.items()}
        for name in stage.reads.keys() & datasets.keys():
            passed[name] = run.store.read(datasets[name], stage.reads[name])
        if section is not None:
            passed["settings"] = section
        if stage.writes is None:
            fill = cast("Callable[[Path], Filled]", partial(stage.function, **passed))
            return run.store.write_folder(recipe, fill)
        outcome = cast("Outcome[Any]", stage.function(**passed))
        seconds = time.monotonic() - started
        budget = run.settings.store.failure_budget
        return run.store.write(recipe, stage.writes, outcome, budget, seconds)

    @task(name=stage.name, cache_policy=NO_CACHE)
    def make() -> Dataset:
        started = time.monotonic()
        rebuilt = run.registry.get(f"{REBUILT}/{recipe.fingerprint}")
        existing = run.store.find(rebuilt.name, rebuilt.fingerprint) if rebuilt else None
        existing = existing or run.store.find(recipe.dataset, recipe.fingerprint)
        if existing is not None:
            note = _outdated(run, stage, existing, recipe)
            run.finished(stage.name, existing, time.monotonic() - started, note, reused=True)
            run.event("REUSE", stage.name, dataset=str(existing), rows=existing.rows)
            return existing
        note = _why_anew(run, stage, recipe)
        run.event("START", stage.name, fingerprint=recipe.fingerprint)
        with (
            model_slot() if stage.holds_model else nullcontext(),
            StageProgress(stage.name) as bar,
            listening(_with_events(run, stage.name, bar), say),
            bounded(run.settings.compute.memory_megabytes, run.folder),
        ):
            dataset = write()
        if recipe.fingerprint != plain and stage.version is not None:
            run.registry.point(f"{REBUILT}/{plain}", dataset, "rebuilt", now())
        run.finished(stage.name, dataset, time.monotonic() - started, note)
        run.event("COMPLETE", stage.name, dataset=str(dataset), rows=dataset.rows)
        return dataset

    return make()


def _recipe(
    run: Run,
    stage: Stage,
    settings: dict[str, Any],
    contents: dict[str, str],
    inputs: dict[str, str],
) -> tuple[str, Recipe]:
    """Return the fingerprint of a dear stage that nobody rebuilds, and how the dataset is made."""
    modules, version = stage.modules(), stage.version or 0
    key = plain = fingerprint(stage.name, version, settings, contents)
    rebuilt = any(is_stage(stage.name, name) for name in run.settings.store.rebuild)
    if stage.version is None or rebuilt:
        key = fingerprint(stage.name, version, settings, contents | {"code": digest(modules)})
    return plain, Recipe(
        dataset=stage.dataset or stage.name,
        fingerprint=key,
        stage_version=version,
        settings=settings,
        inputs=inputs,
        code=context.code_version() | {"stage": stage.name, "modules": modules},
        libraries=context.library_versions(),
        created_at=now(),
    )


def _outdated(run: Run, stage: Stage, dataset: Dataset, recipe: Recipe) -> str:
    """Say that a reused dataset was made by other code; "" when it was not, or is not known."""
    before = run.store.manifest(dataset.name, dataset.fingerprint).code.get("modules")
    if before is None or before == recipe.code["modules"]:
        return ""
    changed, kind = _shown(before, recipe), stage.name.partition(" ")[0]
    return f"though its code changed ({changed}); --rebuild {kind} to make it again"


def _why_anew(run: Run, stage: Stage, recipe: Recipe) -> str:
    """Say what changed since the stage ran last; "" for its first time, or where not known."""
    try:
        ref = context.ref_name(stage.name, recipe.dataset)
        latest = run.registry.dataset(f"dataset/{ref}", run.store)
    except (CorruptDataset, MissingDataset):
        return ""
    before = run.store.manifest(latest.name, latest.fingerprint) if latest else None
    if before is None or before.code.get("stage") != stage.name:
        return ""
    settings = _differing(before.settings, recipe.settings)
    inputs = _differing(_contents(run, before.inputs), _contents(run, recipe.inputs))
    reasons = [f"{', '.join(changed)} changed" for changed in (settings, inputs) if changed]
    if before.code["modules"] != recipe.code["modules"]:
        reasons.insert(0, f"its code changed ({_shown(before.code['modules'], recipe)})")
    return f"made anew: {'; '.join(reasons)}" if reasons else ""


def _contents(run: Run, inputs: Mapping[str, str]) -> dict[str, str]:
    """Return what inputs hold: the content of datasets, by whatever fingerprint they are known."""
    contents = {}
    for name, reference in inputs.items():
        kind, _, key = reference.partition("/")
        dataset = run.store.find(kind, key) if key else None
        contents[name] = dataset.content if dataset else reference
    return contents


def _shown(before: Mapping[str, str], recipe: Recipe) -> str:
    """Name the modules that changed: the first, and how many more."""
    first, *rest = _differing(before, recipe.code["modules"])
    return f"{first} and {len(rest)} more" if rest else first


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    names = before.keys() | after.keys()
    return sorted(name for name in names if before.get(name) != after.get(name))


@contextmanager
def model_slot() -> Iterator[None]:
    """Hold a place among the stages that may have a model in memory.

    A command of its own needs none: the lock of the home folder keeps others out. ``strict``: a
    limit that does not exist would not be enforced, without a word.
    """
    slot = partial(concurrency, MODEL_SLOTS, occupy=1, strict=True, lease_duration=LEASE_SECONDS)
    with slot() if is_scheduled() else nullcontext():
        yield


def _with_events(run: Run, stage: str, bar: StageProgress) -> Callable[[int, int, str], None]:
    last = 0.0

    def listen(done: int, total: int, unit: str) -> None:
        nonlocal last
        bar(done, total, unit)
        if done == total or time.monotonic() - last > EVENT_EVERY:
            last = time.monotonic()
            run.event("PROGRESS", stage, done=done, total=total, unit=unit)

    return listen
