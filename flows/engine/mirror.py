"""A home in an object store: work is done in a folder of this machine that mirrors it.

::

    <address>/head.json            what there is: replaced at once, so a kill leaves old or new
    <address>/lock.json            who works there; made only where there is none
    <address>/store/...            data sets, each never written twice
    <address>/states/<digest>.tar  refs, reviews, the drift ledger: small and changing
    <address>/packs/<digest>.tar   what was read and replied, and finished runs: many small files

Nothing counts that ``head.json`` does not name. Base models, work in progress and servers with
their secrets stay on the machine.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import socket
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from flows.engine.mirrored import (
    JOURNALS,
    PACKED,
    STATE,
    files_of,
    is_busy,
    is_finished,
    read_json,
    state_of,
    write_lines,
)
from pipeline.core.cache import digest, write_atomically
from pipeline.core.errors import CorruptDataset, HomeLocked
from pipeline.core.journal import now, read_lines
from pipeline.core.manifest import Manifest
from pipeline.core.remote import address_of, open_store, told
from pipeline.core.store import MANIFEST

BASE, OWNER, NAMED = "mirror/head.json", "mirror/owner", "mirror/packed"
"""In the folder of this machine: the head it has, its own name, what was packed already."""


class Mirror:
    """One home folder and the store that it mirrors."""

    def __init__(self, home: Path, address: str) -> None:
        self.home, self.address = home, address
        self.store, base = open_store(address)
        self.base = base.rstrip("/")
        self.owner = self._owner()

    def _owner(self) -> str:
        path = self.home / OWNER
        if not path.exists():
            write_atomically(path, secrets.token_hex(8).encode())
        return path.read_text("utf-8")

    def at(self, name: str) -> str:
        """Return the path of an object in the store."""
        return f"{self.base}/{name}"

    def acquire(self) -> None:
        """Take the lock of the store, or keep it where this folder has it.

        Raises:
            HomeLocked: another machine has it.
        """
        mine = {"owner": self.owner, "host": socket.gethostname(), "since": now()}
        try:
            self.store.pipe_file(self.at("lock.json"), json.dumps(mine).encode(), mode="create")
        except FileExistsError:
            try:
                theirs = json.loads(self.store.cat_file(self.at("lock.json")))
            except FileNotFoundError:  # given back meanwhile
                return self.acquire()
            if theirs["owner"] == self.owner:
                return
            raise HomeLocked(
                f"home: {self.address} is used by another machine ({theirs['host']}, since "
                f"{theirs['since']}); expected one at a time; wait for it, or, when nothing runs "
                f"there any more, delete {self.address}/lock.json"
            ) from None

    def release(self) -> None:
        """Give the lock back."""
        with contextlib.suppress(FileNotFoundError):  # deleted by hand
            self.store.rm_file(self.at("lock.json"))

    def head(self) -> dict[str, Any]:
        """Return what the store has; nothing yet is an empty head."""
        try:
            found: dict[str, Any] = json.loads(self.store.cat_file(self.at("head.json")))
        except FileNotFoundError:
            return {"state": "", "datasets": [], "packs": []}
        return found

    def pull(self) -> None:
        """Fetch what the store has and this folder does not."""
        head = self.head()
        base = read_json(self.home / BASE) or {"state": "", "datasets": [], "packs": []}
        for name in head["datasets"]:
            if not (self.home / "store" / name / MANIFEST).exists():
                self._fetch_dataset(name)
        for name in head["packs"]:
            if name not in base["packs"]:
                with self._fetched(f"packs/{name}.tar") as pack:
                    self._note(pack.getnames())
                    pack.extractall(self.home, filter="data")
        if head["state"] != base["state"]:
            self._take_state(head["state"], base["state"])
        if head != base:
            write_atomically(self.home / BASE, json.dumps(head).encode())

    def push(self) -> None:
        """Bring to the store what this folder has and it does not; the head comes last."""
        with FileLock(self.home / "mirror" / "pushing"):
            head = self.head()
            datasets = sorted(
                path.parent.relative_to(self.home / "store").as_posix()
                for path in (self.home / "store").glob(f"*/[!.]*/{MANIFEST}")
            )
            new = sorted(set(datasets) - set(head["datasets"]))
            for name in new:
                self._put_dataset(name)
            names, state = self._new_small_files(), state_of(self.home)
            packs = [self._put_tar("packs", names)] if names else []
            if head["state"] != state:
                self._put_tar("states", files_of(self.home, STATE), state)
            if new or packs or head["state"] != state:
                head = {
                    "state": state,
                    "datasets": sorted({*head["datasets"], *datasets}),
                    "packs": [*head["packs"], *packs],
                }
                self.store.pipe_file(self.at("head.json"), json.dumps(head).encode())
                self._note(names)
            write_atomically(self.home / BASE, json.dumps(head).encode())

    def _put_dataset(self, name: str) -> None:
        folder = self.home / "store" / name
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in sorted(files, key=lambda path: path.name == MANIFEST):  # it comes last
            key = self.at(f"store/{name}/{path.relative_to(folder).as_posix()}")
            self.store.put_file(str(path), key)

    def _fetch_dataset(self, name: str) -> None:
        folder = self.home / "store" / name
        temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            self.store.get_file(self.at(f"store/{name}/{MANIFEST}"), str(temporary / MANIFEST))
            manifest = Manifest.model_validate_json((temporary / MANIFEST).read_bytes())
            for file in manifest.files:
                path = temporary / file.name
                path.parent.mkdir(parents=True, exist_ok=True)
                self.store.get_file(self.at(f"store/{name}/{file.name}"), str(path))
                with path.open("rb") as stream:
                    if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                        raise CorruptDataset(
                            f"home: {self.address}/store/{name}/{file.name} differs from its "
                            "manifest; expected what was written; delete that folder and run again"
                        )
            if folder.exists():  # what is left of one whose manifest was deleted by hand
                shutil.rmtree(folder)
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _new_small_files(self) -> list[str]:
        packed = set(read_lines(self.home / NAMED))
        return [
            name
            for name in files_of(self.home, PACKED)
            if name not in packed and is_finished(self.home, name)
        ]

    def _note(self, names: Iterable[str]) -> None:
        with (self.home / NAMED).open("a", encoding="utf-8") as log:
            log.writelines(f"{name}\n" for name in names)

    def _put_tar(self, kind: str, names: list[str], name: str = "") -> str:
        """Put files into the store as one, named by a digest."""
        name = name or digest(names)[:32]
        path = self.home / "mirror" / f"{name}.tar"
        try:
            with tarfile.open(path, "w:gz", compresslevel=1) as tar:
                for each in names:
                    tar.add(self.home / each, each, recursive=False)
            self.store.put_file(str(path), self.at(f"{kind}/{name}.tar"))
        finally:
            path.unlink(missing_ok=True)
        return name

    @contextmanager
    def _fetched(self, name: str) -> Iterator[tarfile.TarFile]:
        path = self.home / "mirror" / f"fetched-{os.getpid()}.tar"
        try:
            self.store.get_file(self.at(name), str(path))
            with tarfile.open(path, "r:gz") as tar:
                yield tar
        finally:
            path.unlink(missing_ok=True)

    def _take_state(self, state: str, base: str) -> None:
        """Replace the changing files by the store's; lines that only this folder has stay."""
        before = files_of(self.home, STATE)
        changed = state_of(self.home) != base
        kept = {
            name: read_lines(self.home / name)
            for name in before
            if changed and name.endswith(JOURNALS)
        }
        with self._fetched(f"states/{state}.tar") as tar:
            names = tar.getnames()
            tar.extractall(self.home, filter="data")
        for name in set(before) - set(names) - kept.keys():
            (self.home / name).unlink()
        for name, lines in kept.items():
            there = read_lines(self.home / name) if name in names else []
            write_lines(self.home / name, there, lines)


