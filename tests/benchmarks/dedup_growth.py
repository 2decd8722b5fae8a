"""Deduplication as the corpus grows: time and memory at 10 thousand, 100 thousand, 1 million.

    make bench                                            # or:
    .venv/bin/python -m tests.benchmarks.dedup_growth [--rows 10000 100000] [--repeats 3]

A corpus of a million passages is 1.3 GB of text, made once below ``--cache`` (two minutes).
Every run is a process of its own; the best of the repeats counts.

- proportional: time a passage over that at the size before; 1.00 is growth in proportion.
- peak MB: the process with its interpreter and libraries.

Fails when the last size takes more than 1.25 of the proportional time, when a run holds 4 GB, has
an F1 below 0.98 or merges what is unrelated.
"""

import argparse
import sys
from pathlib import Path

from tests.benchmarks.dedup_arm import read_rows
from tests.benchmarks.dedup_corpus import corpus
from tests.benchmarks.dedup_peers import CACHE, Measured, measure
from tests.benchmarks.verdict import unspoilt, verdict

ROWS = (10_000, 100_000, 1_000_000)
MOST_GROWTH = 1.25
MOST_MEGABYTES = 4000
"""Both of issue 5."""


def line(rows: int, megabytes: float, run: Measured, growth: float | None) -> str:
    """Return the line of a size; ``growth``: its time a row over that at the size before."""
    return (
        f"{rows:>9,} {megabytes:>8.0f} {run.seconds:>8.2f} {megabytes / run.seconds:>7.1f} "
        f"{'' if growth is None else f'{growth:.2f}':>12} {run.peak_mb:>8.0f} "
        f"{run.score.f1:>6.4f} {run.score.unrelated:>9}"
    )


def main() -> int:
    """Print a line a size, and whether what is asked was reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=CACHE, help="environments and corpora")
    options = parser.parse_args()
    print(
        f"{'passages':>9} {'MB':>8} {'seconds':>8} {'MB/s':>7} {'proportional':>12} "
        f"{'peak MB':>8} {'F1':>6} {'unrelated':>9}"
    )
    pace, growth = None, None
    every: list[Measured] = []
    for rows in sorted(options.rows):
        home = corpus(options.cache, rows)
        megabytes = sum(len(text.encode()) for _, text in read_rows(home)) / 1e6
        runs = [measure("ours", home, options.cache) for _ in range(options.repeats)]
        best = min(runs, key=lambda run: run.seconds)
        growth = best.seconds / rows / pace if pace else None
        pace = best.seconds / rows
        every += runs
        print(line(rows, megabytes, best, growth), flush=True)
    expected = unspoilt(run.score for run in every)
    expected[f"below {MOST_MEGABYTES} MB"] = all(run.peak_mb < MOST_MEGABYTES for run in every)
    if growth is not None:
        expected[f"the last size within {MOST_GROWTH} of proportional"] = growth <= MOST_GROWTH
    return verdict(expected)


if __name__ == "__main__":
    sys.exit(main())
