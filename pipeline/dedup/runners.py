"""Who does the work: the threads of this process, other processes, or whatever a caller brings."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

R = TypeVar("R")


class Runner(Protocol):
    """Calls a function for each tuple of arguments and yields the results in their order."""

    def __call__(self, function: Callable[..., R], calls: Iterable[tuple[Any, ...]]) -> Iterator[R]:
        """Yield ``function(*arguments)`` for each of the calls, in order."""
        ...


def workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(function: Callable[..., R], calls: Iterable[tuple[Any, ...]]) -> Iterator[R]:
    """Run calls in threads of this process: right for work that lets the interpreter's lock go."""
    with ThreadPoolExecutor(workers()) as pool:
        yield from _in_order(pool, function, calls)


def processes(function: Callable[..., R], calls: Iterable[tuple[Any, ...]]) -> Iterator[R]:
    """Run calls in processes of their own: arguments and results are pickled."""
    # Not by fork, which copies the locks that other threads hold.
    with ProcessPoolExecutor(workers(), get_context("spawn")) as pool:
        yield from _in_order(pool, function, calls)


def _in_order(
    pool: Executor, function: Callable[..., R], calls: Iterable[tuple[Any, ...]]
) -> Iterator[R]:
    """Yield results in the order of the calls, with few calls ahead: they hold their texts."""
    ahead: deque[Future[R]] = deque()
    for arguments in calls:
        ahead.append(pool.submit(function, *arguments))
        if len(ahead) > 2 * workers():
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()
