"""The index of what was accepted: a new batch is compared with it at the price of the batch.

An index is a chain of segments, one a run: folders with the sorted band keys of its documents and
their texts, mapped into memory, so that only what is looked up is read.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.core.runner import LOCAL, Runner
from pipeline.dedup.arrays import Flags, Hashes, Rows
from pipeline.dedup.buckets import MOST, Buckets, row_mask, shared_keys
from pipeline.dedup.minhash import empty_buckets, signed_slices
from pipeline.settings import DedupSettings

ENTRIES = "entries.npy"  # uint64, sorted, by document and band: first bits of the key, then the row
SAMPLE = "sample.npy"  # uint64, sorted, distinct: the same of sampled shingles
SIZES = "sizes.npy"  # int64: entries of each row in the sample
IDS = "ids.npy"  # uint64, sorted: the ``doc_id`` of each row, 16 hexadecimal digits
TEXTS = "texts.arrow"  # Arrow file with the column ``text``, uncompressed so that it can be mapped
FILES = (ENTRIES, SAMPLE, SIZES, IDS, TEXTS)
BATCH_ROWS = 1 << 12  # rows of a record batch of the Arrow file, the last one's aside


class Segment:
    """The documents that one run accepted."""

    def __init__(self, folder: Path) -> None:
        """Open the files; one that is missing or damaged is an OSError or a ValueError."""
        self.entries: Hashes = np.load(folder / ENTRIES, mmap_mode="r")
        self.sample: Hashes = np.load(folder / SAMPLE, mmap_mode="r")
        self.sizes: Rows = np.load(folder / SIZES, mmap_mode="r")
        self.ids: Hashes = np.load(folder / IDS, mmap_mode="r")
        self._texts = pa.ipc.open_file(pa.memory_map(str(folder / TEXTS)))

    def texts(self, rows: Rows) -> pl.Series:
        """Return the texts of documents, whose rows ascend."""
        parts = [pl.Series([], dtype=pl.String)]
        for number in np.unique(rows // BATCH_ROWS):
            batch = self._texts.get_batch(int(number)).column(0)
            wanted = rows[rows // BATCH_ROWS == number] - number * BATCH_ROWS
            parts.append(pl.Series(batch.take(pa.array(wanted)), dtype=pl.String))
        return pl.concat(parts)


class Index:
    """All documents accepted so far; rows count on from segment to segment."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Open the segments, the first run's first."""
        self._segments = [Segment(folder) for folder in folders]
        lengths = [len(segment.ids) for segment in self._segments]
        self._bounds = np.cumsum([0, *lengths], dtype=np.int64)
        nothing: Hashes = np.empty(0, dtype=np.uint64)
        self._ids = np.concatenate([nothing, *(segment.ids for segment in self._segments)])
        self._absent: Flags = np.zeros(len(self), dtype=bool)

    def __len__(self) -> int:
        """Return the number of documents."""
        return int(self._bounds[-1])

    def keep_only(self, ids: pl.Series) -> None:
        """Overlook all documents but these from now on: they have left the corpus."""
        self._absent = ~np.isin(self._ids, as_numbers(ids))

    def has(self, ids: pl.Series) -> Flags:
        """Tell of each ``doc_id`` whether it was accepted, be it overlooked or not."""
        return np.isin(as_numbers(ids), self._ids)

    def ids(self, rows: Rows) -> pl.Series:
        """Return the ``doc_id`` of rows."""
        numbers = self._ids[rows].tolist()
        return pl.Series([f"{number:016x}" for number in numbers], dtype=pl.String)

    def links(self, keys: Hashes) -> Rows:
        """Return pairs (n x 2) of a row of ``keys`` and a document that share a band."""
        own = np.arange(len(keys))[:, None]
        return self._present(
            shared_keys(keys, own, segment.entries, row_mask(len(segment.ids)))
            for segment in self._segments
        )

    def shared(self, sample: Hashes, rows: Rows) -> Rows:
        """Return pairs of a row and a document for each shingle of a sample that both have."""
        return self._present(
            shared_keys(sample, rows, segment.sample, row_mask(len(segment.ids)), MOST)
            for segment in self._segments
        )

    def sizes(self) -> Rows:
        """Return how many sampled shingles each document has."""
        sizes = (segment.sizes for segment in self._segments)
        return np.concatenate([np.empty(0, dtype=np.int64), *sizes])

    def _present(self, found: Iterable[Rows]) -> Rows:
        """Return pairs with a document of each segment as pairs with one of all that count."""
        parts = [
            pairs + np.array([0, first]) for pairs, first in zip(found, self._bounds, strict=False)
        ]
        pairs: Rows = np.concatenate([np.empty((0, 2), dtype=np.int64), *parts])
        return np.asarray(pairs[~self._absent[pairs[:, 1]]])

    def texts(self, rows: Rows) -> pl.Series:
        """Return the texts of rows, in the order asked for."""
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        bounds = np.searchsorted(ordered, self._bounds)
        parts = [pl.Series([], dtype=pl.String)]
        for number, segment in enumerate(self._segments):
            begin, end = bounds[number], bounds[number + 1]
            parts.append(segment.texts(ordered[begin:end] - self._bounds[number]))
        return pl.concat(parts).gather(np.argsort(order))


NOTHING = Index(())  # the index of a first run


def as_numbers(ids: pl.Series) -> Hashes:
    """Return ids of 16 hexadecimal digits as integers."""
    return ids.str.to_integer(base=16, dtype=pl.UInt64).to_numpy()


def write_segment(
    folder: Path, documents: pl.DataFrame, settings: DedupSettings, runner: Runner = LOCAL
) -> None:
    """Write the files of a segment into an empty folder; columns ``doc_id`` and ``text``."""
    documents = documents.sort("doc_id")
    sizes = np.zeros(documents.height, dtype=np.int64)
    with ExitStack() as stack:
        keys, samples = empty_buckets(documents["text"], settings, stack)
        for begin, end, signed in signed_slices(documents["text"], settings, runner):
            rows = np.arange(begin, end)
            keys.add(signed.keys, rows[:, None])
            samples.add(signed.sample, np.repeat(rows, signed.sizes))
        _save(folder / ENTRIES, (np.sort(part) for part, _ in keys.parts()))
        _save(folder / SAMPLE, _counted(samples, sizes))
    np.save(folder / SIZES, sizes)
    np.save(folder / IDS, as_numbers(documents["doc_id"]))
    schema = pa.schema([("text", pa.large_string())])
    with pa.OSFile(str(folder / TEXTS), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for begin in range(0, documents.height, BATCH_ROWS):
            texts = documents["text"][begin : begin + BATCH_ROWS]
            column = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
            writer.write_batch(pa.record_batch([column], schema=schema))


def _counted(samples: Buckets, sizes: Rows) -> Iterator[Hashes]:
    """Yield the distinct entries of each part, and add up how many each row has."""
    for part, mask in samples.parts():
        found = np.unique(part)
        sizes += np.bincount((found & mask).astype(np.int64), minlength=len(sizes))
        yield found


def _save(path: Path, parts: Iterable[Hashes]) -> None:
    """Write arrays one behind the other, as numpy's own save would write all of them at once."""
    header: Callable[..., None] = np.lib.format.write_array_header_1_0
    about = {"descr": "<u8", "fortran_order": False}
    count = 0
    with path.open("wb") as stream:
        header(stream, about | {"shape": (0,)})  # it has room for a longer shape
        for part in parts:
            stream.write(part.tobytes())
            count += len(part)
        stream.seek(0)
        header(stream, about | {"shape": (count,)})
