"""A server beside the program: how it is started, how one sees that it is well."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import StoreError

STOP_SECONDS = 25.0
"""More than the guard's own grace time, so that the guard decides."""


@dataclass(frozen=True, slots=True)
class Service:
    """One process to keep running."""

    name: str
    command: tuple[str, ...]
    healthy: Callable[[], bool]
    """Asked often: answers at once, never raises."""
    log: Path
    """Where its output goes; appended to."""
    url: str = ""
    """Where a person looks at it; empty for one without a page."""
    port: int | None = None
    """Port of 127.0.0.1 that must be free before the start."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to that of this process."""
    start_seconds: float = 120.0
    """Time that a cold start may take on a busy machine."""


def start(service: Service) -> "subprocess.Popen[bytes]":
    """Start a service under a guard that ends it with this process."""
    service.log.parent.mkdir(parents=True, exist_ok=True)
    guard = [sys.executable, "-m", "flows.services.guard", str(os.getpid()), "--"]
    with service.log.open("ab") as stream:
        return subprocess.Popen(
            [*guard, *service.command],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=os.environ | dict(service.environment),
            start_new_session=True,  # Ctrl-C goes to the command, which then stops the services
        )


def wait_until_healthy(service: Service, process: "subprocess.Popen[bytes]") -> None:
    """Return when the service is well.

    Raises:
        StoreError: it ended, or was not well in time.
    """
    deadline = time.monotonic() + service.start_seconds
    while time.monotonic() < deadline and process.poll() is None:
        if service.healthy():
            return
        time.sleep(0.2)
    found = "ended" if process.poll() is not None else "is silent"
    raise StoreError(
        f"{service.name}: the server {found}; expected it to be well within "
        f"{service.start_seconds:g} s; its log is {service.log}"
    )


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask the guard to end the service, and return when it did."""
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running(service: Service) -> Iterator[None]:
    """Run a service for the block."""
    process = start(service)
    try:
        wait_until_healthy(service, process)
        yield
    finally:
        stop(process)
