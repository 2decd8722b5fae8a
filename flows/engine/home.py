"""The home folder: its owner's alone, one run at a time, writable, with room to write."""

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from flows.engine.mirror import is_held, mirrored
from pipeline.core.errors import HomeLocked, StoreError
from pipeline.core.journal import now

RUN_LOCK = "lock"  # of the runs that make data sets and models: one at a time
MONITOR_LOCK = "monitor.lock"  # of the drift check, which may run beside a training
AT_WORK = "tuneloop-command-"  # begins the names of commands at work, which Prefect has as tags


def open_home(home: Path) -> None:
    """Make the home folder for its owner alone; one that others can look into is closed."""
    umask = keep_private(home)
    home.mkdir(parents=True, exist_ok=True)
    mode = home.stat().st_mode
    if mode & umask and not mode & stat.S_ISVTX:  # /tmp is no home folder of ours
        with contextlib.suppress(OSError):  # another's folder, or a disk without modes
            home.chmod(stat.S_IMODE(mode) & ~umask)


def keep_private(home: Path) -> int:
    """Let this process and its children write for their owner alone, and return the umask.

    A home folder that was given to its group on purpose, by ``chmod 2770``, stays the group's.
    """
    umask = 0o007 if is_shared(home) else 0o077
    os.umask(umask)
    return umask


def is_shared(home: Path) -> bool:
    """Whether a home folder was given to its group: set-group-id and group write, both."""
    given = stat.S_ISGID | stat.S_IWGRP
    try:
        return home.stat().st_mode & given == given
    except OSError:
        return False  # it is not there yet


@contextmanager
def locked(home: Path, name: str = RUN_LOCK, wait_seconds: float = 0) -> Iterator[None]:
    """Hold a lock of the home folder for the block; it goes with the process, however it ends.

    HomeLocked where another run holds it, StoreError where the folder cannot be written.
    """
    holder = home / f"{name}.json"
    try:
        open_home(home)
        lock = FileLock(home / name, timeout=wait_seconds)
        lock.acquire(poll_interval=0.5)
    except Timeout:
        who = holder.read_text("utf-8") if holder.exists() else "unknown"
        raise HomeLocked(
            f"home: {home} is used by another run ({who}); expected one run at a time on a home "
            "folder; wait for it, or take another with --set paths.home=DIR"
        ) from None
    except OSError as error:
        raise StoreError(
            f"home: {home} cannot be written ({error.strerror}); expected a writable folder; "
            "mend its permissions, or take another with --set paths.home=DIR"
        ) from error
    try:
        holder.write_text(f"process {os.getpid()} since {now()}", "utf-8")
        with mirrored(home, name):
            yield
    finally:
        lock.release()


@contextmanager
def at_work(home: Path) -> Iterator[str]:
    """Name a command that is at work for the block, by a lock that goes with its process."""
    name = f"{AT_WORK}{secrets.token_hex(4)}"
    path = home / "services" / f"{name}.lock"
    with FileLock(path):
        try:
            yield name
        finally:
            path.unlink(missing_ok=True)


def is_at_work(home: Path, name: str) -> bool | None:
    """Whether the command of a name is at work; None for what is no such name."""
    if not name.startswith(AT_WORK):
        return None
    path = home / "services" / f"{name}.lock"
    if path.exists() and is_held(path):
        return True
    path.unlink(missing_ok=True)
    return False


def check_full(folder: Path) -> None:
    """Raise OSError when a folder's disk is full: a server that died of it could not log it."""
    if shutil.disk_usage(folder).free < 2**20:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def check_space(home: Path, megabytes: int) -> None:
    """Raise StoreError when less than so much space is free."""
    free = shutil.disk_usage(home).free // 2**20
    if free < megabytes:
        raise StoreError(
            f"home: {free} MB free on the disk of {home}; expected at least {megabytes} MB "
            "(store.min_free_megabytes); free some space, or take another home with "
            "--set paths.home=DIR"
        )
