"""What the issues ask of a benchmark's numbers, and whether it was reached."""

from collections.abc import Iterable, Mapping

from tests.benchmarks.dedup_score import Score

LEAST_F1 = 0.98
"""Of deduplication, in issue 5."""


def unspoilt(scores: Iterable[Score]) -> dict[str, bool]:
    """Return whether each run of deduplication was good enough."""
    every = list(scores)
    return {
        f"F1 at least {LEAST_F1}": all(score.f1 >= LEAST_F1 for score in every),
        "nothing unrelated merged": not any(score.unrelated for score in every),
    }


def verdict(expected: Mapping[str, bool]) -> int:
    """Print whether each expectation was met; return the exit code of the benchmark."""
    for expectation, met in expected.items():
        print(f"{'met' if met else 'MISSED'}: {expectation}")
    return 0 if all(expected.values()) else 1
