"""What decides whether a stage is run again, and what has changed since it was run last."""

import importlib.metadata
import subprocess
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from pipeline.core.cache import digest
from pipeline.core.errors import CorruptDataset, MissingDataset
from pipeline.core.journal import now
from pipeline.core.manifest import Recipe, fingerprint
from pipeline.core.registry import Registry
from pipeline.core.stage import Stage
from pipeline.core.store import Dataset, Store
from schemas.evaluation import ARMS

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "polars", "datasketch", "prefect")
Texts = dict[str, str]


def recipe_of(
    stage: Stage, settings: dict[str, Any], contents: Texts, inputs: Texts, rebuilding: bool
) -> tuple[str, Recipe]:
    """Return the fingerprint of a dear stage that nobody rebuilds, and how the dataset is made."""
    modules, version = stage.modules(), stage.version or 0
    key = plain = fingerprint(stage.name, version, settings, contents)
    if stage.version is None or rebuilding:
        key = fingerprint(stage.name, version, settings, contents | {"code": digest(modules)})
    return plain, Recipe(
        dataset=stage.dataset or stage.name,
        fingerprint=key,
        stage_version=version,
        settings=settings,
        inputs=inputs,
        code=code_version() | {"stage": stage.name, "modules": modules},
        libraries=library_versions(),
        created_at=now(),
    )


def is_stage(stage: str, name: str) -> bool:
    """Whether a name means a stage: its own, or that of a kind such as ``evaluate``."""
    return stage == name or stage.startswith(f"{name} ")


def ref_name(stage: str, dataset: str) -> str:
    """Name the ref of a dataset: its own name, with the arm behind it where arms share one."""
    arm = stage.partition(" ")[2]
    return f"{dataset}-{arm}" if arm in ARMS else dataset


def outdated(store: Store, stage: Stage, dataset: Dataset, recipe: Recipe) -> str:
    """Say that a reused dataset was made by other code; "" when it was not, or is not known."""
    before = store.manifest(dataset.name, dataset.fingerprint).code.get("modules")
    if before is None or before == recipe.code["modules"]:
        return ""
    changed, kind = _shown(before, recipe), stage.name.partition(" ")[0]
    return f"though its code changed ({changed}); --rebuild {kind} to make it again"


def why_anew(store: Store, registry: Registry, stage: Stage, recipe: Recipe) -> str:
    """Say what changed since the stage ran last; "" for its first time, or where not known."""
    try:
        latest = registry.dataset(f"dataset/{ref_name(stage.name, recipe.dataset)}", store)
    except (CorruptDataset, MissingDataset):
        return ""
    before = store.manifest(latest.name, latest.fingerprint) if latest else None
    if before is None or before.code.get("stage") != stage.name:
        return ""
    settings = _differing(before.settings, recipe.settings)
    inputs = _differing(_contents(store, before.inputs), _contents(store, recipe.inputs))
    reasons = [f"{', '.join(changed)} changed" for changed in (settings, inputs) if changed]
    if before.code["modules"] != recipe.code["modules"]:
        reasons.insert(0, f"its code changed ({_shown(before.code['modules'], recipe)})")
    return f"made anew: {'; '.join(reasons)}" if reasons else ""


def _contents(store: Store, inputs: Mapping[str, str]) -> Texts:
    """Return what inputs hold: the content of datasets, by whatever fingerprint they are known."""
    contents = {}
    for name, reference in inputs.items():
        kind, _, key = reference.partition("/")
        dataset = store.find(kind, key) if key else None
        contents[name] = dataset.content if dataset else reference
    return contents


def _shown(before: Mapping[str, str], recipe: Recipe) -> str:
    """Name the modules that changed: the first, and how many more."""
    first, *rest = _differing(before, recipe.code["modules"])
    return f"{first} and {len(rest)} more" if rest else first


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    names = before.keys() | after.keys()
    return sorted(name for name in names if before.get(name) != after.get(name))


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
