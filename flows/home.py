"""The home folder: one run at a time, writable, with room to write."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import HomeLocked, StoreError


def now() -> str:
    """Return the time, UTC, ISO 8601 to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


RUN_LOCK = "lock"
"""Of the runs that make data sets and models: one at a time."""
MONITOR_LOCK = "monitor.lock"
"""Of the drift check: it reads the store and may run beside a training."""


def check_home(home: Path, min_free_megabytes: int, lock: str = RUN_LOCK) -> None:
    """Raise a StoreError when a run could not start now: in use, not writable, or full."""
    with locked(home, lock):
        check_space(home, min_free_megabytes)


@contextmanager
def locked(home: Path, name: str = RUN_LOCK, wait_seconds: float = 0) -> Iterator[None]:
    """Hold a lock of the home folder for the block; it goes with the process, however it ends.

    Args:
        home: the home folder.
        name: which lock.
        wait_seconds: how long to wait for another holder.

    Raises:
        HomeLocked: another run holds it.
        StoreError: the folder cannot be written.
    """
    holder = home / f"{name}.json"
    try:
        home.mkdir(parents=True, exist_ok=True)
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
        yield
    finally:
        lock.release()


def check_space(home: Path, megabytes: int) -> None:
    """Raise StoreError when less than so much space is free."""
    free = shutil.disk_usage(home).free // 2**20
    if free < megabytes:
        raise StoreError(
            f"home: {free} MB free on the disk of {home}; expected at least {megabytes} MB "
            "(store.min_free_megabytes); free some space, or take another home with "
            "--set paths.home=DIR"
        )
