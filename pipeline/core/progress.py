"""Progress of long work, told to whoever listens.

Stages call :func:`track`, :func:`advance` or :func:`announce`; the flow that runs a stage
installs listeners with :func:`listening`. Without one, nothing happens.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Listener = Callable[[int, int, str], None]
"""Called with (done, total, unit); ``total`` 0 means unknown."""

T = TypeVar("T")
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
_reader: ContextVar[Callable[[str], None] | None] = ContextVar("reader", default=None)


def advance(done: int, total: int, unit: str) -> None:
    """Tell the listener that ``done`` of ``total`` units are finished."""
    if listener := _listener.get():
        listener(done, total, unit)


def announce(line: str) -> None:
    """Tell whoever listens what is about to happen, on one line."""
    if reader := _reader.get():
        reader(line)


def track(items: Sequence[T], unit: str) -> Iterator[T]:
    """Yield the items and tell the listener after each one."""
    advance(0, len(items), unit)
    for done, item in enumerate(items, start=1):
        yield item
        advance(done, len(items), unit)


@contextmanager
def listening(listener: Listener, reader: Callable[[str], None] | None = None) -> Iterator[None]:
    """Install a listener, and a reader of lines, for the stages called inside the block."""
    tokens = _listener.set(listener), _reader.set(reader)
    try:
        yield
    finally:
        _listener.reset(tokens[0])
        _reader.reset(tokens[1])
