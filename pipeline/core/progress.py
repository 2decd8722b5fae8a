"""Progress of long work, told to whoever listens (:func:`listening`); else nothing happens."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Listener = Callable[[int, int, str], None]  # of done, total (0: unknown) and unit
Reader = Callable[[str], None]

T = TypeVar("T")
_ears: ContextVar[tuple[Listener | None, Reader | None]] = ContextVar("ears", default=(None, None))


def advance(done: int, total: int, unit: str) -> None:
    """Tell the listener that ``done`` of ``total`` units are finished."""
    if listener := _ears.get()[0]:
        listener(done, total, unit)


def announce(line: str) -> None:
    """Tell whoever listens what is about to happen, on one line."""
    if reader := _ears.get()[1]:
        reader(line)


def track(items: Sequence[T], unit: str) -> Iterator[T]:
    """Yield the items and tell the listener after each one."""
    advance(0, len(items), unit)
    for done, item in enumerate(items, start=1):
        yield item
        advance(done, len(items), unit)


@contextmanager
def listening(listener: Listener, reader: Reader | None = None) -> Iterator[None]:
    """Install a listener, and a reader of lines, for the stages called inside the block."""
    token = _ears.set((listener, reader))
    try:
        yield
    finally:
        _ears.reset(token)
