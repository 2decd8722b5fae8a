"""Memory of the process that collects: what is larger than its share lies in a mapped file.

The file has no name and goes with the process. What was read of it is the system's to take back at
any time, and :func:`let_go` gives it back.
"""

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from weakref import WeakSet

import polars as pl
import pyarrow as pa

TABLE = 16  # a table takes this part of the memory at most: a stage holds some, and copies of parts


class Bound(NamedTuple):
    """How much memory there is, and where the rest lies."""

    bytes: int
    folder: Path | None = None  # None: the system's temporary folder


_USUAL = Bound(2**31)
_bound: ContextVar[Bound] = ContextVar("bound", default=_USUAL)
_maps: WeakSet[mmap.mmap] = WeakSet()


def bound() -> Bound:
    """Return what the block around allows."""
    return _bound.get()


@contextmanager
def bounded(megabytes: float, folder: Path | None = None) -> Iterator[None]:
    """Hold the stages inside of the block to so much memory; files for the rest are in a folder."""
    token = _bound.set(Bound(int(megabytes * 2**20), folder))
    try:
        yield
    finally:
        _bound.reset(token)


def joined(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Join frames of one schema, one at least; a large one (:data:`TABLE`) lies in a file."""
    left = iter(frames)
    held: list[pl.DataFrame] = []
    size = 0.0
    for frame in left:
        held.append(frame)
        size += frame.estimated_size()
        if size * TABLE > bound().bytes:
            return _mapped(chain(held, left))
    return pl.concat(held, rechunk=True)


def let_go() -> None:
    """Give back what was read of mapped files; who looks again, reads it again."""
    for mapped in list(_maps):
        mapped.madvise(mmap.MADV_DONTNEED)


def _mapped(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    with tempfile.TemporaryFile(dir=bound().folder) as stream:
        writer = None
        for frame in frames:
            # The older layout: a view would bring all that lies behind it.
            rows = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
            writer = writer or pa.ipc.new_file(stream, rows.schema)
            writer.write_table(rows)
            let_go()
        assert writer is not None, "one frame at least"
        writer.close()
        stream.flush()
        found = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    _maps.add(found)
    rows = pa.ipc.open_file(pa.py_buffer(found)).read_all()
    frame = pl.DataFrame(rows).rechunk()
    let_go()
    return frame
