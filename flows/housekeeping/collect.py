"""Collect garbage: data sets that no ref, and no run that is kept, leads to."""

import shutil
from pathlib import Path
from typing import Any

from flows.engine.home import MONITOR_LOCK, locked
from pipeline.core.errors import CorruptDataset, InputError
from pipeline.core.home import Home
from pipeline.core.journal import parse
from pipeline.core.manifest import MANIFEST
from pipeline.core.registry import CHAMPION
from pipeline.core.remote import address_of
from pipeline.core.store import LOCKS
from pipeline.settings import Settings

JUDGES = ("drift_reference", "verdict")  # stay as long as their model: a rollback needs them


def collect(settings: Settings, keep: int | None, act: bool) -> dict[str, Any]:
    """Find what nothing leads to, and with ``act`` delete it.

    Of the runs the latest ``keep`` stay, or all; the folders of others go, and with them what
    they alone lead to. Returns ``datasets`` and ``runs`` that go, the ``bytes`` of both, and
    ``kept``: how many data sets stay. A CorruptDataset where a manifest cannot be read.
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
        root = home.store.root
        there = [item for item in root.glob("*/*") if item.parent.name != LOCKS and item.is_dir()]
        names = {folder.relative_to(root).as_posix(): folder for folder in there}
        left = sorted(names.keys() - reached)
        folders = [names[name] for name in left]
        size = sum(file.stat().st_size for gone in (*folders, *old) for file in gone.rglob("*"))
        for folder in (*folders, *old) if act else ():
            (folder / MANIFEST).unlink(missing_ok=True)  # first: without it nothing is there
            shutil.rmtree(folder)
            lock = root / LOCKS / f"{folder.parent.name}-{folder.name}"
            lock.unlink(missing_ok=True)
    runs_gone = [run.name for run in old]
    return {"datasets": left, "runs": runs_gone, "bytes": size, "kept": len(reached)}


def _reached(home: Home, runs: list[Path]) -> set[str]:
    torn: list[str] = []
    manifests = {str(item): item for item in home.manifests(torn.append)}
    for problem in torn:
        raise CorruptDataset(f"gc: nobody knows what this one leads to: {problem}")
    waiting: list[str | None] = []
    for path in (item for item in home.registry.root.glob("*/**/*") if item.is_file()):
        name = path.relative_to(home.registry.root).as_posix()
        if ref := home.registry.get(name):
            waiting += [f"{ref.name}/{ref.fingerprint}", ref.evidence]
            if name == CHAMPION:  # a rollback goes there
                waiting.append(f"{ref.name}/{ref.previous}")
    for run in runs:
        record = run / "run.json"
        told = parse(record.read_text("utf-8", "replace")) if record.exists() else None
        waiting += (told or {}).get("datasets", {}).values()
    judges = [item for item in manifests.values() if item.dataset in JUDGES]
    reached: set[str] = set()
    while waiting:
        current = waiting.pop()
        if current is None or current in reached or current not in manifests:
            continue
        reached.add(current)
        waiting += manifests[current].inputs.values()
        waiting += [str(item) for item in judges if item.inputs.get("model") == current]
    return reached
