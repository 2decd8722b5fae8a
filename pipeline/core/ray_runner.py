"""The nodes of a Ray cluster as a runner (:mod:`pipeline.core.runner`).

Ray repeats the tasks of a node that was lost. A task with items keeps one worker process with
limits beside it: a crash costs one item there as well.
"""

import logging
import os
import pickle
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from pipeline.core.code import program_digest
from pipeline.core.errors import InputError, StoreError
from pipeline.core.workers import (
    Done,
    Failed,
    Item,
    Limits,
    Value,
    in_order,
    keeping_workers,
    map_in_processes,
    workers_are_kept,
)

BATCH = 32  # items of one task at most: a task costs some milliseconds
BATCH_BYTES = 2**20  # pickled bytes from which a batch is full
RETRIES = 3  # further nodes that a task is tried on when one is lost; Ray's default for tasks
_kept = ExitStack()  # in a process of Ray: keeps its worker process from one task to the next


@contextmanager
def ray_cluster(address: str) -> Iterator["RayRunner"]:
    """Connect to a running Ray cluster of the same program for the block, or raise InputError."""
    # Before the import: Ray would report its usage to its makers.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "compute.runner: ray found, but Ray is not installed; expected the extra of that "
            "name; run `pip install 'tuneloop[ray]'`, or set compute.runner to processes"
        ) from error
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"compute.ray_address: no Ray cluster at {address!r} that this machine can use "
            f"({str(error).strip().partition(chr(10))[0]}); expected the address that `ray start "
            "--head` prints, with this machine as one of its nodes and the same versions of "
            "Python and Ray; start the cluster, or set compute.runner to processes"
        ) from error
    try:
        yield RayRunner(program_digest())
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError when nobody listens at an address: Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()


class RayRunner:
    """Calls functions in tasks of the cluster that this process is connected to."""

    near = False

    def __init__(self, program: str) -> None:
        import ray

        self._ray: Any = ray
        self._program = program
        self._cpus = max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def each(
        self, function: Callable[..., Value], calls: Iterable[tuple[Any, ...]]
    ) -> Iterator[Value]:
        """See :class:`pipeline.core.runner.Inline`; arguments travel through Ray's store."""
        call = self._remote(_call)
        tasks = (call(self._program, function, *arguments) for arguments in calls)
        return in_order(tasks, 2 * self._cpus, self._result)

    def guarded(
        self, function: Callable[[Item], Value], items: Sequence[Item], limits: Limits
    ) -> Iterator[Done[Value] | Failed]:
        """See :class:`pipeline.core.runner.Inline`; the limits hold on the nodes."""
        call = self._remote(_work_on)
        what = self._ray.put(pickle.dumps(function))  # once for all nodes, however large
        tasks = (call(self._program, what, blobs, limits) for blobs in self._batches(items))
        for answers in in_order(tasks, 2 * self._cpus, self._result):
            yield from answers

    def _batches(self, items: Sequence[Any]) -> Iterator[list[bytes]]:
        blobs: list[bytes] = []
        size = 0
        for position, item in enumerate(items):
            blobs.append(pickle.dumps(item))
            size += len(blobs[-1])
            # Fewer towards the end, so that all nodes finish at about the same time.
            most = min(BATCH, 1 + (len(items) - position) // (4 * self._cpus))
            if len(blobs) >= most or size >= BATCH_BYTES:
                yield blobs
                blobs, size = [], 0
        if blobs:
            yield blobs

    def _remote(self, function: Callable[..., Any]) -> Callable[..., Any]:
        chosen = {"num_cpus": 1, "max_retries": RETRIES, "scheduling_strategy": "SPREAD"}
        return self._ray.remote(**chosen)(function).remote  # type: ignore[no-any-return]

    def _result(self, task: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(task)
        except errors.RayTaskError as error:
            raise error.cause from error
        except errors.RayError as error:
            raise StoreError(
                f"compute: the Ray cluster lost a task {RETRIES + 1} times or is gone "
                f"({type(error).__name__}); expected nodes that stay and have the memory that the "
                "limits allow; look at `ray status`, and run again: what is done is kept"
            ) from error


class _Pickled:
    """What another process unpickles, without a copy of it in this one."""

    def __init__(self, blob: bytes) -> None:
        self.blob = blob

    def __reduce__(self) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
        return pickle.loads, (self.blob,)


def _call(program: str, function: Callable[..., Value], *arguments: Any) -> Value:
    _require(program)
    return function(*arguments)


def _work_on(program: str, function: bytes, blobs: Sequence[bytes], limits: Limits) -> list[Any]:
    _require(program)
    if not workers_are_kept():
        _kept.enter_context(keeping_workers())
    call: Any = _Pickled(function)
    return list(map_in_processes(call, list(map(_Pickled, blobs)), workers=1, limits=limits))


def _require(program: str) -> None:
    if program != program_digest():
        raise InputError(
            f"compute: node {socket.gethostname()} has another version of the program; expected "
            "that of the machine that starts the run, since another one may give other results; "
            "install the same version on all nodes"
        )
