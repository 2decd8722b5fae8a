"""Seed tasks: what people wrote to start self-instruct from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.errors import InputError
from pipeline.core.outcome import table
from pipeline.pairs.jsonl import read_jsonl
from schemas.pairs import SeedTasks

FIELDS: dict[str, type] = {
    "id": str,
    "name": str,
    "instruction": str,
    "input": str,
    "output": str,
    "is_classification": bool,
}
"""Fields of a line of the seed-task file and their types."""

FILLED = {"id": 1, "instruction": 3, "output": 1}
"""Fewest characters of the fields that may not be empty (the bounds of the schema)."""

SHOWN = 5
"""Problems named in one message; the rest is counted."""


def read_seed_tasks(path: Path | None) -> DataFrame[SeedTasks]:
    """Read the seed-task file; None gives an empty table, and nothing is made of seed tasks."""
    return table(SeedTasks, []) if path is None else seed_tasks(read_jsonl(path))


def seed_tasks(rows: Sequence[Mapping[str, Any]]) -> DataFrame[SeedTasks]:
    """Return the seed tasks as a table sorted by id; surrounding white space is taken off.

    Args:
        rows: objects with the fields ``id, name, instruction, input, output`` (strings) and
            ``is_classification`` (true or false), in file order.

    Raises:
        InputError: there are no rows, or some miss a field, have one of another type or an empty
            one, or share an id. Rows are numbered from 1.
    """
    if not rows:
        raise InputError(
            "seed tasks: none found; expected at least one line "
            f"with the fields {', '.join(FIELDS)}; fill the seed-task file"
        )
    problems: list[str] = []
    first_with: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        found = _problems(row)
        problems += [f"row {number}: {problem}" for problem in found]
        if found:
            continue
        other = first_with.setdefault(row["id"].strip(), number)
        if other != number:
            problems.append(f"row {number}: id {row['id']!r} is that of row {other} as well")
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise InputError(
            f"seed tasks: {'; '.join(problems[:SHOWN])}{more}; expected the fields "
            f"{', '.join(FIELDS)} with an id of its own in each row; mend these rows"
        )
    tasks = (
        {
            "seed_task_id": row["id"].strip(),
            "name": row["name"].strip(),
            "instruction": row["instruction"].strip(),
            "input": row["input"].strip(),
            "output": row["output"].strip(),
            "is_classification": row["is_classification"],
        }
        for row in rows
    )
    return table(SeedTasks, sorted(tasks, key=lambda task: task["seed_task_id"]))


def _problems(row: Mapping[str, Any]) -> list[str]:
    problems = []
    for name, kind in FIELDS.items():
        if name not in row:
            problems.append(f"{name} is missing")
        elif not isinstance(row[name], kind):
            problems.append(f"{name} is a {type(row[name]).__name__}, not a {kind.__name__}")
        elif name == "id" and len(row[name].split()) > 1:
            problems.append("id holds white space")
        elif len(str(row[name]).strip()) < FILLED.get(name, 0):
            problems.append(f"{name} is empty or too short")
    known = ", ".join(sorted(set(row) - set(FIELDS)))
    if known:
        problems.append(f"unknown fields {known}")
    return problems
