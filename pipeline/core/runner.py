"""Who does the work: this process, worker processes of it, or the nodes of a Ray cluster.

The result is the same, to the byte. All runners have what :class:`Inline` has; ``near`` tells
whether what it calls sees the disk of this machine.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal

from pipeline.core.ray_runner import RayRunner, ray_cluster
from pipeline.core.workers import (
    Done,
    Failed,
    Item,
    Limits,
    Value,
    in_order,
    keeping_workers,
    map_in_processes,
    usable_cores,
)


class Inline:
    """This process alone, one thing after the other; nothing holds it to a limit."""

    near = True

    def each(
        self, function: Callable[..., Value], calls: Iterable[tuple[Any, ...]]
    ) -> Iterator[Value]:
        """Yield ``function(*arguments)`` for each of the calls, in order; few are ahead."""
        for arguments in calls:
            yield function(*arguments)

    def guarded(
        self, function: Callable[[Item], Value], items: Sequence[Item], limits: Limits
    ) -> Iterator[Done[Value] | Failed]:
        """Yield an answer an item, in order; see :func:`pipeline.core.workers.map_in_processes`."""
        for item in items:
            try:
                answer = function(item)
            except Exception as error:  # as a worker process has it: whatever an item does
                yield Failed("error", f"{type(error).__name__}: {error}"[:1000])
            else:
                yield Done(answer)


class Processes:
    """Worker processes with limits, and threads for compiled code, which lets the lock go."""

    near = True

    def __init__(self, workers: int = 0) -> None:
        self.workers = workers

    def each(
        self, function: Callable[..., Value], calls: Iterable[tuple[Any, ...]]
    ) -> Iterator[Value]:
        """See :class:`Inline`; threads share the documents, processes would copy them."""
        count = self.workers or usable_cores()
        with ThreadPoolExecutor(count) as pool:
            tasks = (pool.submit(function, *arguments) for arguments in calls)
            yield from in_order(tasks, 2 * count, Future.result)

    def guarded(
        self, function: Callable[[Item], Value], items: Sequence[Item], limits: Limits
    ) -> Iterator[Done[Value] | Failed]:
        """See :class:`Inline`."""
        return map_in_processes(function, items, workers=self.workers, limits=limits)


Runner = Inline | Processes | RayRunner

LOCAL = Processes()  # the runner of who asks for none


@contextmanager
def open_runner(
    runner: Literal["inline", "processes", "ray"], workers: int, ray_address: str
) -> Iterator[Runner]:
    """Open the runner that section ``compute`` asks for; InputError where no Ray is."""
    if runner == "ray":
        with ray_cluster(ray_address) as cluster:
            yield cluster
    elif runner == "inline":
        yield Inline()
    else:
        with keeping_workers(workers or usable_cores()):
            yield Processes(workers)
