"""Data at rest: content-addressed, write-once datasets under ``<home>/store``.

A dataset is the folder ``<dataset>/<fingerprint>`` with its files and ``manifest.json``, which is
written last: without it the dataset is not there. Everything is written to a temporary sibling,
synced and renamed, so a killed process leaves no half dataset.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import polars as pl
from filelock import FileLock
from pandera.typing.polars import DataFrame
from pydantic import ValidationError

from pipeline.core.cache import digest, write_atomically
from pipeline.core.code import LOOKED, remembered
from pipeline.core.errors import CorruptDataset, MissingDataset, SchemaMismatch
from pipeline.core.manifest import MANIFEST, Facts, FileEntry, Manifest, Recipe, content_digest
from pipeline.core.memory import joined, let_go
from pipeline.core.outcome import Outcome
from pipeline.core.validation import quarantine, validate
from schemas.base import Drops, Table

S = TypeVar("S", bound=Table)

PART = "part-00000.parquet"
DROPPED = "dropped.parquet"
ROW_GROUP = 4096  # rows encoded at once: as one group, 183 MB of texts took 243 MB more, so 7
LOCKS = ".locks"  # folder of the store with a lock for each recipe that was ever written


@dataclass(frozen=True, slots=True)
class Dataset:
    """A reference that travels between steps; the rows stay in the store."""

    name: str
    fingerprint: str
    content: str
    rows: int

    @classmethod
    def of(cls, manifest: Manifest) -> "Dataset":
        """Return the dataset of a manifest."""
        return cls(manifest.dataset, manifest.fingerprint, manifest.content, manifest.facts.rows)

    def __str__(self) -> str:
        return f"{self.name}/{self.fingerprint}"


@dataclass(frozen=True, slots=True)
class Filled:
    """What was written into a folder dataset."""

    identity: tuple[str, ...]  # files that make its content; timings and logs do not
    rows: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)  # rows that came in and were left out


_Fill = Callable[[Path], tuple[Facts, str | tuple[str, ...]]]
"""Writes the files; returns the digest of the content, or the files that it is made from."""


class Store:
    """Reads and writes datasets; the only door between tables and the disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._validated: set[tuple[Path, str, type[Table]]] = set()  # file, content of its data set

    def folder(self, name: str, fingerprint: str) -> Path:
        """Return where a dataset lies, whether or not it is there."""
        return self.root / name / fingerprint

    def path(self, dataset: Dataset) -> Path:
        """Return the folder of a dataset."""
        return self.folder(dataset.name, dataset.fingerprint)

    def find(self, name: str, fingerprint: str) -> Dataset | None:
        """Return a finished dataset, or None."""
        if not (self.folder(name, fingerprint) / MANIFEST).exists():
            return None
        return Dataset.of(self.manifest(name, fingerprint))

    def manifest(self, name: str, fingerprint: str) -> Manifest:
        """Read a manifest, or raise MissingDataset without one, CorruptDataset where it is none."""
        path = self.folder(name, fingerprint) / MANIFEST
        try:
            return Manifest.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise MissingDataset(
                f"store: {name}/{fingerprint} is not there; expected {path}; "
                "run the stage that makes it again"
            ) from None
        except ValidationError as error:
            raise CorruptDataset(
                f"store: {path} is not a manifest ({error.error_count()} errors); "
                "delete the folder and run again"
            ) from error

    def read(self, dataset: Dataset, schema: type[S]) -> DataFrame[S]:
        """Read and validate the rows of a dataset; those of an earlier version are upgraded."""
        manifest = self.manifest(dataset.name, dataset.fingerprint)
        frame = self.parquet(dataset, PART)
        name, version = manifest.facts.schema_name, manifest.facts.schema_version
        if (name, version) != (schema.__name__, schema.version()):
            upgraded = schema.upgrade(frame, version or 0) if name == schema.__name__ else None
            if upgraded is None:
                raise SchemaMismatch(
                    f"store: {dataset} holds {name} version {version}; expected "
                    f"{schema.__name__} version {schema.version()}; delete it and run again"
                )
            frame = upgraded
        if frame.height != manifest.facts.rows:
            raise CorruptDataset(
                f"store: {dataset} has {frame.height} rows; its manifest says "
                f"{manifest.facts.rows}; delete the folder and run again"
            )
        self._check(frame, dataset, schema)
        return cast("DataFrame[S]", frame)

    def _check(
        self, frame: pl.DataFrame, dataset: Dataset, schema: type[Table], file: str = PART
    ) -> None:
        """Validate a table, unless this very file was valid by this code of the schema."""
        path = self.path(dataset) / file
        this = (path, dataset.content, schema)
        if this in self._validated:
            return
        state = path.stat()
        key = {"schema": schema.__name__, "stamp": [state.st_size, state.st_mtime_ns]}
        key |= {"content": dataset.content, "file": file}

        def valid() -> dict[str, Any]:
            validate(frame, schema, str(dataset) if file == PART else f"{dataset}:{path.stem}")
            return {"valid": True}

        remembered(self.root.parent / LOOKED, schema.__module__, key, valid)
        self._validated.add(this)

    def read_dropped(self, dataset: Dataset) -> DataFrame[Drops]:
        """Read the ledger of a dataset: the rows its stage let go."""
        return cast("DataFrame[Drops]", self.parquet(dataset, DROPPED))

    def read_table(self, dataset: Dataset, table: str, schema: type[S]) -> DataFrame[S]:
        """Read a further table stored with a dataset, such as the audit of redactions."""
        frame = self.parquet(dataset, f"{table}.parquet")
        self._check(frame, dataset, schema, f"{table}.parquet")
        return cast("DataFrame[S]", frame)

    def write(
        self, recipe: Recipe, schema: type[S], outcome: Outcome[S], budget: float, seconds: float
    ) -> Dataset:
        """Validate an outcome, quarantine bad rows within the budget, or raise SchemaMismatch."""
        if not outcome.balances:
            raise SchemaMismatch(
                f"{recipe.dataset}: {outcome.rows_in} rows in, {outcome.rows_kept} kept and "
                f"{outcome.dropped.height} dropped; expected in = kept + dropped; this is a bug "
                "of the stage, please report it with the run folder"
            )
        outcome = quarantine(outcome, schema, recipe.dataset, budget)
        dropped = validate(outcome.dropped, Drops, f"{recipe.dataset}:dropped")
        extras = {
            name: validate(frame, extra, f"{recipe.dataset}:{name}")
            for name, (extra, frame) in outcome.tables.items()
        }

        def fill(folder: Path) -> tuple[Facts, str]:
            frames: dict[str, pl.DataFrame] = {PART: outcome.kept, DROPPED: dropped}
            frames |= {f"{name}.parquet": frame for name, frame in extras.items()}
            for name, frame in frames.items():
                with (folder / name).open("wb") as stream:
                    frame.write_parquet(stream, row_group_size=ROW_GROUP)
                let_go()
            facts = Facts(
                schema_name=schema.__name__,
                schema_version=schema.version(),
                rows=outcome.kept.height,
                rows_in=outcome.rows_in,
                rows_kept=outcome.rows_kept,
                rows_dropped=dropped.height,
                reasons=outcome.reasons,
                metrics=outcome.metrics,
                seconds=round(seconds, 3),
            )
            return facts, content_digest(outcome.kept)

        return self._finish(recipe, fill)

    def write_folder(self, recipe: Recipe, fill: Callable[[Path], Filled]) -> Dataset:
        """Store a folder of files, such as a model; ``fill`` writes them and says what counts."""

        def fill_and_note(folder: Path) -> tuple[Facts, tuple[str, ...]]:
            started = time.monotonic()
            filled = fill(folder)
            dropped = sum(filled.reasons.values())
            facts = Facts(
                rows=filled.rows,
                rows_in=filled.rows + dropped,
                rows_kept=filled.rows,
                rows_dropped=dropped,
                reasons=filled.reasons,
                metrics=filled.metrics,
                seconds=round(time.monotonic() - started, 3),
            )
            return facts, filled.identity

        return self._finish(recipe, fill_and_note)

    def _finish(self, recipe: Recipe, fill: _Fill) -> Dataset:
        final = self.folder(recipe.dataset, recipe.fingerprint)
        final.parent.mkdir(parents=True, exist_ok=True)
        lock = self.root / LOCKS / f"{recipe.dataset}-{recipe.fingerprint}"
        lock.parent.mkdir(exist_ok=True)
        # One writer of a recipe at a time; it goes with its process, however that ends.
        with FileLock(lock):
            made = self.find(recipe.dataset, recipe.fingerprint)  # by another flow, meanwhile
            return made or self._write_once(recipe, final, fill)

    def _write_once(self, recipe: Recipe, final: Path, fill: _Fill) -> Dataset:
        for left_over in final.parent.glob(f".{recipe.fingerprint}.*.tmp"):
            shutil.rmtree(left_over)  # of a killed run: the lock says that nobody writes it
        temporary = final.with_name(f".{recipe.fingerprint}.{os.getpid()}.tmp")
        temporary.mkdir()
        try:
            facts, content = fill(temporary)
            paths = sorted(path for path in temporary.rglob("*") if path.is_file())
            files = tuple(FileEntry.of(temporary, path) for path in paths)
            if not isinstance(content, str):
                content = digest(
                    [[file.name, file.sha256] for file in files if file.name in content]
                )
            manifest = Manifest(**recipe.model_dump(), content=content, facts=facts, files=files)
            write_atomically(temporary / MANIFEST, manifest.model_dump_json(indent=1).encode())
            if final.exists():  # what is left of a folder whose manifest was deleted by hand
                shutil.rmtree(final)
            temporary.rename(final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return Dataset.of(manifest)

    def parquet(self, dataset: Dataset, name: str) -> pl.DataFrame:
        """Read a Parquet file of a dataset, or raise MissingDataset or CorruptDataset."""
        path = self.path(dataset) / name
        try:
            scan = pl.scan_parquet(path)
            rows = scan.select(pl.len()).collect().item()
            return joined(
                scan.slice(begin, ROW_GROUP).collect() for begin in range(0, rows or 1, ROW_GROUP)
            )
        except FileNotFoundError:
            raise MissingDataset(
                f"store: {dataset} has no {name}; expected {path}; delete the folder and run again"
            ) from None
        except pl.exceptions.PolarsError as error:
            raise CorruptDataset(
                f"store: {path} cannot be read as Parquet ({error}); delete the "
                "folder and run again"
            ) from error
