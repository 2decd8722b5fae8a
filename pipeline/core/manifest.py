"""The manifest: what a dataset is, where it came from, and how to tell that it is whole."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from pipeline.core.cache import canonical_json, digest
from pipeline.core.memory import let_go
from pipeline.core.record import Record

MANIFEST = "manifest.json"  # in the folder of each dataset
PREFIX = 80  # characters by which lines nearly always differ: the first column is an id
BATCH = 1024  # rows written as lines at once


class FileEntry(Record):
    """One file of a dataset."""

    name: str
    sha256: str
    bytes: int

    @classmethod
    def of(cls, folder: Path, path: Path) -> "FileEntry":
        """Return the entry of a file that was just written, once it is on the disk."""
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            os.fsync(stream.fileno())
        name = path.relative_to(folder).as_posix()
        return cls(name=name, sha256=sha256, bytes=path.stat().st_size)

    def problem(self, folder: Path) -> str:
        """Hash the file again; return how it differs from this entry, or ""."""
        path = folder / self.name
        if not path.exists():
            return f"{path}: missing"
        with path.open("rb") as stream:
            same = hashlib.file_digest(stream, "sha256").hexdigest() == self.sha256
        return "" if same else f"{path}: {path.stat().st_size} bytes differ from the manifest"


class Facts(Record):
    """What a stage did: its contract, its counts, its time."""

    schema_name: str | None = None
    """None for a folder of files, such as a model."""
    schema_version: int | None = None
    rows: int
    rows_in: int
    rows_kept: int
    rows_dropped: int = 0
    reasons: dict[str, int] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    seconds: float


class Recipe(Record):
    """How a dataset was made; everything of its manifest that the stage's result does not say."""

    dataset: str
    fingerprint: str
    """Hash of stage, version, settings, content of the inputs."""
    stage_version: int
    inputs: dict[str, str]
    """Input name -> ``dataset/fingerprint``, or a bare digest for what is not a dataset."""
    settings: dict[str, Any]
    code: dict[str, Any]
    libraries: dict[str, str]
    created_at: str


class Manifest(Recipe):
    """Written last into a dataset's folder: without it the dataset is not there."""

    content: str
    """Hash of the rows (or files), whatever wrote them."""
    facts: Facts
    files: tuple[FileEntry, ...]

    def __str__(self) -> str:
        return f"{self.dataset}/{self.fingerprint}"


def fingerprint(stage: str, version: int, settings: dict[str, Any], inputs: dict[str, str]) -> str:
    """Return the 16-digit name of what a stage makes of these settings and input contents."""
    recipe = {"stage": stage, "version": version, "settings": settings, "inputs": inputs}
    return digest(recipe)[:16]


def content_digest(frame: pl.DataFrame) -> str:
    """Return the sha256 of the rows of a frame, independent of row and column order.

    Rows go through NDJSON, not Parquet, so that the Parquet writer's version does not matter. It
    is the sha256 of the sorted lines as canonical JSON, of which few are in memory at once.
    """
    ordered = frame.select(sorted(frame.columns))
    starts = pl.concat(
        pl.Series([line[:PREFIX] for line in lines], dtype=pl.String)
        for lines in chain([[]], _batches(ordered))  # a Series at least
    )
    if starts.is_duplicated().any() or len(starts) != frame.height:  # U+2028 makes two lines
        lines: Iterable[str] = sorted(chain.from_iterable(_batches(ordered)))
    else:
        lines = chain.from_iterable(_batches(ordered[starts.arg_sort()]))
    found = hashlib.sha256(b"[")
    for number, line in enumerate(lines):
        found.update((("," if number else "") + canonical_json(line)).encode())
    found.update(b"]")
    return found.hexdigest()


def _batches(frame: pl.DataFrame) -> Iterator[list[str]]:
    for begin in range(0, frame.height, BATCH):
        yield frame[begin : begin + BATCH].write_ndjson().splitlines()
        let_go()
