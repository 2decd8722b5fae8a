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

from filelock import FileLock, Timeout

from pipeline.core.cache import digest, write_atomically
from pipeline.core.errors import CorruptDataset, HomeLocked
from pipeline.core.journal import now, read_lines
from pipeline.core.manifest import MANIFEST, Manifest
from pipeline.core.remote import address_of, open_store, told

BASE, OWNER, NAMED = "mirror/head.json", "mirror/owner", "mirror/packed"
"""In the folder of this machine: the head it has, its own name, what was packed already."""
EMPTY: dict[str, Any] = {"state": "", "datasets": [], "packs": []}  # the head of a new store
STATE = ("refs/**/*", "reviews/**/*", "monitor/**/*", "tune/**/*", "reads/index.json")  # changes
PACKED = ("reads/??/*.json", "replies/??/*.json", "runs/*/**/*")  # stays as first written
JOURNALS = (".jsonl", ".log")  # files that only grow by lines: those of two machines are joined
PULLING = "mirror/pulling"  # lock of the home: one process at a time fetches
_looked_into: set[Path] = set()  # homes that this process has fetched from their store


def files_of(home: Path, patterns: Iterable[str]) -> list[str]:
    """Return the files of a home that patterns name, by their path in it, sorted."""
    found = {path for pattern in patterns for path in home.glob(pattern) if path.is_file()}
    return sorted(path.relative_to(home).as_posix() for path in found)


def state_of(home: Path) -> str:
    """Return the digest of the files that change; empty without any."""
    names = files_of(home, STATE)
    hashes = [hashlib.sha256((home / name).read_bytes()).hexdigest() for name in names]
    return digest([names, hashes])[:32] if names else ""


def base_of(home: Path) -> dict[str, Any]:
    """Return the head that a folder has; an empty one where its file is missing or torn."""
    try:
        return dict(json.loads((home / BASE).read_bytes()))
    except (FileNotFoundError, ValueError):
        return EMPTY


def is_finished(home: Path, name: str) -> bool:
    """Return whether a file will not change any more; those of a run may until it ends."""
    folder, run, *_ = name.split("/")
    return folder != "runs" or (home / folder / run / "run.json").exists()


def is_held(lock: Path) -> bool:
    """Whether a process holds a lock."""
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def is_busy(home: Path, own: str = "") -> bool:
    """Whether a run of this machine is at work in the folder, beside the one with a lock."""
    return any(is_held(path) for path in home.glob("*lock") if path.name != own)


class Mirror:
    """One home folder and the store that it mirrors."""

    def __init__(self, home: Path, address: str) -> None:
        self.home, self.address = home, address
        self.store, base = open_store(address)
        self.base = base.rstrip("/")
        if not (home / OWNER).exists():
            write_atomically(home / OWNER, secrets.token_hex(8).encode())
        self.owner = (home / OWNER).read_text("utf-8")

    def at(self, name: str) -> str:
        """Return the path of an object in the store."""
        return f"{self.base}/{name}"

    def acquire(self) -> None:
        """Take the lock of the store, or keep it; HomeLocked where another machine has it."""
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
            return dict(json.loads(self.store.cat_file(self.at("head.json"))))
        except FileNotFoundError:
            return EMPTY

    def pull(self) -> None:
        """Fetch what the store has and this folder does not."""
        head, base = self.head(), base_of(self.home)
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
            head, root = self.head(), self.home / "store"
            manifests = root.glob(f"*/[!.]*/{MANIFEST}")
            datasets = sorted(path.parent.relative_to(root).as_posix() for path in manifests)
            new = sorted(set(datasets) - set(head["datasets"]))
            for folder in (root / name for name in new):
                files = (path for path in folder.rglob("*") if path.is_file())
                for path in sorted(files, key=lambda path: path.name == MANIFEST):  # it comes last
                    key = self.at(f"store/{path.relative_to(root).as_posix()}")
                    self.store.put_file(str(path), key)
            packed, state = set(read_lines(self.home / NAMED)), state_of(self.home)
            unpacked = (name for name in files_of(self.home, PACKED) if name not in packed)
            names = [name for name in unpacked if is_finished(self.home, name)]
            packs = [self._put_tar("packs", names)] if names else []
            if head["state"] != state:
                self._put_tar("states", files_of(self.home, STATE), state)
            if new or packs or head["state"] != state:
                known = sorted({*head["datasets"], *datasets})
                head = {"state": state, "datasets": known, "packs": [*head["packs"], *packs]}
                self.store.pipe_file(self.at("head.json"), json.dumps(head).encode())
                self._note(names)
            write_atomically(self.home / BASE, json.dumps(head).encode())

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
                if file.problem(temporary):
                    raise CorruptDataset(
                        f"home: {self.address}/store/{name}/{file.name} differs from its "
                        "manifest; expected what was written; delete that folder and run again"
                    )
            if folder.exists():  # what is left of one whose manifest was deleted by hand
                shutil.rmtree(folder)
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

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
        grown = [name for name in before if changed and name.endswith(JOURNALS)]
        kept = {name: read_lines(self.home / name) for name in grown}
        with self._fetched(f"states/{state}.tar") as tar:
            names = tar.getnames()
            tar.extractall(self.home, filter="data")
        for name in set(before) - set(names) - kept.keys():
            (self.home / name).unlink()
        for name, lines in kept.items():
            there = read_lines(self.home / name) if name in names else []
            known = set(there)
            joined = [*there, *(line for line in lines if line not in known)]
            write_atomically(self.home / name, "".join(f"{line}\n" for line in joined).encode())


def pull(home: Path) -> None:
    """Fetch what the store of a home has, unless a run of this machine is at work in it."""
    address = address_of(home)
    if address is None or is_busy(home):
        return
    with told(address, "read"), FileLock(home / PULLING):
        Mirror(home, address).pull()
    _looked_into.add(home)


def push_decisions() -> None:
    """Bring to their store what a command wrote outside of a run, such as reviews."""
    for home in _looked_into:
        if not is_busy(home) and state_of(home) != base_of(home)["state"]:
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

    A home that is a folder and nothing else needs none of it. ``lock`` is held by the caller.
    HomeLocked where another machine works in it, InputError where the store refuses.
    """
    address = address_of(home)
    if address is None:
        yield
        return
    with told(address, "write"), FileLock(home / PULLING):
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
