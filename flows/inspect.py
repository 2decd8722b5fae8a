"""Look at data, follow a row both ways, verify the store. Reads only; needs no server."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.errors import InputError, MissingDataset
from pipeline.ingest.lineage import describe, locate
from pipeline.manifest import Manifest
from pipeline.registry import Registry
from pipeline.store import DROPPED, MANIFEST, PART, Dataset, Store

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Home:
    """Store and refs of a home folder."""

    store: Store
    registry: Registry

    @classmethod
    def at(cls, home: Path) -> "Home":
        """Open the home folder.

        Raises:
            InputError: there is none yet.
        """
        if not (home / "store").is_dir():
            raise InputError(
                f"home: no store in {home}; expected one that a run has made; start with "
                "`tuneloop run`, or name another home with --set paths.home=DIR"
            )
        return cls(Store(home / "store"), Registry(home / "refs"))

    def dataset(self, name: str) -> Dataset:
        """Return a dataset by ``name`` (the latest one) or ``name/fingerprint``.

        Raises:
            MissingDataset: there is no such dataset; the message lists those there are.
        """
        kind, _, key = name.partition("/")
        if key:
            folders = sorted((self.store.root / kind).glob(f"{key}*"))
            if len(folders) == 1:
                key = folders[0].name
            found = self.store.find(kind, key)
        else:
            found = self.registry.dataset(f"dataset/{kind}", self.store)
        if found is None:
            known = sorted(path.name for path in (self.registry.root / "dataset").glob("*"))
            raise MissingDataset(
                f"dataset {name!r}: not found; expected one of {', '.join(known) or 'none yet'}, "
                "or name/fingerprint; see `tuneloop show`"
            )
        return found

    def model(self, name: str) -> Dataset:
        """Return a model by ``champion``, ``challenger``, or a fingerprint or its first digits.

        Raises:
            InputError: there is none, or several begin so; the message lists those there are.
        """
        found = None
        if name in ("champion", "challenger"):
            found = self.registry.dataset(f"model/{name}", self.store)
        elif name:
            keys = [path.parent.name for path in self.store.root.glob(f"model/{name}*/{MANIFEST}")]
            found = self.store.find("model", keys[0]) if len(keys) == 1 else None
        if found is None:
            known = [path.parent.name for path in self.store.root.glob(f"model/*/{MANIFEST}")]
            raise InputError(
                f"model {name!r}: not found; expected champion, challenger or one of "
                f"{', '.join(sorted(known)) or 'none yet'}; train with `tuneloop run`"
            )
        return found

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
        names = sorted(path.name for path in (self.registry.root / "dataset").glob("*"))
        found = {name: self.registry.dataset(f"dataset/{name}", self.store) for name in names}
        return {name: dataset for name, dataset in found.items() if dataset is not None}

    def manifests(self) -> list[Manifest]:
        """Return all manifests of the store."""
        # Not what begins with a dot: somebody writes there.
        paths = sorted(self.store.root.glob(f"*/[!.]*/{MANIFEST}"))
        return [self.store.manifest(path.parent.parent.name, path.parent.name) for path in paths]


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
    problems = []
    for manifest in home.manifests():
        folder = home.store.folder(manifest.dataset, manifest.fingerprint)
        for file in manifest.files:
            path = folder / file.name
            if not path.exists():
                problems.append(f"{path}: missing")
                continue
            with path.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                    problems.append(f"{path}: {path.stat().st_size} bytes differ from the manifest")
    return problems


TRACED = {
    "doc_id": ["raw_documents", "documents", "unique_documents", "splits"],
    "chunk_id": ["chunks", "splits"],
    "pair_id": [
        "candidate_pairs",
        "screened_pairs",
        "reviews",
        "settled_pairs",
        "gold_pairs",
        "clean_pairs",
        "examples",
    ],
}
"""Where each kind of id lives, in the order of the stages."""


def trace(home: Home, identifier: str) -> Row:
    """Follow a document, chunk or pair through the latest datasets, up to source and models.

    What only older datasets have is followed through those behind a model that learned it.

    Returns:
        ``found``: dataset -> row, upstream rows included; ``dropped``: dataset -> ledger row;
        ``place``: where the chunk stands in the original, with ``label`` (file and page), ``start``
        and ``end`` (characters of the raw text), ``pages`` and ``share`` (how much of it was
        found); None without a chunk; ``models``: models that were trained on the pair, or on a
        pair of the document or chunk.

    Raises:
        InputError: nothing has this id.
    """
    models = _models_trained_on(home, identifier)
    found, dropped = _follow(home, identifier, home.latest())
    if models and not found and not dropped:
        # The nearest of each name: deduplication compared with older documents.
        nearest = reversed(list(ancestors(home, models[-1])))
        behind = {item.dataset: home.dataset(str(item)) for item in nearest}
        found, dropped = _follow(home, identifier, behind)
    if not found and not dropped:
        raise InputError(
            f"trace: no document, chunk or pair {identifier!r} in the latest datasets or behind a "
            "model; expected an id as `tuneloop show pairs` prints it"
        )
    return {
        "id": identifier,
        "found": found,
        "dropped": dropped,
        "place": _place(found),
        "models": [str(model) for model in models],
    }


def _follow(
    home: Home, identifier: str, datasets: Mapping[str, Dataset]
) -> tuple[dict[str, Row], dict[str, Row]]:
    """Return the rows of an id and of what it was made from, and its rows in the ledgers."""
    found: dict[str, Row] = {}
    dropped: dict[str, Row] = {}
    waiting = [identifier]
    seen: set[str] = set()
    while waiting:
        current = waiting.pop()
        if not current or current in seen:
            continue
        seen.add(current)
        for column, names in TRACED.items():
            for name in (name for name in names if name in datasets):
                frame = home.rows(datasets[name])
                if column == "doc_id" and "chunk_id" in frame.columns:
                    frame = frame.filter(chunk_id="")  # the others are of chunks
                if column in frame.columns:
                    for row in frame.filter(pl.col(column) == current).head(1).to_dicts():
                        found[name] = row
                        waiting += [row[key] for key in ("chunk_id", "doc_id") if row.get(key)]
        for name, dataset in datasets.items():
            if (home.store.path(dataset) / DROPPED).exists():
                ledger = home.rows(dataset, dropped=True).filter(pl.col("id") == current)
                for row in ledger.head(1).to_dicts():
                    dropped[name] = row
                    waiting.append(row["related_id"] or "")
    return found, dropped


def _place(found: dict[str, Row]) -> Row | None:
    raw, chunk = found.get("raw_documents"), found.get("chunks")
    place = locate(raw, chunk["text"]) if raw and chunk else None
    return {"label": describe(raw, place), **place._asdict()} if raw and place else None


def _models_trained_on(home: Home, identifier: str) -> list[Dataset]:
    """Return the models that learned a pair, or a pair of a document or chunk, the latest last."""
    learned: dict[str, set[str]] = {}
    """The pairs in question by examples: many models share theirs."""
    models = []
    for manifest in sorted(home.manifests(), key=lambda item: (item.created_at, str(item))):
        source = manifest.inputs.get("from")
        if manifest.dataset != "model" or source is None or not identifier:
            continue
        if source not in learned:
            learned[source] = _train_pairs(home, source, identifier)
        model = home.dataset(str(manifest))
        told = json.loads((home.store.path(model) / "training.json").read_text("utf-8"))
        if learned[source] - {row["id"] for row in told["dropped"]}:
            models.append(model)
    return models


def _train_pairs(home: Home, examples: str, identifier: str) -> set[str]:
    """Return the train rows of examples that are a pair, or are of a document or chunk."""
    name, _, key = examples.partition("/")
    origin = home.store.find(name, key)
    if origin is None:
        return set()
    wanted = (pl.col("pair_id") == identifier) | (pl.col("doc_id") == identifier)
    for item in ancestors(home, origin):
        if item.dataset == "clean_pairs":  # examples say nothing of chunks
            pairs = home.rows(home.dataset(str(item))).filter(chunk_id=identifier)["pair_id"]
            wanted |= pl.col("pair_id").is_in(pairs.to_list())
    return set(home.rows(origin).filter(wanted, split="train")["pair_id"])
