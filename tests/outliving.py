"""Threads and child processes that outlive their test.

One that is left behind disturbs the tests after it: a thread of Prefect's that drew from the global
random state made a property test of another file fail ("inconsistent data generation").
"""

import sys
import threading
import time
from typing import Any

import psutil

SECONDS = 10.0
"""A thread or process that was told to end may take so long on a busy machine."""

SHARED = ("resource_tracker", "forkserver", "--multiprocessing-fork", "tqdm_monitor")
"""Processes, by a word of their command line, and threads that are started once for all."""


def alive() -> dict[Any, str]:
    """Return the threads and child processes of this process, each with its name.

    A child that ended and was not waited for is none: it disturbs nobody.
    """
    found: dict[Any, str] = {
        thread: f"thread {thread.name}"
        for thread in threading.enumerate()
        if thread.name not in SHARED
    }
    for child in psutil.Process().children():
        try:
            words = " ".join(child.cmdline())
        except psutil.Error:
            continue
        if words and not any(shared in words for shared in SHARED):
            found[child] = f"process {child.pid} ({words[:120]})"
    return found


def left_behind(before: dict[Any, str]) -> list[str]:
    """Return the names of what is alive and was not before, once it had time to end."""
    deadline = time.monotonic() + SECONDS
    while True:
        end_prefect()  # again and again: a service that drains may start its loop once more
        left = [name for one, name in alive().items() if one not in before]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.01)


def end_prefect() -> None:
    """End the threads that Prefect keeps for this process: its next flow starts them again."""
    if "prefect" not in sys.modules:
        return
    from prefect._internal.concurrency import services, threads

    services.QueueService.drain_all(timeout=SECONDS)  # of all kinds: they share one register
    # By the threads themselves: two callers at once make two loops, of which Prefect forgets one.
    for thread in threading.enumerate():
        loop = getattr(getattr(thread, "_target", None), "__self__", None)
        if isinstance(loop, threads.EventLoopThread):
            loop.shutdown()
