"""JSON Lines journals, which people and programs write: tolerant reader, durable append."""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def read_lines(path: Path) -> list[str]:
    """Return the lines that are not blank; a missing file has none, a foreign byte is replaced."""
    if not path.exists():
        return []
    # Not splitlines(): JSON may hold U+2028 and other separators unescaped.
    text = path.read_bytes().decode("utf-8-sig", "replace")
    return [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]


def parse(line: str) -> dict[str, Any] | None:
    """Return the object in a line, or None for a torn or misspelt one."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row if isinstance(row, dict) else None


def read_rows(path: Path, say: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """Return the objects of a file of JSON lines; ``say`` is told of each line that holds none."""
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        row = parse(line)
        if row is not None:
            rows.append(row)
        else:
            say(
                f"{path}: line {number} found that is no JSON object, torn by a crash perhaps "
                f"({line[:60]!r}); expected one a line; it is passed over: mend or delete it"
            )
    return rows


def pair_id_in(line: str) -> str:
    """Return the pair id in a line even when the line is not JSON any more; empty without one."""
    match = re.search(r'"pair_id"\s*:\s*"([0-9a-f]{16})"', line)
    return match[1] if match else ""


def append(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append a line for each row and return when they are on the disk."""
    if not rows:
        return
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as stream:
        if stream.seek(0, os.SEEK_END):
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":  # a line torn by a crash keeps to itself
                text = "\n" + text
        stream.write(text.encode("utf-8", "replace"))
        stream.flush()
        os.fsync(stream.fileno())


def read_time(text: object) -> datetime | None:
    """Return an ISO 8601 time, UTC when it names no zone; None when it is none."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def now() -> str:
    """Return the time, UTC, ISO 8601 to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_time(time: datetime) -> str:
    """Return a time in UTC, ISO 8601, to the microsecond."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
