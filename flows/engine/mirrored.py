"""What of a home its mirror in an object store looks at: small files, and who is at work in it."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline.core.cache import digest, write_atomically

STATE = ("refs", "reviews", "monitor", "tune", "reads/index.json")
"""What changes."""

PACKED = ("reads/??/*.json", "replies/??/*.json", "runs/*/**/*")
"""What stays as it was first written."""

JOURNALS = (".jsonl", ".log")
"""Files that only ever grow by lines: those of two machines are put together."""


def files_of(home: Path, patterns: Iterable[str]) -> list[str]:
    """Return the files of a home that patterns name, by their path in it, sorted."""
    found: set[Path] = set()
    for pattern in patterns:
        paths = home.glob(pattern) if "*" in pattern else (home / pattern).rglob("*")
        found |= {path for path in paths if path.is_file()}
        found |= {home / pattern} if (home / pattern).is_file() else set()
    return sorted(path.relative_to(home).as_posix() for path in found)


def state_of(home: Path) -> str:
    """Return the digest of the files that change; empty without any."""
    names = files_of(home, STATE)
    hashes = [hashlib.sha256((home / name).read_bytes()).hexdigest() for name in names]
    return digest([names, hashes])[:32] if names else ""


def read_json(path: Path) -> dict[str, Any] | None:
    """Return an object; None where the file is missing or torn."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found


def is_finished(home: Path, name: str) -> bool:
    """Return whether a file will not change any more; those of a run may until it ends."""
    folder, run, *_ = name.split("/")
    return folder != "runs" or (home / folder / run / "run.json").exists()


def write_lines(path: Path, there: Sequence[str], here: Sequence[str]) -> None:
    """Write the journal of another machine with the lines that only this one has behind it."""
    known = set(there)
    lines = [*there, *(line for line in here if line not in known)]
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())


def is_busy(home: Path, own: str = "") -> bool:
    """Whether a run of this machine is at work in the folder, beside the one with a lock."""
    for path in (path for path in home.glob("*lock") if path.name != own):
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            return True
    return False
