"""Logged prompts and responses: JSON lines as a server appends them, good and bad ones."""

import codecs
import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.errors import InputError
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.documents.readers.decode import MARKS
from pipeline.pairs.user_files import stop_if_mostly_bad
from pipeline.settings import PathSettings
from schemas.exchanges import Exchanges

SUFFIXES = (".jsonl", ".ndjson")
BAD = ("bad_json", "not_an_object", "no_prompt", "bad_response", "bad_time")
MILLISECONDS = 1e11  # an epoch time from here on counts them: as seconds it is after the year 5138
_SURROGATE = re.compile("[\ud800-\udfff]")


def logs_folder(paths: PathSettings) -> Path:
    """Return the folder of logged exchanges: ``paths.logs``, else the home folder's own."""
    return paths.logs or paths.home / "exchanges"


def read_logs(folder: Path) -> Outcome[Exchanges]:
    """Read all ``*.jsonl`` and ``*.ndjson`` below a folder, one object a line.

    ``prompt`` is asked for; ``response`` may be null (nothing came back); ``time`` is ISO 8601
    (without a zone: UTC) or seconds or milliseconds since 1970; ``rating`` any number, or true and
    false. ``model``, ``history`` and ``chunk_ids`` are as ``tuneloop serve`` writes them; the
    latest line that ``rates`` the ``id`` of another one gives its rating.

    Returns:
        Exchanges sorted by time, then id. Dropped, by ``file:line``: ``bad_json``,
        ``not_an_object``, ``no_prompt``, ``bad_response`` (neither text nor null), ``bad_time``,
        ``repeated`` (same prompt, response and time as ``related_id``).

    Raises:
        InputError: folder or file cannot be read, or more than half of the lines are bad.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        raise InputError(
            f"logs {folder}: {found} found; expected a folder of JSON lines with prompt, response "
            "and time; set paths.logs to it, or leave it empty"
        )
    rows: dict[str, dict[str, Any]] = {}
    ratings: dict[str, float | None] = {}
    served: dict[str, str] = {}  # exchange by the id that its server gave it
    ledger: list[Drop] = []
    lines = 0
    named = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    for path in sorted(path for path in named if path.is_file()):
        name = _readable(path.relative_to(folder).as_posix())
        for number, line in _lines(path):
            value: Any
            try:
                # Not strict: a log may hold raw tabs or NUL bytes inside its strings.
                value = json.loads(line, strict=False)
            except (ValueError, RecursionError) as error:  # of thousands of open brackets
                value = error
            if isinstance(value, dict) and isinstance(value.get("rates"), str):
                ratings[value["rates"]] = _rating(value.get("rating"))
                continue
            lines += 1
            place = f"{name}:{number}"
            row = _exchange(line, value, place)
            if isinstance(row, Drop):
                ledger.append(row)
                continue
            key = row["exchange_id"]
            if isinstance(value.get("id"), str):
                served[value["id"]] = key
            if key in rows:
                ledger.append(Drop(place, "repeated", row["prompt"], related_id=key))
            else:
                rows[key] = row | {"file": name}
    for identity, rating in ratings.items():
        if identity in served:
            rows[served[identity]]["rating"] = rating
    bad = [f"{drop.id} {drop.reason}: {drop.excerpt}" for drop in ledger if drop.reason in BAD]
    stop_if_mostly_bad(f"logs {folder}", bad, lines, "prompt, response and time in each line")
    kept = table(Exchanges, rows.values()).sort("time", "exchange_id")
    return Outcome(
        kept=cast("DataFrame[Exchanges]", kept),
        dropped=drops(ledger),
        rows_in=lines,
        metrics={
            "exchanges": float(kept.height),
            "unanswered": float(kept["response"].null_count()),
            "rated": float(kept.select(pl.col("rating").count()).item()),
        },
    )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each line that is not blank; memory holds one line."""
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
            stream.seek(0)
            wide = next((name for mark, name in MARKS if head.startswith(mark)), "utf-8")
            lines: Iterator[str] = map(_decoded, stream)
            if wide != "utf-8":
                lines = iter(codecs.getreader(wide)(stream, "replace").readline, "")
            for number, line in enumerate(lines, start=1):
                if text := line.strip("\ufeff \t\r\n"):
                    yield number, text
    except OSError as error:
        raise InputError(
            f"logs {path}: cannot be read ({error.strerror}); expected JSON lines with prompt, "
            "response and time; mend its permissions or move it away"
        ) from error


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")


def _exchange(line: str, value: Any, place: str) -> dict[str, Any] | Drop:
    if isinstance(value, Exception):
        return Drop(place, "bad_json", _readable(f"{value}: {line[:200]}"))
    excerpt = _readable(line[:240])
    if not isinstance(value, dict):
        return Drop(place, "not_an_object", excerpt)
    prompt, response = value.get("prompt"), value.get("response")
    if not isinstance(prompt, str) or not prompt.strip():
        return Drop(place, "no_prompt", excerpt)
    if response is not None and not isinstance(response, str):
        return Drop(place, "bad_response", excerpt)
    time = _time(value.get("time"))
    if time is None:
        return Drop(place, "bad_time", excerpt)
    prompt = _readable(prompt)
    response = _readable(response) if response and response.strip() else None
    return {
        "exchange_id": short_id(prompt, "" if response is None else response, time),
        "prompt": prompt,
        "response": response,
        "time": time,
        "rating": _rating(value.get("rating")),
        "model": _readable(value["model"]) if isinstance(value.get("model"), str) else "",
        "history": _turns(_list(value, "history")),
        "chunk_ids": [_readable(key) for key in _list(value, "chunk_ids") if isinstance(key, str)],
    }


def _turns(turns: list[Any]) -> list[dict[str, str]]:
    """Return the turns before a prompt; none where one of them is no text of a known role."""
    read = [
        {"role": turn["role"], "content": _readable(turn["content"])}
        for turn in turns
        if isinstance(turn, dict)
        and turn.get("role") in ("user", "assistant")
        and isinstance(turn.get("content"), str)
    ]
    return read if len(read) == len(turns) else []


def _list(row: dict[str, Any], name: str) -> list[Any]:
    return row[name] if isinstance(row.get(name), list) else []


def _time(value: Any) -> str | None:
    """Return UTC in ISO 8601, or None when it is no time."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) >= MILLISECONDS else value
            moment = datetime.fromtimestamp(seconds, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat().replace("+00:00", "Z")


def _rating(value: Any) -> float | None:
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _readable(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON may escape but UTF-8 cannot hold."""
    return _SURROGATE.sub("\ufffd", text)
