"""Deduplication beside its peers: speed, memory and quality on one corpus in one run.

    make bench                                            # or:
    .venv/bin/python -m tests.benchmarks.dedup_speed [--rows 20000] [--arms ours rensa]

The corpus: :mod:`dedup_corpus`. Every arm is a process of its own, each peer in an environment of
its own (made below ``--cache`` on first use: minutes), with word 5-grams, 128 permutations and a
threshold of 0.8 where it allows. The arms take turns; the best of the repeats counts.

- MB/s: UTF-8 bytes of the texts over the time from the Parquet files to the kept ids, everything
  loaded and compiled before. "with start": over the time of the whole process. "ours cold" also
  compiles what numba keeps from one run to the next.
- peak MB: the process with its interpreter and libraries; several processes together.
- precision, recall, F1: of the rows that are dropped, :mod:`dedup_score`; wrong: clusters lost;
  unrelated: of these, rows that resemble nothing else in the corpus.

Fails when ours is not so many times faster than a peer that ran as issue 5 asks, has an F1 below
0.98 or merges what is unrelated.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks.dedup_arm import read_rows
from tests.benchmarks.dedup_corpus import corpus, nearest_strangers
from tests.benchmarks.dedup_peers import ARMS, CACHE, Measured, Unavailable, measure
from tests.benchmarks.verdict import unspoilt, verdict

LEAST_RATIOS = {"rensa": 4, "datasketch": 35, "text_dedup": 50, "datatrove": 50}
"""Of issue 5."""
OURS, COLD = "ours", "ours cold"
CHECKED = 300
"""Rows whose true similarity with every stranger in the corpus is computed."""


def table(results: dict[str, list[Measured]], failed: dict[str, str], megabytes: float) -> str:
    """Lay the arms out side by side; ratios are how many times faster ours is."""
    best = {arm: min(runs, key=lambda run: run.seconds) for arm, runs in results.items() if runs}
    starts = {arm: min(run.seconds_total for run in results[arm]) for arm in best}
    ours = best.get(OURS)
    lines = [
        f"{'arm':<11} {'MB/s':>7} {'ours is':>8} {'with start':>10} {'ours is':>8} {'peak MB':>8} "
        f"{'precision':>9} {'recall':>7} {'F1':>6} {'wrong':>6} {'unrelated':>9}"
    ]
    for arm, run in best.items():
        ratio = f"{run.seconds / ours.seconds:.1f} x" if ours else ""
        started = f"{starts[arm] / starts[OURS]:.1f} x" if ours else ""
        found = run.score
        peak = max(each.peak_mb for each in results[arm])
        lines.append(
            f"{arm:<11} {megabytes / run.seconds:>7.2f} {ratio:>8} "
            f"{megabytes / starts[arm]:>10.2f} {started:>8} {peak:>8.0f} "
            f"{found.precision:>9.4f} {found.recall:>7.4f} {found.f1:>6.4f} {found.wrong:>6} "
            f"{found.unrelated:>9}"
        )
    lines += [f"{arm:<11} did not run: {reason}" for arm, reason in failed.items()]
    return "\n".join(lines)


def main() -> int:
    """Run the arms by turns, print the table and whether what is asked was reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--cache", type=Path, default=CACHE, help="environments and corpora")
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    options = parser.parse_args()
    home = corpus(options.cache, options.rows)
    megabytes = sum(len(text.encode()) for _, text in read_rows(home)) / 1e6
    nearest = nearest_strangers(home, CHECKED)[0]
    print(
        f"{options.rows:,} passages, {megabytes:.1f} MB; of {CHECKED} passages the true Jaccard "
        f"similarity with a stranger is {nearest:.2f} at most"
    )
    results: dict[str, list[Measured]] = {}
    failed: dict[str, str] = {}
    arms = [(arm, arm, False) for arm in options.arms]
    if OURS in options.arms:
        arms.insert(0, (COLD, OURS, True))
    for _ in range(options.repeats):
        for name, arm, cold in arms:
            if name in failed:
                continue
            try:
                run = measure(arm, home, options.cache, cold)
            except Unavailable as error:
                failed[name] = str(error)
                continue
            results.setdefault(name, []).append(run)
            print(f"{name}: {run.seconds:.2f} s", file=sys.stderr)
    print(table(results, failed, megabytes))
    if options.json:
        numbers = {arm: [asdict(run) for run in runs] for arm, runs in results.items()}
        options.json.write_text(json.dumps({"arms": numbers, "failed": failed}, indent=1))
    return verdict(_reached(results))


def _reached(results: dict[str, list[Measured]]) -> dict[str, bool]:
    mine = results.get(OURS)
    if not mine:
        return {}
    best = {arm: min(run.seconds for run in runs) for arm, runs in results.items()}
    return {
        f"{ratio} times {arm}": best[arm] >= ratio * best[OURS]
        for arm, ratio in LEAST_RATIOS.items()
        if arm in best
    } | unspoilt(run.score for run in mine)


if __name__ == "__main__":
    sys.exit(main())
