"""A home folder as data: its store and its refs. Reads only; needs no server."""

import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.core.errors import CorruptDataset, InputError, MissingDataset
from pipeline.core.manifest import MANIFEST, Manifest
from pipeline.core.registry import Registry
from pipeline.core.store import DROPPED, PART, Dataset, Store


@functools.cache
def _say(text: str) -> None:
    sys.stderr.write(f"tuneloop: {text}\n")


@dataclass(frozen=True, slots=True)
class Home:
    """Store and refs of a home folder."""

    store: Store
    registry: Registry

    @classmethod
    def at(cls, home: Path) -> "Home":
        """Open the home folder; without a store it is an InputError."""
        if not (home / "store").is_dir():
            raise InputError(
                f"home: no store in {home}; expected one that a run has made; start with "
                "`tuneloop run`, or name another home with --set paths.home=DIR"
            )
        return cls(Store(home / "store"), Registry(home / "refs"))

    def dataset(self, name: str) -> Dataset:
        """Return the latest dataset of a name, or ``name/fingerprint``, or raise MissingDataset."""
        kind, _, key = name.partition("/")
        if key:
            found = self._starting(kind, key)
        else:
            found = self.registry.dataset(f"dataset/{kind}", self.store)
        if found is None:
            raise MissingDataset(
                f"dataset {name!r}: not found; expected one of "
                f"{', '.join(self._names()) or 'none yet'}, or name/fingerprint; "
                "see `tuneloop show`"
            )
        return found

    def model(self, name: str) -> Dataset:
        """Return ``champion``, ``challenger`` or the model that begins so, or raise InputError."""
        if name in ("champion", "challenger"):
            found = self.registry.dataset(f"model/{name}", self.store)
        else:
            found = self._starting("model", name)
        if found is None:
            known = [path.parent.name for path in self.store.root.glob(f"model/*/{MANIFEST}")]
            raise InputError(
                f"model {name!r}: not found; expected champion, challenger or one of "
                f"{', '.join(sorted(known)) or 'none yet'}; train with `tuneloop run`"
            )
        return found

    def _starting(self, kind: str, key: str) -> Dataset | None:
        pattern = f"{kind}/{key}*/{MANIFEST}"  # one that begins with a slash is refused
        keys = [path.parent.name for path in self.store.root.glob(pattern)]
        return self.store.find(kind, keys[0]) if key and len(keys) == 1 else None  # none of several

    def _names(self) -> list[str]:
        return sorted(path.name for path in (self.registry.root / "dataset").glob("*"))

    def rows(self, dataset: Dataset, dropped: bool = False) -> pl.DataFrame:
        """Return the rows of a table dataset, or its ledger of dropped rows."""
        name = DROPPED if dropped else PART
        if not (self.store.path(dataset) / name).exists():
            raise InputError(
                f"dataset {dataset}: a folder of files, not a table; look into "
                f"{self.store.path(dataset)}"
            )
        return self.store.parquet(dataset, name)

    def latest(self) -> dict[str, Dataset]:
        """Return the latest dataset of each name."""
        found = (
            (name, self.registry.dataset(f"dataset/{name}", self.store)) for name in self._names()
        )
        return {name: dataset for name, dataset in found if dataset is not None}

    def manifests(self, say: Callable[[str], None] = _say) -> list[Manifest]:
        """Return all manifests, the oldest first; one that cannot be read is said and left out."""
        found = []
        # Not what begins with a dot: somebody writes there.
        for path in self.store.root.glob(f"*/[!.]*/{MANIFEST}"):
            try:
                found.append(self.store.manifest(path.parent.parent.name, path.parent.name))
            except CorruptDataset as error:
                say(str(error))
        return sorted(found, key=lambda item: (item.created_at, str(item)))


def stages_before(home: Home, documents: Dataset) -> Iterator[Dataset]:
    """Yield documents as a stage left them, then as the one before did, up to ingest."""
    at: Dataset | None = documents
    while at is not None:
        yield at
        before = home.store.manifest(at.name, at.fingerprint).inputs.get("documents")
        at = None if before is None else home.dataset(before)


def ancestors(home: Home, dataset: Dataset) -> Iterator[Manifest]:
    """Yield the manifests of a data set and of all that it was made from, each once."""
    waiting, seen = [str(dataset)], set()
    while waiting:
        current = waiting.pop()
        name, _, key = current.partition("/")
        if current in seen or not key or home.store.find(name, key) is None:
            continue  # seen, the digest of a file, or withdrawn
        seen.add(current)
        manifest = home.store.manifest(name, key)
        yield manifest
        waiting += manifest.inputs.values()


def fsck(home: Home) -> list[str]:
    """Hash every file again and return what differs from the manifests, a line each."""
    problems: list[str] = []
    for manifest in home.manifests(problems.append):
        problems += differing(home.store, manifest)
    return problems


def differing(store: Store, manifest: Manifest) -> list[str]:
    """Hash the files of a dataset again and return what differs from its manifest, a line each."""
    folder = store.folder(manifest.dataset, manifest.fingerprint)
    return [problem for file in manifest.files if (problem := file.problem(folder))]


def whole(store: Store, dataset: Dataset) -> Path:
    """Return the folder of a dataset, or raise CorruptDataset where a bit of a file differs."""
    for problem in differing(store, store.manifest(dataset.name, dataset.fingerprint)):
        raise CorruptDataset(
            f"store: {problem}; expected what was stored; restore it, or delete the folder and run "
            "again"
        )
    return store.path(dataset)
