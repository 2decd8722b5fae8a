"""Who does the work: threads of this process, other processes, or the nodes of a cluster."""

import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

from pipeline.core.errors import InputError
from pipeline.core.workers import usable_cores
from pipeline.settings import DedupSettings

R = TypeVar("R")


class Runner(Protocol):
    """Calls a function for each tuple of arguments and yields the results in their order."""

    def __call__(self, function: Callable[..., R], calls: Iterable[tuple[Any, ...]]) -> Iterator[R]:
        """Yield ``function(*arguments)`` for each of the calls, in order."""
        ...


def threads(function: Callable[..., R], calls: Iterable[tuple[Any, ...]]) -> Iterator[R]:
    """Run calls in threads of this process: right for work that lets the interpreter's lock go."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        yield from _in_order(pool, function, calls)


def processes(function: Callable[..., R], calls: Iterable[tuple[Any, ...]]) -> Iterator[R]:
    """Run calls in processes of their own: arguments and results are pickled."""
    # Not by fork, which copies the locks that other threads hold.
    with ProcessPoolExecutor(usable_cores(), get_context("spawn")) as pool:
        yield from _in_order(pool, function, calls)


@contextmanager
def ray_cluster(address: str) -> Iterator[Runner]:
    """Open a runner on a Ray cluster; arguments and results travel through Ray's object store.

    The nodes need this program and no storage: only the caller reads and writes documents.

    Args:
        address: of the cluster, ``HOST:PORT`` or ``auto`` for one on this machine; empty starts
            one on this machine for as long as the runner is open.

    Raises:
        InputError: Ray is not installed, or there is no cluster at the address.
    """
    # Before the import: Ray would report its usage to its makers.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "dedup.runner: ray found, but Ray is not installed; expected the extra of that name; "
            "run `pip install 'tuneloop[ray]'`, or set dedup.runner to threads"
        ) from error
    try:
        if address:
            _knock(address)
            ray.init(address=address, log_to_driver=False)
        else:
            ray.init(include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    except OSError as error:
        raise InputError(
            f"dedup.ray_address: no Ray cluster at {address!r}; expected the address that "
            "`ray start --head` prints; start the cluster, or set dedup.runner to threads"
        ) from error

    def run(function: Callable[..., R], calls: Iterable[tuple[Any, ...]]) -> Iterator[R]:
        # A lost node costs a second call: the functions take and return values only.
        remote = ray.remote(num_cpus=1, max_retries=3, scheduling_strategy="SPREAD")(function)
        nodes: list[Any] = ray.nodes()  # type: ignore[no-untyped-call]
        limit = 2 * max(1, int(sum(node["Resources"].get("CPU", 0) for node in nodes)))
        ahead: deque[Any] = deque()
        for arguments in calls:
            ahead.append(remote.remote(*arguments))
            if len(ahead) > limit:
                yield ray.get(ahead.popleft())
        while ahead:
            yield ray.get(ahead.popleft())

    try:
        yield run
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError when nobody listens at an address: Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()


@contextmanager
def runner(settings: DedupSettings) -> Iterator[Runner]:
    """Open the runner that the settings ask for."""
    if settings.runner == "ray":
        with ray_cluster(settings.ray_address) as cluster:
            yield cluster
    else:
        yield processes if settings.runner == "processes" else threads


def _in_order(
    pool: Executor, function: Callable[..., R], calls: Iterable[tuple[Any, ...]]
) -> Iterator[R]:
    """Yield results in the order of the calls, with few calls ahead: they hold their texts."""
    ahead: deque[Future[R]] = deque()
    for arguments in calls:
        ahead.append(pool.submit(function, *arguments))
        if len(ahead) > 2 * usable_cores():
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()
