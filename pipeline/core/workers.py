"""A function over many items in worker processes, with limits: one bad item costs one item.

Each worker is a fresh Python that imports the function's module and nothing else: not a fork, which
is not safe beside threads, and not ``multiprocessing``'s spawn, which runs the program's main
module again. Items travel in batches, answers one by one, so it is known which item a worker died
of (:mod:`pipeline.core.worker_process` is their side). concurrent.futures breaks the whole pool
when a worker dies; pebble loses the whole batch of the item (its issue 132).
"""

import contextlib
import os
import pickle
import resource
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Pipe, wait
from typing import Any, TypeVar

from pipeline.core.worker_process import MEGABYTE, OUT_OF_MEMORY, Done, Failed, Limits, Start, held

Item = TypeVar("Item")
Value = TypeVar("Value")

BATCH = 16  # items handed out at once at most; 20,000 empty ones then take 0.4 to 0.8 s on 2 cores
BATCH_BYTES = 2**18  # pickled bytes from which a batch is full: they add up in a worker's memory
AHEAD = 1024  # items that may be worked on before the oldest answer is there
AHEAD_BYTES = 2**26  # pickled bytes of waiting answers from which no more items are handed out
_START = "from pipeline.core.worker_process import main; main()"
"""Not -m: a module run so has another name, and so would the classes of its answers."""


def in_order(tasks: Iterable[Item], most: int, result: Callable[[Item], Value]) -> Iterator[Value]:
    """Yield the results of tasks, which start when they are taken, so many of them ahead."""
    ahead: deque[Item] = deque()
    for task in tasks:
        ahead.append(task)
        if len(ahead) > most:
            yield result(ahead.popleft())
    while ahead:
        yield result(ahead.popleft())


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_in_processes(
    function: Callable[[Item], Value], items: Sequence[Item], *, workers: int, limits: Limits
) -> Iterator[Done[Value] | Failed]:
    """Call a function on each item, in worker processes that hold no more than they may.

    The function is of a module that imports quickly, or a :func:`functools.partial` of one; items
    are whatever pickles; 0 workers are one for each usable core. What a worker prints goes nowhere.
    Take all of the iterator or close it: its workers end with it, and with this process.

    Yields one answer an item, in the order of the items. A crash or a lack of memory in a worker
    that had other items before is tried again in a fresh one. A RuntimeError says that a worker did
    not start; no item is to blame.
    """
    count = min(workers or usable_cores(), len(items))
    if not count:
        return
    crew = _Crew(function, items, limits)
    try:
        for _ in range(count):
            crew.hire(_kept.pop() if _kept else None)
        for position in range(len(items)):
            while position not in crew.answers:
                crew.hand_out(crew.end(position))
                crew.collect()
            crew.hand_out(crew.end(position))
            yield crew.take(position)
    finally:
        crew.dismiss()


@contextlib.contextmanager
def keeping_workers(count: int = 0) -> Iterator[None]:
    """Let the calls inside of the block pass their workers on: to start one takes half a second.

    One that has held much is not passed on to a call with a lower limit. ``count`` of them start
    now, while the caller prepares what they will do.
    """
    global _kept
    if _kept is not None:
        yield
        return
    _kept = [_Worker() for _ in range(count)]
    try:
        yield
    finally:
        left, _kept = _kept, None
        for worker in left:
            worker.kill()


def workers_are_kept() -> bool:
    """Tell whether a call would find workers of a call before it, or leave them to the next."""
    return _kept is not None


class _Worker:
    """A worker process as this one sees it; it starts with the object."""

    def __init__(self) -> None:
        self.connection, theirs = Pipe()
        self.inherited = held(resource.getrusage(resource.RUSAGE_SELF))
        # The same modules as here: -P alone would leave out what the caller put on its path.
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "OMP_NUM_THREADS": "1",  # the processes are what runs in parallel
        }
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
            )
        self.kept = False  # whether it worked for a call before
        self.ready = False
        self.answered = 0
        self.batch: deque[int] = deque()  # positions of its items, the one in work first

    def send(self, data: bytes) -> None:
        # When it has just died, the end of its connection will tell.
        with contextlib.suppress(OSError):
            self.connection.send_bytes(data)

    def end(self) -> tuple[int, float]:
        """Return exit code and megabytes held at most, 0 when not known."""
        self.connection.close()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        # Linux counts what the parent held when it started the process.
        peak = held(usage)
        return self.process.returncode, peak / MEGABYTE if peak > self.inherited else 0.0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.connection.close()


_kept: list[_Worker] | None = None  # idle workers of the block that is open


