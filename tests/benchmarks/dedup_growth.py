"""Deduplication as the corpus grows: time and memory at 10 thousand, 100 thousand, 1 million.

    make bench                                            # or:
    .venv/bin/python -m tests.benchmarks.dedup_growth [--rows 10000 100000] [--repeats 2]

A corpus of a million passages is 1.3 GB of text, made once below ``--cache`` (two minutes).
Every run is a process of its own; the best of the repeats counts.

- proportional: time a passage over that at the size before; 1.00 is growth in proportion.
- peak MB: the process with its interpreter and libraries.
"""

import argparse
from pathlib import Path

from tests.benchmarks.dedup_arm import read_rows
from tests.benchmarks.dedup_corpus import corpus
from tests.benchmarks.dedup_peers import CACHE, Measured, measure

ROWS = (10_000, 100_000, 1_000_000)


def line(rows: int, megabytes: float, run: Measured, before: tuple[int, float] | None) -> str:
    """Return the line of a size; ``before`` are rows and seconds of the size before."""
    growth = ""
    if before:
        growth = f"{run.seconds / rows / (before[1] / before[0]):.2f}"
    return (
        f"{rows:>9,} {megabytes:>8.0f} {run.seconds:>8.2f} {megabytes / run.seconds:>7.1f} "
        f"{growth:>12} {run.peak_mb:>8.0f} {run.score.f1:>6.4f} {run.score.unrelated:>9}"
    )


def main() -> None:
    """Print a line a size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=CACHE, help="environments and corpora")
    options = parser.parse_args()
    print(
        f"{'passages':>9} {'MB':>8} {'seconds':>8} {'MB/s':>7} {'proportional':>12} "
        f"{'peak MB':>8} {'F1':>6} {'unrelated':>9}"
    )
    before = None
    for rows in sorted(options.rows):
        home = corpus(options.cache, rows)
        megabytes = sum(len(text.encode()) for _, text in read_rows(home)) / 1e6
        runs = [measure("ours", home, options.cache) for _ in range(options.repeats)]
        best = min(runs, key=lambda run: run.seconds)
        print(line(rows, megabytes, best, before), flush=True)
        before = rows, best.seconds


if __name__ == "__main__":
    main()
