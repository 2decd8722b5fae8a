"""The index of what was accepted: a new batch is compared with it at the price of the batch.

An index is a chain of segments, one a run. A segment is a folder with the sorted band keys of its
documents and their texts, both read by mapping the files into memory, so that opening one costs
nothing and only what is looked up is read.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.dedup.buckets import entries, row_mask, shared_keys
from pipeline.dedup.runners import Runner, threads
from pipeline.dedup.search import signed_slices
from pipeline.settings import DedupSettings

ENTRIES = "entries.npy"
"""uint64, sorted: one a document and band, the first bits of its key and behind them the row."""

DOCUMENTS = "documents.arrow"
"""Arrow file with the columns ``doc_id`` and ``text``, uncompressed so that it can be mapped."""

FILES = (ENTRIES, DOCUMENTS)

BATCH_ROWS = 1 << 14
"""Rows of a record batch of the Arrow file."""


class Segment:
    """The documents that one run accepted."""

    def __init__(self, folder: Path) -> None:
        """Open the files of a segment.

        Raises:
            OSError: one of them is missing or damaged.
            ValueError: the same.
        """
        self._entries = np.load(folder / ENTRIES, mmap_mode="r")
        table = pa.ipc.open_file(pa.memory_map(str(folder / DOCUMENTS))).read_all()
        self.ids = pl.Series(table["doc_id"])
        self._texts = table["text"]

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.ids)

    def links(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return pairs (n x 2) of a row of ``keys`` and a document that share a band.

        Args:
            keys: texts x bands.
        """
        return shared_keys(keys, self._entries, row_mask(len(self)))

    def texts(self, rows: NDArray[np.int64]) -> pl.Series:
        """Return the texts of documents."""
        return pl.Series(self._texts.take(pa.array(rows)), dtype=pl.String)


class Index:
    """All documents accepted so far; rows count on from segment to segment."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Open the segments, the first run's first."""
        self._segments = [Segment(folder) for folder in folders]
        self._bounds = np.cumsum([0, *map(len, self._segments)], dtype=np.int64)
        self.ids = pl.concat(
            [pl.Series([], dtype=pl.String), *(segment.ids for segment in self._segments)]
        )
        """Of the documents, by row."""
        self._present = np.ones(len(self), dtype=bool)

    def __len__(self) -> int:
        """Return the number of documents."""
        return int(self._bounds[-1])

    def keep_only(self, ids: pl.Series) -> None:
        """Overlook all documents but these from now on: they have left the corpus."""
        self._present = self.ids.is_in(ids.implode()).to_numpy()

    def links(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return pairs (n x 2) of a row of ``keys`` and a document that share a band."""
        found = [np.empty((0, 2), dtype=np.int64)]
        for segment, first in zip(self._segments, self._bounds, strict=False):
            found.append(segment.links(keys) + np.array([0, first]))
        pairs = np.concatenate(found)
        counting: NDArray[np.int64] = pairs[self._present[pairs[:, 1]]]
        return counting

    def texts(self, rows: NDArray[np.int64]) -> pl.Series:
        """Return the texts of documents, in the order asked for."""
        of = np.searchsorted(self._bounds, rows, side="right") - 1
        order = np.argsort(of, kind="stable")
        parts = [pl.Series([], dtype=pl.String)]
        for number in np.unique(of):
            wanted = rows[order][of[order] == number] - self._bounds[number]
            parts.append(self._segments[number].texts(wanted))
        back = np.empty(len(rows), dtype=np.int64)
        back[order] = np.arange(len(rows))
        return pl.concat(parts).gather(back)


def write_segment(
    folder: Path, documents: pl.DataFrame, settings: DedupSettings, runner: Runner = threads
) -> None:
    """Write the files of a segment.

    Args:
        folder: where, empty.
        documents: columns ``doc_id`` and ``text``.
        settings: shingles, permutations and bands.
        runner: who computes.
    """
    parts = [
        entries(signed.keys, begin, row_mask(documents.height))
        for begin, _, signed in signed_slices(documents["text"], settings, runner)
    ]
    np.save(folder / ENTRIES, np.sort(np.concatenate([np.empty(0, np.uint64), *parts])))
    columns = documents.select("doc_id", "text").rechunk()
    table = columns.to_arrow(compat_level=pl.CompatLevel.oldest())
    with (
        pa.OSFile(str(folder / DOCUMENTS), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table, max_chunksize=BATCH_ROWS)
