"""A worker process of :mod:`pipeline.core.workers`: limits itself, then answers item by item.

The kernel keeps the limits, since Python cannot interrupt a C library: time by an alarm whose
default action ends the worker, memory by RLIMIT_DATA. That one counts private writable memory;
RLIMIT_AS would count mapped libraries and reserved addresses too, of which threaded ones take
gigabytes, and a watch of the resident size sees a burst too late.
"""

import contextlib
import ctypes
import gc
import mmap
import os
import pickle
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Generic, Literal, NamedTuple, NoReturn, TypeVar

Value = TypeVar("Value")

OUT_OF_MEMORY = 77  # exit code of a worker that was refused memory; no shell uses it
NEAR = 0.7  # share of the memory limit from which a crash counts as lack of memory
PR_SET_PDEATHSIG = 1  # of Linux's prctl.h: the signal that a process gets when its parent dies
MEGABYTE = 10**6

GARBAGE = 100_000
"""Objects made since the last look for cycles, some tens of megabytes. Python's own 700 are made
ten times a page; ``tests.benchmarks.html_pages`` takes a tenth less time so."""


class Done(NamedTuple, Generic[Value]):
    """What the function returned."""

    value: Value


class Failed(NamedTuple):
    """Why there is no value, for this item alone."""

    reason: Literal["timeout", "memory", "crash", "error"]
    """Over its time, over its memory, the process died, or the function raised."""
    message: str
    value: float | None = None  # seconds or megabytes that were reached, where known
    threshold: float | None = None


class Limits(NamedTuple):
    """What one item may take."""

    seconds: float  # of wall-clock time
    megabytes: float  # private memory of the process, the interpreter's own included


class Start(NamedTuple):
    """What a worker is told before the items of a call; the function is pickled."""

    limits: Limits
    function: bytes


def _work(connection: Connection, limit: mmap.mmap) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash leaves no dump behind
    gc.set_threshold(GARBAGE)
    call: Callable[[Any], Any] | None = None
    seconds = 0.0
    while True:
        message = connection.recv()
        if isinstance(message, Start):
            seconds, memory = message.limits.seconds, int(message.limits.megabytes * MEGABYTE)
            if call and held(resource.getrusage(resource.RUSAGE_SELF)) > NEAR * memory:
                return  # a crash would pass for lack of memory: a fresh one is hired
            limit[:] = memory.to_bytes(len(limit), "little")
            resource.setrlimit(resource.RLIMIT_DATA, (memory, resource.RLIM_INFINITY))
            try:
                call = pickle.loads(message.function)
            except Exception as error:  # whatever its import raises: said, no item is to blame
                connection.send(f"{type(error).__name__}: {error}")
                return
            gc.freeze()  # modules and models are no garbage
            connection.send(None)
            continue
        assert call
        for blob in message:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            answer = _answer(call, blob)
            signal.setitimer(signal.ITIMER_REAL, 0)
            connection.send_bytes(answer)


def _answer(call: Callable[[Any], Any], blob: bytes) -> bytes:
    try:
        return pickle.dumps(Done(call(pickle.loads(blob))), pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    # Rust's panics are no Exception, and none of what an item does may end the others.
    except BaseException as error:
        return pickle.dumps(Failed("error", f"{type(error).__name__}: {error}"[:1000]))


def held(usage: resource.struct_rusage) -> int:
    """Return the bytes that a process held at most."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _wait(worker: int, limit: mmap.mmap) -> NoReturn:
    """End as the worker does; when it died near its memory limit, for lack of memory.

    A C library that is refused memory ends the process in its own way (pdfium traps, libxml2
    segfaults), and the memory that a process held at most counts what its parent held when it
    started it: a large program would hide it, this small one does not.
    """
    _, status, usage = os.wait4(worker, 0)
    code = os.waitstatus_to_exitcode(status)
    near = NEAR * int.from_bytes(limit[:], "little")
    if code < 0 and code != -signal.SIGALRM and held(usage) > near:
        os._exit(OUT_OF_MEMORY)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(abs(code))


def die_with_parent() -> None:
    """End this process when the one that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Work for the process at the other end of the connection until it closes it."""
    # Ctrl-C goes to the whole process group; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    connection = int(sys.argv[1])
    limit = mmap.mmap(-1, 8)  # shared: the worker writes what it is told, bytes of memory
    worker = os.fork()  # safe: no other thread runs yet
    if worker:
        os.close(connection)
        _wait(worker, limit)
    die_with_parent()
    with Connection(connection) as opened, contextlib.suppress(EOFError, OSError):
        _work(opened, limit)