class _Crew:
    def __init__(
        self, function: Callable[[Item], Value], items: Sequence[Item], limits: Limits
    ) -> None:
        self.start = pickle.dumps(Start(limits, pickle.dumps(function)))
        self.items = items
        self.limits = limits
        self.waiting = deque(range(len(items)))
        self.workers: list[_Worker] = []
        self.answers: dict[int, tuple[Done[Any] | Failed, int]] = {}  # not taken yet; their bytes
        self.held = 0

    def hire(self, idle: _Worker | None = None) -> _Worker:
        """Take on an idle worker of the call before, or a new one."""
        worker = idle or _Worker()
        worker.ready, worker.answered = False, 0
        worker.send(self.start)
        self.workers.append(worker)
        return worker

    def dismiss(self) -> None:
        for worker in self.workers:
            if _kept is not None and worker.ready and not worker.batch:
                worker.kept = True
                _kept.append(worker)
            else:
                worker.kill()

    def end(self, position: int) -> int:
        """Return the position that may not be handed out while an answer is waited for."""
        return position + (AHEAD if self.held < AHEAD_BYTES else 1)

    def answer(self, position: int, answer: Done[Any] | Failed, size: int = 0) -> None:
        self.answers[position] = answer, size
        self.held += size

    def take(self, position: int) -> Done[Any] | Failed:
        answer, size = self.answers.pop(position)
        self.held -= size
        return answer

    def hand_out(self, before: int) -> None:
        """Give the idle workers items whose position is below ``before``."""
        for worker in self.workers:
            if not worker.batch and self.waiting and self.waiting[0] < before:
                # Fewer towards the end, so that all finish at about the same time.
                most = min(BATCH, 1 + len(self.waiting) // (4 * len(self.workers)))
                self.give(worker, most, before)

    def give(self, worker: _Worker, most: int, before: int) -> None:
        blobs: list[bytes] = []
        size = 0
        while len(blobs) < most and size < BATCH_BYTES and self.waiting:
            if self.waiting[0] >= before:
                break
            position = self.waiting.popleft()
            blobs.append(pickle.dumps(self.items[position]))
            size += len(blobs[-1])
            worker.batch.append(position)
        # Only ever to a worker that has answered all it had: it will read before it writes, so
        # the two can't wait for each other with both pipes full.
        worker.send(pickle.dumps(blobs))

    def collect(self) -> None:
        """Wait for answers, and replace the workers that have died."""
        ready = wait([worker.connection for worker in self.workers])
        for worker in [worker for worker in self.workers if worker.connection in ready]:
            try:
                blob = worker.connection.recv_bytes()
            except (EOFError, OSError):
                self.workers.remove(worker)
                self.bury(worker)
                continue
            message = pickle.loads(blob)
            if not worker.ready:
                if message is not None:
                    raise RuntimeError(f"worker process: {message}")
                worker.ready = True
                continue
            self.answer(worker.batch.popleft(), message, len(blob))
            worker.answered += 1

    def bury(self, worker: _Worker) -> None:
        code, peak = worker.end()
        if not worker.ready and worker.kept:
            # It held too much, or died between two calls.
            self.waiting.extendleft(reversed(worker.batch))
            self.hire()
            return
        if not worker.ready:
            raise RuntimeError(
                f"worker process: ended with code {code} before its first item; expected it to "
                f"start within {self.limits.megabytes:g} MB; raise the memory limit of the workers"
            )
        failed = self.reason(code, peak)
        again = worker.answered and failed.reason != "timeout"
        culprit = worker.batch.popleft() if worker.batch else None
        self.waiting.extendleft(reversed(worker.batch))
        if culprit is not None and not again:
            self.answer(culprit, failed)
        if not self.waiting and not again:
            return
        fresh = self.hire()
        if culprit is not None and again:
            # What came before may have filled or damaged the process.
            self.waiting.appendleft(culprit)
            self.give(fresh, 1, culprit + 1)

    def reason(self, code: int, peak: float) -> Failed:
        if code == -signal.SIGALRM:
            seconds = self.limits.seconds
            return Failed("timeout", "not done in time", seconds, seconds)
        if code == OUT_OF_MEMORY:
            return Failed("memory", "refused more memory", peak or None, self.limits.megabytes)
        name = signal.strsignal(-code) if code < 0 else None
        hint = " (the system itself may have run out of memory)" if code == -signal.SIGKILL else ""
        said = f"{name or 'exit'}, code {code}{hint}"
        return Failed("crash", f"the process that worked on it died: {said}")
