"""Servers beside the program: started, looked after, started again with patience, stopped."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flows.engine.home import check_full
from pipeline.core.errors import StoreError

MAX_LOG_BYTES = 20 * 2**20  # a longer log is cut at the next start; its last part is kept
KEPT_LOG_BYTES = 2**20
QUICK_SECONDS = 60.0  # a service that ended sooner than this after its start died quickly
MAX_QUICK_DEATHS = 5  # in a row; more means that starting it again does not help
SILENT_SECONDS = 90.0  # until a busy service counts as dead: a training takes all cores
LONGEST_PAUSE = 30.0  # seconds between an end and the next start, at most; they double from 1


@dataclass(frozen=True, slots=True)
class Service:
    """One process to keep running."""

    name: str
    command: tuple[str, ...]
    healthy: Callable[[], bool]  # asked often: answers at once, never raises
    log: Path  # where its output goes; appended to
    url: str = ""  # where a person looks at it; empty for one without a page
    port: int | None = None  # port of 127.0.0.1 that must be free before the start
    port_setting: str = ""  # for the message about a port that is taken
    environment: Mapping[str, str] = field(default_factory=dict)  # added to that of this process
    start_seconds: float = 120.0  # time that a cold start may take on a busy machine
    stop_seconds: float = 10.0  # time from being asked to end to being killed


def start(service: Service) -> "subprocess.Popen[bytes]":
    """Start a service under a guard that ends it with this process."""
    service.log.parent.mkdir(parents=True, exist_ok=True)
    cut_log(service.log)
    guard = [sys.executable, "-m", "flows.services.guard"]
    with service.log.open("ab") as stream:
        return subprocess.Popen(
            [*guard, str(os.getpid()), str(service.stop_seconds), "--", *service.command],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=os.environ | dict(service.environment),
            start_new_session=True,  # Ctrl-C goes to the command, which then stops the services
        )


def wait_until_healthy(service: Service, process: "subprocess.Popen[bytes]") -> None:
    """Return when the service is well; a StoreError where it ended, or was not in time."""
    deadline = time.monotonic() + service.start_seconds
    while time.monotonic() < deadline and process.poll() is None:
        if service.healthy():
            return
        time.sleep(0.2)
    check_full(service.log.parent)
    found = "ended" if process.poll() is not None else "is silent"
    raise StoreError(
        f"{service.name}: the server {found}; expected it to be well within "
        f"{service.start_seconds:g} s; its log is {service.log}"
    )


def stop(service: Service, process: "subprocess.Popen[bytes]") -> None:
    """Ask the guard to end the service, and return when it did."""
    process.terminate()
    try:
        # More than the guard's own time, so that the guard decides.
        process.wait(timeout=service.stop_seconds + 15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def check_port(service: Service) -> None:
    """Raise a StoreError when another program listens on the port of a service."""
    if service.port is None:
        return
    with socket.socket() as probe:
        # A port that was used a moment ago counts as free, as it does for the servers.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", service.port))
        except OSError:
            who = _listener(service.port)
            raise StoreError(
                f"{service.name}: port {service.port} of 127.0.0.1 is taken{who}; expected a free "
                f"one; stop that program, or take another port with "
                f"--set {service.port_setting}=PORT"
            ) from None


def _listener(port: int) -> str:
    """Name the program that listens on a port, where the system tells us."""
    import psutil  # type: ignore[import-untyped]

    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == "LISTEN":
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except (psutil.Error, OSError, ValueError, TypeError):
        pass  # another user's program, or a system that does not say
    return ""


def cut_log(path: Path) -> None:
    """Keep the last part of a log that has grown too long."""
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        with path.open("rb") as log:
            log.seek(-KEPT_LOG_BYTES, os.SEEK_END)
            tail = log.read()
        path.write_bytes(tail[tail.find(b"\n") + 1 :])


@dataclass(slots=True)
class _Kept:
    service: Service
    process: "subprocess.Popen[bytes]"
    started: float  # monotonic, as all times here
    well: float | None = None  # when it was last seen well; None before the first time
    quick_deaths: int = 0
    again: float | None = None  # when to start it again; None while it runs


class Supervisor:
    """Services in the order of their start; each may need those before it, also to stop."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._kept: list[_Kept] = []

    def start(self, service: Service) -> None:
        """Start a service; a StoreError where its port is taken."""
        check_port(service)
        self._kept.append(_Kept(service, start(service), time.monotonic()))

    def wait(self) -> None:
        """Return when all services are well; a StoreError where one ended, or was not in time."""
        for kept in self._kept:
            if kept.well is None:
                wait_until_healthy(kept.service, kept.process)
                kept.well = time.monotonic()
                url = f"  {kept.service.url}" if kept.service.url else ""
                seconds = kept.well - kept.started
                self._say(f"{kept.service.name:<14} runs after {seconds:.0f} s{url}")

    def check(self) -> None:
        """Look at each service once, start again what died; a StoreError where one keeps dying."""
        for kept in self._kept:
            now = time.monotonic()
            cut_log(kept.service.log)
            if kept.again is not None:
                if now >= kept.again:
                    check_port(kept.service)
                    kept.process = start(kept.service)
                    kept.started, kept.well, kept.again = now, None, None
            elif kept.process.poll() is not None:
                self._died(kept, f"ended with code {kept.process.returncode}")
            elif kept.well is not None and now - kept.well < SILENT_SECONDS / 3:
                pass  # Label Studio writes down each question
            elif kept.service.healthy():
                if kept.well is None:
                    self._say(f"{kept.service.name}: runs again")
                kept.well = now
                if now - kept.started > QUICK_SECONDS:
                    kept.quick_deaths = 0
            else:
                silent = now - (kept.well or kept.started)
                if silent > (SILENT_SECONDS if kept.well else kept.service.start_seconds):
                    stop(kept.service, kept.process)
                    self._died(kept, f"was silent for {silent:.0f} s")

    def stop(self) -> None:
        """Stop one after the other, the last one started first."""
        while self._kept:
            kept = self._kept.pop()
            stop(kept.service, kept.process)

    def _died(self, kept: _Kept, found: str) -> None:
        lived = time.monotonic() - kept.started
        kept.quick_deaths = kept.quick_deaths + 1 if lived < QUICK_SECONDS else 1
        if kept.quick_deaths > MAX_QUICK_DEATHS:
            check_full(kept.service.log.parent)
            raise StoreError(
                f"{kept.service.name}: it {found}, {kept.quick_deaths} times in a row; expected it "
                f"to keep running; its log {kept.service.log} says why"
            )
        pause = min(LONGEST_PAUSE, 2.0 ** (kept.quick_deaths - 1))
        kept.again = time.monotonic() + pause
        self._say(
            f"{kept.service.name}: it {found}; starting it again in {pause:.0f} s "
            f"(log: {kept.service.log})"
        )
