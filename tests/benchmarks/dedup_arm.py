"""What every arm of the deduplication benchmark does around its tool: read, time, report.

An arm is a script that runs in the environment of its tool, ``python -m tests.benchmarks.dedup_X
CORPUS OUTPUT``. It may import the standard library, pyarrow, its tool, and this file. The clock
runs from the Parquet files to the ids that are kept. Before it starts, the tool has been imported
and has deduplicated a handful of rows with duplicates among them, so that loading and compiling
are not in it; they are in the time of the whole process, which the caller takes.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = "part-*.parquet"
"""The rows of a corpus, columns ``id`` and ``text``; a folder holds two of these files."""
WARM_UP = 32
"""Passages of the run before the clock starts."""
CORES = 2
"""Processes or threads of a tool that can use more than one: the machine of the issue has two."""


def read_rows(corpus: Path) -> Iterator[tuple[str, str]]:
    """Yield id and text of each row in order; only a batch at a time is in memory."""
    for path in sorted(corpus.glob(TEXTS)):
        for batch in pq.ParquetFile(path).iter_batches(1024):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def run(work: Callable[[Path], Iterable[str]]) -> None:
    """Time an arm that is a function: folder of a corpus in, kept ids out."""

    def timed(corpus: Path, output: Path) -> float:
        with tempfile.TemporaryDirectory() as folder:
            _write_handful(corpus, Path(folder))
            list(work(Path(folder)))
        began = time.perf_counter()
        kept = list(work(corpus))
        seconds = time.perf_counter() - began
        output.write_text("\n".join(kept))
        return seconds

    run_files(timed)


def run_files(timed: Callable[[Path, Path], float]) -> None:
    """Run an arm that takes its seconds and writes the kept ids itself; print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus", type=Path)
    parser.add_argument("output", type=Path, help="where the kept ids go, one a line")
    options = parser.parse_args()
    seconds = timed(options.corpus, options.output)
    status = Path("/proc/self/status").read_text()
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "peak_mb": int(peak) / 1024}))


def _write_handful(corpus: Path, folder: Path) -> None:
    """Write some rows three times: as they are, in capitals, and with two words more."""
    first = next(pq.ParquetFile(min(corpus.glob(TEXTS))).iter_batches(WARM_UP))
    texts = first["text"].to_pylist()
    ways = texts + [text.upper() for text in texts] + [f"{text} and more" for text in texts]
    handful = pa.table({"id": [f"{place:016x}" for place in range(len(ways))], "text": ways})
    pq.write_table(handful, folder / TEXTS.replace("*", "0"))
