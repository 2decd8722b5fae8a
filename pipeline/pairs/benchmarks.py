"""Benchmark files that the user names: their rows must not be trained on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.errors import InputError
from pipeline.pairs.jsonl import read_jsonl

READABLE = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt", ".md")


def read_benchmark(path: Path) -> list[tuple[str, list[str]]]:
    """Return the rows of a benchmark file as their texts.

    Args:
        path: JSON Lines, JSON (a list of objects), CSV or TSV with a header, Parquet; of a text
            file each paragraph is a row.

    Returns:
        For each row its name, ``file.jsonl#7`` (from 1), and all its text fields in order, texts
        inside lists and objects included. Rows without any text are left out.

    Raises:
        InputError: the file cannot be read, or holds no text at all.
    """
    try:
        rows = list(_rows(path))
    except (OSError, UnicodeDecodeError, ValueError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"paths.benchmarks: {path} cannot be read ({error}); expected one of "
            f"{' '.join(READABLE)}; correct the path or the file"
        ) from error
    named = [(f"{path.name}#{number}", list(_texts(row))) for number, row in enumerate(rows, 1)]
    found = [(name, texts) for name, texts in named if texts]
    if not found:
        raise InputError(
            f"paths.benchmarks: {path} has {len(rows)} rows and no text; expected questions and "
            "answers as text; take the file out of paths.benchmarks or correct it"
        )
    return found


def _rows(path: Path) -> Iterator[Any]:
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        yield from read_jsonl(path)
    elif suffix == ".json":
        tree = json.loads(path.read_text("utf-8-sig"))
        yield from tree if isinstance(tree, list) else [tree]
    elif suffix in (".csv", ".tsv"):
        separator = "," if suffix == ".csv" else "\t"
        yield from pl.read_csv(path, separator=separator, infer_schema=False).iter_rows(named=True)
    elif suffix == ".parquet":
        yield from pl.read_parquet(path).iter_rows(named=True)
    elif suffix in (".txt", ".md"):
        yield from (part for part in path.read_text("utf-8-sig").split("\n\n"))
    else:
        raise ValueError(f"extension {suffix!r} is not known")


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a value, in order."""
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
