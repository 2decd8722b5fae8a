"""Costly results kept for good, one small JSON file each, named by the hash of its key.

Used for raw model replies and for the parsed text of files. A file is written to a temporary
sibling and renamed, so a killed process leaves either the whole entry or none.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """Return the sha256 of the canonical JSON of a value, 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def short_id(*parts: str) -> str:
    """Return a 16-digit content id; a NUL keeps ("a", "bc") and ("ab", "c") apart."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file through a temporary sibling, fsync and rename.

    Without ``durable`` no fsync: a kill leaves the file whole or absent all the same, a power cut
    may leave it empty.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class Cache:
    """A folder of JSON entries by key."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hits = 0
        self.misses = 0

    def get(self, key: Mapping[str, Any]) -> Any | None:
        """Return the entry of a key, or None; a torn entry counts as missing."""
        try:
            entry = json.loads(self._path(key).read_text("utf-8"))["value"]
        except (FileNotFoundError, ValueError, KeyError):
            self.misses += 1
            return None
        self.hits += 1
        return entry

    def put(self, key: Mapping[str, Any], value: Any, *, durable: bool = True) -> None:
        """Store an entry with its key, so that a person can read what was asked.

        ``durable``: whether it is on the disk before this returns (3 ms on a busy disk), so that
        a power cut does not lose it.
        """
        data = json.dumps({"key": dict(key), "value": value}, ensure_ascii=False)
        write_atomically(self._path(key), data.encode("utf-8", "surrogatepass"), durable=durable)

    def _path(self, key: Mapping[str, Any]) -> Path:
        name = digest(key)
        return self.root / name[:2] / f"{name}.json"
