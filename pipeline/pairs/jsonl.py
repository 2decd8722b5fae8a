"""Reading JSON Lines written by people: seed tasks, gold pairs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError
from pipeline.core.outcome import EXCERPT


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON Lines file in file order; blank lines are skipped.

    Raises:
        InputError: the file cannot be read, is not UTF-8, or a line is not a JSON object; the
            message names the line.
    """
    try:
        text = path.read_text("utf-8-sig")  # a byte order mark is what some editors add
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); expected a JSON Lines file; "
            "correct the path in the settings"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line}: not UTF-8; expected UTF-8 text; save the file as UTF-8"
        ) from error
    # Only \n ends a line: str.splitlines would cut at U+2028 inside a JSON string.
    return [
        _object(path, number, line)
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]


def stop_if_mostly_bad(name: str, bad: Sequence[str], rows: int, expected: str) -> None:
    """Refuse a file of which more than half of the rows are bad: it is not what it was taken for.

    Args:
        name: of the file.
        bad: what is wrong with each bad row, the first one first.
        rows: all rows of the file.
        expected: what a row should have.

    Raises:
        InputError: with the first bad row.
    """
    if 2 * len(bad) > rows:
        raise InputError(
            f"{name}: {len(bad)} of {rows} rows are bad (the first: {bad[0][:EXCERPT]}); expected "
            f"{expected}; correct the file or its path"
        )


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
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
    return value
