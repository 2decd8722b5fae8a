"""Costly results kept for good (replies, texts of files): a JSON file each, named by a hash."""

import hashlib
import json
import os
import threading
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


def user_cache() -> Path:
    """Return the cache folder of the user."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "tuneloop"


def program_cache() -> Path:
    """Return the cache folder of the program itself: beside its modules, else the user's."""
    here = Path(__file__).parent
    return here / "__pycache__" / "tuneloop" if os.access(here, os.W_OK) else user_cache()


def write_atomically(path: Path, data: bytes, *, durable: bool = True, mode: int = 0o666) -> None:
    """Write a file through a temporary sibling and rename: whole or not at all.

    Without ``durable`` there is no fsync: a power cut may leave it empty. ``mode``: less the umask.
    """
    temporary = path.with_name(f".{path.name}.{threading.get_ident()}.{os.getpid()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.unlink(missing_ok=True)  # of a process killed before, perhaps for more eyes
    try:
        opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(opened, "wb") as stream:
            stream.write(data)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class Entry:
    """What a cache holds, or will hold, under one key."""

    __slots__ = ("key", "path")

    def __init__(self, root: Path, key: Mapping[str, Any]) -> None:
        name = digest(key)
        self.key = key
        self.path = root / name[:2] / f"{name}.json"

    def exists(self) -> bool:
        """Return whether there is a value; one that was torn by a power cut may count."""
        return self.path.exists()

    def get(self) -> Any | None:
        """Return the value, or None; a torn entry counts as missing."""
        try:
            return json.loads(self.path.read_text("utf-8"))["value"]
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def put(self, value: Any, *, durable: bool = True) -> None:
        """Store a value with its key, for people to read; ``durable`` costs 3 ms on a busy disk."""
        data = json.dumps({"key": dict(self.key), "value": value}, ensure_ascii=False)
        write_atomically(self.path, data.encode("utf-8", "surrogatepass"), durable=durable)


class Cache:
    """A folder of JSON entries by key."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def entry(self, key: Mapping[str, Any]) -> Entry:
        """Return the entry of a key: for several uses of it, since the key is hashed here."""
        return Entry(self.root, key)
