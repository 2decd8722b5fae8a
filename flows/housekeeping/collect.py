"""Collect garbage: data sets that no ref, and no run that is kept, leads to."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.engine.home import MONITOR_LOCK, locked
from pipeline.core.errors import CorruptDataset, InputError
from pipeline.core.home import Home
from pipeline.core.journal import parse
from pipeline.core.manifest import Manifest
from pipeline.core.registry import CHAMPION, Ref
from pipeline.core.remote import address_of
from pipeline.core.store import LOCKS, MANIFEST
from pipeline.settings import Settings

JUDGES = ("drift_reference", "verdict")
"""Data sets made of a model that stay as long as it does: a rollback needs them."""


def collect(settings: Settings, keep: int | None, act: bool) -> dict[str, Any]:
    """Find what nothing leads to, and with ``act`` delete it.

    Args:
        settings: of the home.
        keep: how many of the latest runs stay; the folders of others go, and with them what they
            alone lead to. None: all.
        act: whether to delete.

    Returns:
        ``datasets`` and ``runs`` that go, the ``bytes`` of both, and ``kept``: how many data sets
        stay.

    Raises:
        InputError: the home is a mirror of an object store.
        CorruptDataset: a manifest cannot be read, so what it leads to is not known.
    """
    path = settings.paths.home
    if address := address_of(path):
        raise InputError(
            f"gc: the home is {address}, whose data sets are never deleted; expected a folder of "
            "this machine; delete what you do not need in a new home"
        )
    home = Home.at(path)
    with locked(path), locked(path, MONITOR_LOCK):
        runs = sorted((path / "runs").glob("*"))
        old = runs[: len(runs) - keep] if keep is not None else []
        reached = _reached(home, [run for run in runs if run not in old])
        folders = [folder for folder in home.store.root.glob("*/*") if _is_left(folder, reached)]
        size = sum(file.stat().st_size for gone in (*folders, *old) for file in gone.rglob("*"))
        for folder in (*folders, *old) if act else ():
            (folder / MANIFEST).unlink(missing_ok=True)  # first: without it nothing is there
            shutil.rmtree(folder)
            (home.store.root / LOCKS / f"{folder.parent.name}-{folder.name}").unlink(
                missing_ok=True
            )
    names = sorted(f"{folder.parent.name}/{folder.name}" for folder in folders)
    return {"datasets": names, "runs": [run.name for run in old], "bytes": size,
            "kept": len(reached)}  # fmt: skip


def _is_left(folder: Path, reached: set[str]) -> bool:
    is_dataset = folder.parent.name != LOCKS and folder.is_dir()
    return is_dataset and f"{folder.parent.name}/{folder.name}" not in reached


def _reached(home: Home, runs: list[Path]) -> set[str]:
    """Return the data sets that refs and runs lead to, their ancestors included."""
    torn: list[str] = []
    manifests = {str(item): item for item in replace(home, say=torn.append).manifests()}
    for problem in torn:
        raise CorruptDataset(f"gc: nobody knows what this one leads to: {problem}")
    waiting: list[str | None] = []
    for path in (item for item in home.registry.root.glob("*/**/*") if item.is_file()):
        ref = home.registry.get(path.relative_to(home.registry.root).as_posix())
        waiting += _named(ref, ref is not None and path == home.registry.root / CHAMPION)
    for run in runs:
        record = run / "run.json"
        told = parse(record.read_text("utf-8", "replace")) if record.exists() else None
        waiting += (told or {}).get("datasets", {}).values()
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name is None or name in reached or name not in manifests:
            continue
        reached.add(name)
        waiting += [*manifests[name].inputs.values(), *_judging(name, manifests)]
    return reached


def _named(ref: Ref | None, champion: bool) -> list[str | None]:
    if ref is None:
        return []
    before = f"{ref.name}/{ref.previous}" if champion and ref.previous else None
    return [f"{ref.name}/{ref.fingerprint}", ref.evidence, before]


def _judging(model: str, manifests: dict[str, Manifest]) -> list[str]:
    if not model.startswith("model/"):
        return []
    judged = (item for item in manifests.values() if item.dataset in JUDGES)
    return [str(item) for item in judged if item.inputs.get("model") == model]
