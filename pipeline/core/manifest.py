"""The manifest: what a dataset is, where it came from, and how to tell that it is whole."""

from typing import Any

import polars as pl
from pydantic import Field

from pipeline.core.cache import digest
from pipeline.core.record import Record


class FileEntry(Record):
    """One file of a dataset."""

    name: str
    sha256: str
    bytes: int


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


class Manifest(Record):
    """Written last into a dataset's folder: without it the dataset is not there."""

    dataset: str
    fingerprint: str
    """Hash of the recipe: stage, version, settings, content of the inputs."""
    content: str
    """Hash of the rows (or files), whatever wrote them."""
    stage_version: int
    facts: Facts
    files: tuple[FileEntry, ...]
    inputs: dict[str, str]
    """Input name -> ``dataset/fingerprint``, or a bare digest for what is not a dataset."""
    settings: dict[str, Any]
    code: dict[str, Any]
    libraries: dict[str, str]
    created_at: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.fingerprint}"


def fingerprint(stage: str, version: int, settings: dict[str, Any], inputs: dict[str, str]) -> str:
    """Return the 16-digit name of what a stage makes of these settings and input contents."""
    recipe = {"stage": stage, "version": version, "settings": settings, "inputs": inputs}
    return digest(recipe)[:16]


def content_digest(frame: pl.DataFrame) -> str:
    """Return the sha256 of the rows of a frame, independent of row and column order.

    Rows go through NDJSON, not Parquet, so that the Parquet writer's version does not matter.
    """
    lines = frame.select(sorted(frame.columns)).write_ndjson().splitlines()
    return digest(sorted(lines))
