"""Progress of long work, told to whoever listens.

Stages call :func:`track` or :func:`advance`; the flow that runs a stage installs a listener
with :func:`listening`. Without one, nothing happens.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Listener = Callable[[int, int, str], None]
"""Called with (done, total, unit); ``total`` 0 means unknown."""

T = TypeVar("T")
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def advance(done: int, total: int, unit: str) -> None:
    """Tell the listener that ``done`` of ``total`` units are finished."""
    listener = _listener.get()
    if listener is not None:
        listener(done, total, unit)


def track(items: Sequence[T], unit: str) -> Iterator[T]:
    """Yield the items and tell the listener after each one."""
    advance(0, len(items), unit)
    for done, item in enumerate(items, start=1):
        yield item
        advance(done, len(items), unit)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Install a listener for the stages called inside the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
