"""Who does the work: this process, worker processes of it, or the nodes of a Ray cluster.

The result is the same, to the byte: answers come in the order of what was asked, and no function
that a runner calls looks at anything but its arguments.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeVar

from pipeline.core.ray_runner import ray_cluster
from pipeline.core.workers import (
    Done,
    Failed,
    keeping_workers,
    map_in_processes,
    usable_cores,
    workers_are_kept,
)

Item = TypeVar("Item")
Value = TypeVar("Value")


class Runner(Protocol):
    """Calls functions of modules for others."""

    @property
    def near(self) -> bool:
        """Whether what it calls sees the disk of this machine."""
        ...

    def each(
        self, function: Callable[..., Value], calls: Iterable[tuple[Any, ...]]
    ) -> Iterator[Value]:
        """Yield ``function(*arguments)`` for each of the calls, in order; few are ahead."""
        ...

    def guarded(
        self,
        function: Callable[[Item], Value],
        items: Sequence[Item],
        *,
        seconds: float,
        megabytes: float,
        light: bool = False,
    ) -> Iterator[Done[Value] | Failed]:
        """Yield one answer an item, in order; an item that crashes or meets a limit costs itself.

        Args:
            function: See :func:`pipeline.core.workers.map_in_processes`.
            items: Whatever pickles.
            seconds: For one item.
            megabytes: Private memory of the process that works on it.
            light: Whether all of it is less work than to start a process.
        """
        ...


class Inline:
    """This process alone, one thing after the other; nothing holds it to a limit."""

    near = True

    def each(
        self, function: Callable[..., Value], calls: Iterable[tuple[Any, ...]]
    ) -> Iterator[Value]:
        """See :class:`Runner`."""
        for arguments in calls:
            yield function(*arguments)

    def guarded(
        self,
        function: Callable[[Item], Value],
        items: Sequence[Item],
        *,
        seconds: float,
        megabytes: float,
        light: bool = False,
    ) -> Iterator[Done[Value] | Failed]:
        """See :class:`Runner`; an item that raises costs itself, the limits are not kept."""
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
        """Take the number of processes; 0: one for each core that may be used."""
        self.workers = workers

    def each(
        self, function: Callable[..., Value], calls: Iterable[tuple[Any, ...]]
    ) -> Iterator[Value]:
        """See :class:`Runner`; threads share the documents, processes would copy them."""
        count = self.workers or usable_cores()
        ahead: deque[Future[Value]] = deque()
        with ThreadPoolExecutor(count) as pool:
            for arguments in calls:
                ahead.append(pool.submit(function, *arguments))
                if len(ahead) > 2 * count:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def guarded(
        self,
        function: Callable[[Item], Value],
        items: Sequence[Item],
        *,
        seconds: float,
        megabytes: float,
        light: bool = False,
    ) -> Iterator[Done[Value] | Failed]:
        """See :class:`Runner`; what is light is done here, unless workers wait for work."""
        if light and not workers_are_kept():
            return Inline().guarded(function, items, seconds=seconds, megabytes=megabytes)
        return map_in_processes(
            function, items, workers=self.workers, seconds=seconds, megabytes=megabytes
        )


LOCAL = Processes()
"""The runner of who asks for none."""


@contextmanager
def open_runner(
    runner: Literal["inline", "processes", "ray"], workers: int, ray_address: str
) -> Iterator[Runner]:
    """Open the runner that the section ``compute`` of the settings asks for.

    Raises:
        InputError: Ray is not installed, or no cluster answers at its address.
    """
    if runner == "ray":
        with ray_cluster(ray_address) as cluster:
            yield cluster
    elif runner == "inline":
        yield Inline()
    else:
        with keeping_workers(workers or usable_cores()):
            yield Processes(workers)
