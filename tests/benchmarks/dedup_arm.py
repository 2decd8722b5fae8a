"""What every arm of the deduplication benchmark does around its tool: read, time, report.

An arm is a script that runs in the environment of its tool, ``python -m tests.benchmarks.dedup_X
CORPUS OUTPUT``. It may import the standard library, pyarrow, its tool, and this file. The clock
runs from the Parquet files to the ids that are kept. Before it starts, the tool has been imported
and has deduplicated a handful of rows, so that loading and compiling are not in it; they are in
the time of the whole process, which the caller takes.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = "part-*.parquet"
"""The rows of a corpus, columns ``id`` and ``text``; a folder holds two of these files."""
WARM_UP = 32
"""Rows of the run before the clock starts."""
CORES = 2
"""Processes or threads of a tool that can use more than one: the machine of the issue has two."""


def read(corpus: Path) -> pa.Table:
    """Return the whole corpus."""
    return pa.concat_tables(pq.read_table(path) for path in sorted(corpus.glob(TEXTS)))


def rows(table: pa.Table) -> Iterator[tuple[str, str]]:
    """Yield id and text of each row; only a batch at a time are objects of Python."""
    for batch in table.to_batches(max_chunksize=1024):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def run(work: Callable[[pa.Table], Iterable[str]]) -> None:
    """Time an arm that is a function of the table: ids and texts in, kept ids out."""

    def timed(corpus: Path, output: Path) -> float:
        list(work(pq.ParquetFile(next(corpus.glob(TEXTS))).read_row_group(0)[:WARM_UP]))
        began = time.perf_counter()
        kept = list(work(read(corpus)))
        seconds = time.perf_counter() - began
        output.write_text("\n".join(kept))
        return seconds

    run_files(timed)


def run_files(timed: Callable[[Path, Path], float]) -> None:
    """Run an arm that reads and writes files itself and returns its seconds; print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus", type=Path)
    parser.add_argument("output", type=Path, help="where the kept ids go, one a line")
    options = parser.parse_args()
    seconds = timed(options.corpus, options.output)
    status = Path("/proc/self/status").read_text()
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "peak_mb": int(peak) / 1024}))
