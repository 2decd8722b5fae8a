"""What the issues ask of a benchmark's numbers, and whether it was reached."""

from collections.abc import Mapping


def verdict(expected: Mapping[str, bool]) -> int:
    """Print whether each expectation was met; return the exit code of the benchmark."""
    for expectation, met in expected.items():
        print(f"{'met' if met else 'MISSED'}: {expectation}")
    return 0 if all(expected.values()) else 1
