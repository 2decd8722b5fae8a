"""Keep services running: start, look after, start again with patience, stop in order."""

import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from flows.engine.home import check_full
from flows.services.service import (
    Service,
    check_port,
    cut_log,
    start,
    stop,
    wait_until_healthy,
)
from pipeline.core.errors import StoreError

QUICK_SECONDS = 60.0
"""A service that ended sooner than this after its start died quickly."""

MAX_QUICK_DEATHS = 5
"""In a row; more means that starting it again does not help."""

SILENT_SECONDS = 90.0
"""A service may be busy for this long before it counts as dead: a training takes all cores."""

LONGEST_PAUSE = 30.0
"""Seconds between an end and the next start, at most; they double from 1."""


@dataclass(slots=True)
class _Kept:
    """A service with its process."""

    service: Service
    process: "subprocess.Popen[bytes]"
    started: float
    """Monotonic, as all times here."""
    well: float | None = None
    """When it was last seen well; None before the first time."""
    quick_deaths: int = 0
    again: float | None = None
    """When to start it again; None while it runs."""


class Supervisor:
    """Services in the order of their start; the last one is stopped first."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._kept: list[_Kept] = []

    def start(self, service: Service) -> None:
        """Start a service.

        Raises:
            StoreError: its port is taken.
        """
        check_port(service)
        self._kept.append(_Kept(service, start(service), time.monotonic()))

    def wait(self) -> None:
        """Return when all services are well.

        Raises:
            StoreError: one ended, or was not well in time.
        """
        for kept in self._kept:
            if kept.well is None:
                wait_until_healthy(kept.service, kept.process)
                kept.well = time.monotonic()
                self._say(
                    f"{kept.service.name:<14} runs after {kept.well - kept.started:.0f} s"
                    f"{f'  {kept.service.url}' if kept.service.url else ''}"
                )

    def check(self) -> None:
        """Look at each service once; start again what died.

        Raises:
            StoreError: one keeps dying, or its port was taken meanwhile.
        """
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
            elif now - (kept.well or kept.started) > self._patience(kept):
                stop(kept.service, kept.process)
                self._died(kept, f"was silent for {now - (kept.well or kept.started):.0f} s")

    def stop(self) -> None:
        """Stop the last one started, then the others at once."""
        if not self._kept:
            return
        last = self._kept.pop()
        stop(last.service, last.process)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda kept: stop(kept.service, kept.process), self._kept))
        self._kept.clear()

    def _patience(self, kept: _Kept) -> float:
        return SILENT_SECONDS if kept.well is not None else kept.service.start_seconds

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
