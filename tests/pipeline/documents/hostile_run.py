"""Ingest and clean a folder in a process of its own, and print what became of it as JSON.

``python -m tests.pipeline.documents.hostile_run FOLDER HOME``: of its own, so that its peak memory,
its working folder and its temporary files are its own.
"""

import json
import resource
import sys
from pathlib import Path

import polars as pl

from pipeline.core.runner import Processes
from pipeline.documents.clean.clean import clean
from pipeline.settings import CleanSettings, IngestSettings
from tests.pipeline.documents import making

SECONDS = 4.0
"""Enough for each file that is not a trap, on a busy machine."""

MEGABYTES = 512.0
"""For reading: less than the larger bombs unpack to."""


def main(folder: Path, home: Path) -> None:
    """Print sources and reasons of both stages, and the peaks in megabytes."""
    settings = IngestSettings(
        seconds_per_file=SECONDS,
        max_memory_megabytes=MEGABYTES,
        include=("**/*", "**/.*"),
        exclude=(),
    )
    outcome = making.read(folder, home, settings)
    cleaned = clean(
        outcome.kept,
        CleanSettings(seconds_per_document=5, max_memory_megabytes=1500),
        Processes(2),
    )
    reasons = dict(cleaned.dropped.select("id", "reason").iter_rows())
    print(
        json.dumps(
            {
                "balances": outcome.balances and cleaned.balances,
                "read": outcome.kept["source"].to_list(),
                "dropped": outcome.dropped.select("id", "reason", "value", "threshold").rows(),
                "text": outcome.kept.filter(pl.col("text").str.contains("nobody asked")).height,
                "cleaned": [
                    (source, reasons.get(doc_id, "document"))
                    for doc_id, source in outcome.kept.select("doc_id", "source").iter_rows()
                ],
                "parent": _peak(),
                "workers": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000,
            }
        )
    )


def _peak() -> float:
    """Return the peak of this program; getrusage begins with what its starter held before."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


if __name__ == "__main__":
    # By its own name: a worker finds no function of "__main__".
    from tests.pipeline.documents.hostile_run import main as named_main

    named_main(Path(sys.argv[1]), Path(sys.argv[2]))
