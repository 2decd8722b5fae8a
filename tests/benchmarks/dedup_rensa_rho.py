"""rensa's fastest way, its rho batch pipeline, beside its deduplicator.

Samples places of each row instead of hashing all shingles, and says of each row only whether it
has a duplicate, not of which. So the flagged rows go through its deduplicator once more, which
keeps the first of each group. Two threads where the library uses them.
"""

from itertools import compress
from pathlib import Path

from rensa import RMinHash, RMinHashDeduplicator, RMinHashLSH

from tests.benchmarks.dedup_arm import read_rows, run
from tests.benchmarks.dedup_shingles import NUM_PERM, THRESHOLD, shingle_list

BANDS = 8
"""The deduplicator's own number for a threshold of 0.8."""
SEED = 42


def rho(corpus: Path) -> list[str]:
    """Return the ids of the rows that are kept."""
    matrix = RMinHash.digest_matrix_from_token_sets_rho(
        (shingle_list(text) for _, text in read_rows(corpus)), num_perm=NUM_PERM, seed=SEED
    )
    index = RMinHashLSH(threshold=THRESHOLD, num_perm=NUM_PERM, num_bands=BANDS)
    flags = index.query_duplicate_flags_matrix_one_shot(matrix)
    flagged = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=NUM_PERM, use_lsh=True)
    pairs = compress(read_rows(corpus), flags)
    kept = iter(flagged.add_pairs((name, shingle_list(text)) for name, text in pairs))
    names = [name for name, _ in read_rows(corpus)]
    return list(compress(names, [not flag or next(kept) for flag in flags]))


if __name__ == "__main__":
    run(rho)
