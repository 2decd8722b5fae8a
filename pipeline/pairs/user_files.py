"""Files that a user wrote: seed tasks, gold rows, benchmarks; read whole or refused by line."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pandera.typing.polars import DataFrame
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pipeline.core.errors import InputError
from pipeline.core.outcome import EXCERPT, table
from pipeline.documents.readers.reading import ReadFailure
from pipeline.documents.readers.records import csv_rows
from pipeline.pairs.answer_text import texts_in
from schemas.pairs import SeedTasks

SHOWN = 5  # problems named in one message; the rest is counted
TABLES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")  # whose rows have fields
READABLE = (*TABLES, ".txt", ".md")  # extensions of benchmark files


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON Lines file, without blank lines; InputError names a bad one."""
    try:
        text = path.read_text("utf-8-sig")  # a byte order mark is what some editors add
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); expected a JSON Lines file; "
            "correct the path in the settings"
        ) from error
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {number}: not UTF-8; expected UTF-8 text; save the file as UTF-8"
        ) from error
    rows = []
    # Only \n ends a line: str.splitlines would cut at U+2028 inside a JSON string.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InputError(
                f"{path}, line {number}: not JSON ({error}); expected one JSON object a line; "
                "mend that line"
            ) from error
        if not isinstance(value, dict):
            raise InputError(
                f"{path}, line {number}: a JSON {type(value).__name__} found; expected an object "
                '{"key": value, ...}; mend that line'
            )
        rows.append(value)
    return rows


def check_fields(place: str, row: Mapping[str, Any], fields: Mapping[str, type]) -> None:
    """Raise an InputError unless the fields of a row have the given types."""
    for name, kind in fields.items():
        if not isinstance(row.get(name), kind) or isinstance(row[name], bool):
            raise InputError(
                f"{place}: field {name!r} is {row.get(name)!r}; expected {kind.__name__}; "
                "mend that line"
            )


def read_rows(path: Path, setting: str = "paths.gold") -> list[dict[str, Any]]:
    """Return the rows of a file by field; InputError: it cannot be read, or a row has no fields."""
    rows = _read(setting, path, TABLES)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise InputError(
                f"{setting}: {path}, row {number}: a {type(row).__name__} found; expected an "
                "object with fields; mend that row"
            )
    return rows


def stop_if_mostly_bad(name: str, bad: Sequence[str], rows: int, expected: str) -> None:
    """Raise InputError, with the first of the ``bad``, when more than half of the rows are bad."""
    if 2 * len(bad) > rows:
        raise InputError(
            f"{name}: {len(bad)} of {rows} rows are bad (the first: {bad[0][:EXCERPT]}); expected "
            f"{expected}; correct the file or its path"
        )


class _SeedTask(BaseModel):
    """A line of the seed-task file."""

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)

    seed_task_id: Annotated[str, Field(alias="id", pattern=r"^\S+$")]
    name: str
    instruction: Annotated[str, Field(min_length=3)]
    input: str
    output: Annotated[str, Field(min_length=1)]
    is_classification: bool


FIELDS = ", ".join(field.alias or name for name, field in _SeedTask.model_fields.items())


def read_seed_tasks(path: Path | None) -> DataFrame[SeedTasks]:
    """Read the seed-task file; None gives an empty table, and nothing is made of seed tasks."""
    return table(SeedTasks, []) if path is None else seed_tasks(read_jsonl(path))


def seed_tasks(rows: Sequence[Mapping[str, Any]]) -> DataFrame[SeedTasks]:
    """Return the seed tasks as a table sorted by id; InputError names the rows that are wrong."""
    if not rows:
        raise InputError(
            f"seed tasks: none found; expected at least one line with the fields {FIELDS}; "
            "fill the seed-task file"
        )
    try:
        tasks = TypeAdapter(list[_SeedTask]).validate_python(rows)
        ids = [task.seed_task_id for task in tasks]
        problems = [
            f"row {number}: id {key!r} is that of row {ids.index(key) + 1} as well"
            for number, key in enumerate(ids, start=1)
            if ids.index(key) + 1 < number
        ]
    except ValidationError as error:
        problems = [
            f"row {int(item['loc'][0]) + 1}: {item['loc'][1]}: "
            + ("" if item["type"] == "missing" else f"{item['input']!r:.60} found; ")
            + item["msg"]
            for item in error.errors()
        ]
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise InputError(
            f"seed tasks: {'; '.join(problems[:SHOWN])}{more}; expected the fields "
            f"{FIELDS} with an id of its own in each row; mend these rows"
        )
    rows = sorted((task.model_dump() for task in tasks), key=lambda task: task["seed_task_id"])
    return table(SeedTasks, rows)


def read_benchmark(path: Path) -> list[tuple[str, list[str]]]:
    """Return name (``file.jsonl#7``) and texts of each row; of a text file, of each paragraph."""
    rows = _read("paths.benchmarks", path, READABLE)
    texts = [list(filter(str.strip, texts_in(row))) for row in rows]
    named = [(f"{path.name}#{number}", found) for number, found in enumerate(texts, start=1)]
    found = [(name, texts) for name, texts in named if texts]
    if not found:
        raise InputError(
            f"paths.benchmarks: {path} has {len(rows)} rows and no text; expected questions and "
            "answers as text; take the file out of paths.benchmarks or correct it"
        )
    return found


def _read(setting: str, path: Path, readable: Sequence[str]) -> list[Any]:
    try:
        suffix = path.suffix.lower()
        if suffix not in readable:
            raise ValueError(f"extension {path.suffix!r} is not known")
        match suffix:
            case ".jsonl" | ".ndjson":
                return read_jsonl(path)
            case ".json":
                tree = json.loads(path.read_text("utf-8-sig"))
                return tree if isinstance(tree, list) else [tree]
            case ".csv":
                return list(csv_rows(path.read_bytes()))
            case ".tsv":
                return list(csv_rows(path.read_bytes(), "\t"))
            case ".parquet":
                return pl.read_parquet(path).to_dicts()
        return path.read_text("utf-8-sig").split("\n\n")
    except (OSError, ReadFailure, ValueError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{setting}: {path} cannot be read ({error}); expected one of {' '.join(readable)}; "
            "correct the path or the file"
        ) from error
