"""Seed tasks: what people wrote to start self-instruct from."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pandera.typing.polars import DataFrame
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.core.errors import InputError
from pipeline.core.outcome import table
from pipeline.pairs.jsonl import read_jsonl
from schemas.pairs import SeedTasks


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
            f"seed tasks: none found; expected at least one line with the fields {FIELDS}; "
            "fill the seed-task file"
        )
    tasks: list[_SeedTask] = []
    problems: list[str] = []
    first_with: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        try:
            task = _SeedTask.model_validate(row)
        except ValidationError as error:
            problems += [f"row {number}: {problem}" for problem in _problems(error)]
            continue
        tasks.append(task)
        other = first_with.setdefault(task.seed_task_id, number)
        if other != number:
            problems.append(
                f"row {number}: id {task.seed_task_id!r} is that of row {other} as well"
            )
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise InputError(
            f"seed tasks: {'; '.join(problems[:SHOWN])}{more}; expected the fields "
            f"{FIELDS} with an id of its own in each row; mend these rows"
        )
    return table(
        SeedTasks,
        [task.model_dump() for task in sorted(tasks, key=lambda task: task.seed_task_id)],
    )


def _problems(error: ValidationError) -> Iterator[str]:
    for item in error.errors():
        value = "" if item["type"] == "missing" else f"{item['input']!r:.60} found; "
        yield f"{item['loc'][0]}: {value}{item['msg']}"