_looked_into: set[Path] = set()
"""Homes that this process has fetched from their store."""


def pull(home: Path) -> None:
    """Fetch what the store of a home has, unless a run of this machine is at work in it."""
    address = address_of(home)
    if address is None or is_busy(home):
        return
    with told(address, "read"), _one_at_a_time(home):
        Mirror(home, address).pull()
    _looked_into.add(home)


def push_decisions() -> None:
    """Bring to their store what a command wrote outside of a run, such as reviews."""
    for home in _looked_into:
        base = read_json(home / BASE)
        if not is_busy(home) and state_of(home) != (base or {"state": ""})["state"]:
            with mirrored(home):
                pass


def push(home: Path) -> None:
    """Bring to the store of a home what a stage has made; the lock of the home is held."""
    address = address_of(home)
    if address is not None:
        with told(address, "write"):
            Mirror(home, address).push()


@contextmanager
def mirrored(home: Path, lock: str = "") -> Iterator[None]:
    """Hold the store of a home for the block: fetch before it, bring back behind it.

    A home that is a folder and nothing else needs none of it.

    Args:
        home: the folder of this machine.
        lock: the lock of it that the caller holds.

    Raises:
        HomeLocked: another machine works in it.
        InputError: the store does not answer, or refuses.
    """
    address = address_of(home)
    if address is None:
        yield
        return
    with told(address, "write"), _one_at_a_time(home):
        mirror = Mirror(home, address)
        mirror.acquire()
        if not is_busy(home, lock):
            mirror.pull()
    try:
        yield
    finally:
        with told(address, "write"):
            mirror.push()
            if not is_busy(home, lock):
                mirror.release()


@contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    (home / "mirror").mkdir(parents=True, exist_ok=True)
    with FileLock(home / "mirror" / "pulling"):
        yield
