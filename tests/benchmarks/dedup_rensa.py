"""rensa's deduplicator, as its documentation shows: one call of add_pairs over all rows.

``RMinHashDeduplicator`` hashes the shingles in Rust, looks candidates up in its index and keeps a
row when no kept one reaches the threshold by the estimate of their signatures. One core.
"""

from collections.abc import Iterator
from itertools import compress
from pathlib import Path

from rensa import RMinHashDeduplicator

from tests.benchmarks.dedup_arm import read_rows, run
from tests.benchmarks.dedup_shingles import NUM_PERM, THRESHOLD, shingle_list


def deduplicator(corpus: Path) -> Iterator[str]:
    """Return the ids of the rows that are kept."""
    index = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=NUM_PERM, use_lsh=True)
    kept = index.add_pairs((name, shingle_list(text)) for name, text in read_rows(corpus))
    return compress((name for name, _ in read_rows(corpus)), kept)


if __name__ == "__main__":
    run(deduplicator)
