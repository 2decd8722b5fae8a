"""Ingest and clean a folder in a process of its own, and print what became of it as JSON.

``python -m tests.pipeline.ingest.hostile_run FOLDER HOME``: of its own, so that its peak memory,
its working folder and its temporary files are its own.
"""

import json
import resource
import sys
from functools import partial
from pathlib import Path
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.ingest.clean import clean
from pipeline.outcome import table
from pipeline.processes import Failed, map_in_processes
from pipeline.settings import CleanSettings, IngestSettings
from schemas.documents import RawDocuments
from tests.pipeline.ingest import making

SECONDS = 4.0
"""Enough for each file that is not a trap, on a busy machine."""

MEGABYTES = 512.0
"""For reading: less than the larger bombs unpack to."""


def clean_one(row: dict[str, object], settings: CleanSettings) -> str:
    """Clean one document; return ``document`` or why it was dropped."""
    raw = cast("DataFrame[RawDocuments]", table(RawDocuments, [row]))
    outcome = clean(raw, settings)
    assert outcome.balances
    return next(iter(outcome.reasons), "document")


def main(folder: Path, home: Path) -> None:
    """Print sources and reasons of both stages, and the peaks in megabytes."""
    settings = IngestSettings(
        seconds_per_file=SECONDS,
        max_memory_megabytes=MEGABYTES,
        include=("**/*", "**/.*"),
        exclude=(),
    )
    outcome = making.read(folder, home, settings)
    rows = outcome.kept.to_dicts()
    answers = map_in_processes(
        partial(clean_one, settings=CleanSettings()), rows, workers=2, seconds=5, megabytes=1500
    )
    print(
        json.dumps(
            {
                "balances": outcome.balances,
                "read": outcome.kept["source"].to_list(),
                "dropped": outcome.dropped.select("id", "reason", "value", "threshold").rows(),
                "text": outcome.kept.filter(pl.col("text").str.contains("nobody asked")).height,
                "cleaned": [
                    (row["source"], answer.reason if isinstance(answer, Failed) else answer.value)
                    for row, answer in zip(rows, answers, strict=True)
                ],
                "parent": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
                "workers": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000,
            }
        )
    )


if __name__ == "__main__":
    # By its own name: a worker finds no function of "__main__".
    from tests.pipeline.ingest.hostile_run import main as named_main

    named_main(Path(sys.argv[1]), Path(sys.argv[2]))
