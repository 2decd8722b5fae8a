"""Which texts share a bucket: band keys sorted in partitions, in memory or in files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.core.memory import bound
from pipeline.dedup.arrays import Hashes, Rows

FEWEST_PARTS = 16  # partitions at least, so that several workers have some
MEMORY_PARTS = 8  # buckets take this part of the memory: there are two, and tables beside them
ENTRY_COPIES = 4  # times that a partition is in memory while it is sorted and linked
MOST = 16
"""Texts of one shingle up to which all pairs of them count. Of more, neighbours count only: they
are pages of one make, whose shared shingles are common to all of them."""


def row_mask(rows: int) -> np.uint64:
    """Return the bits that a number of rows needs; each row is smaller than the mask."""
    return np.uint64((1 << max(1, rows.bit_length())) - 1)


def entries(keys: Hashes, rows: Rows, mask: np.uint64) -> Hashes:
    """Return an integer for each key: its first bits, then the row of its text.

    Equal keys lie side by side once they are sorted. A key that is cut off at 44 bits joins some
    ten pairs of a million texts by chance, which the comparison that follows parts again.
    ``rows`` are broadcast to the shape of ``keys``; ``mask`` is of :func:`row_mask`.
    """
    return np.asarray(((keys & ~mask) | rows.astype(np.uint64)).ravel())


class Buckets:
    """Keys of texts, parted by their first bits."""

    def __init__(self, rows: int, partitions: int, folder: Path | None = None) -> None:
        """Make room for keys of so many rows, in memory or in files of a folder, in 2^n parts."""
        self._row_mask = row_mask(rows)
        self._bits = max(0, partitions - 1).bit_length()
        self._folder = folder
        self._parts: list[list[Hashes]] = [[] for _ in range(1 << self._bits)]

    def add(self, keys: Hashes, rows: Rows) -> None:
        """Add keys of texts, as :func:`entries` takes them."""
        new = entries(keys, rows, self._row_mask)
        part = (new >> np.uint64(64 - self._bits)).astype(np.uint16)
        order = np.argsort(part, kind="stable")  # radix sort
        bounds = np.searchsorted(part[order], np.arange(len(self._parts) + 1))
        new = new[order]
        for number, pieces in enumerate(self._parts):
            piece = new[bounds[number] : bounds[number + 1]]
            if self._folder is None:
                pieces.append(piece)
                continue
            with (self._folder / str(number)).open("ab") as stream:
                piece.tofile(stream)

    def parts(self) -> Iterator[tuple[Hashes, np.uint64]]:
        """Yield the entries of each partition, and the mask that leaves their row."""
        for number in range(len(self._parts)):
            yield self._taken(number), self._row_mask

    def _taken(self, number: int) -> Hashes:
        if self._folder is not None and (path := self._folder / str(number)).exists():
            return np.fromfile(path, np.uint64)
        pieces, self._parts[number] = self._parts[number], []  # each part is read once
        return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.uint64)


@contextmanager
def opened_buckets(rows: int, keys: int) -> Iterator[Buckets]:
    """Open buckets in memory when they fit in, else in files of as many parts as they need."""
    need = keys * np.dtype(np.uint64).itemsize
    memory = bound().bytes // MEMORY_PARTS
    if need <= memory:  # each part of them is read once and let go
        yield Buckets(rows, FEWEST_PARTS)
        return
    with TemporaryDirectory(prefix="tuneloop-", dir=bound().folder) as folder:
        yield Buckets(rows, max(FEWEST_PARTS, -(-ENTRY_COPIES * need // memory)), Path(folder))


def shared_keys(
    keys: Hashes, rows: Rows, entries: Hashes, mask: np.uint64, most: int | None = None
) -> Rows:
    """Return pairs (n x 2) of a row and a row of an index for each key that both have.

    ``entries`` are those of the index, sorted; of a key that more than ``most`` of its rows have,
    none counts.
    """
    keys_of_rows = (keys & ~mask).ravel()
    order = np.argsort(keys_of_rows)
    wanted = keys_of_rows[order]
    # Each row is smaller than the mask, which stands behind all of a key's entries.
    begin, end = np.searchsorted(entries, wanted), np.searchsorted(entries, wanted | mask)
    counts = end - begin
    if most is not None:
        counts[counts > most] = 0
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.repeat(begin, counts) + within
    own = np.repeat(np.broadcast_to(rows, keys.shape).ravel()[order], counts)
    return np.stack([own, (entries[places] & mask).astype(np.int64)], axis=1)


def links(entries: Hashes, row_mask: np.uint64) -> Rows:
    """Return pairs of rows (n x 2) that chain the rows of each bucket, each pair once."""
    ordered = np.sort(entries)
    same = np.flatnonzero((ordered[1:] ^ ordered[:-1]) <= row_mask)
    one = ordered[same] & row_mask
    other = ordered[same + 1] & row_mask
    bits = np.uint64(int(row_mask).bit_length())
    # Rows have 32 bits at most: a text of one byte each would fill 4 GB.
    pairs = np.unique((np.minimum(one, other) << bits) | np.maximum(one, other))
    return np.stack([pairs >> bits, pairs & row_mask], axis=1).astype(np.int64)


def components(links: Rows, rows: int) -> tuple[Rows, Rows]:
    """Return the rows that chains of links connect, and where each component begins.

    They are ordered by their first row, and each by its rows; behind the last begin is the end.
    """
    linked = np.zeros(rows, dtype=bool)
    linked[links.ravel()] = True
    names, number = np.flatnonzero(linked), np.cumsum(linked) - 1
    ends = (number[links[:, 0]], number[links[:, 1]])
    shape = (len(names), len(names))
    graph = coo_array((np.ones(len(links), dtype=np.int8), ends), shape=shape)
    _, labels = connected_components(graph, directed=False)
    order = np.argsort(labels, kind="stable")
    begins = np.flatnonzero(np.diff(labels[order], prepend=-1))
    return names[order], np.append(begins, len(names)).astype(np.int64)
