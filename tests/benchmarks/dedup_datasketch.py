"""datasketch in a plain loop, as its documentation shows: hash, query, insert what is new.

A passage is kept when no kept one is in a bucket with it; candidates are not compared, and the
bands are datasketch's own for the threshold. One core: the library has no parallel way.
"""

from collections.abc import Iterator
from pathlib import Path

from datasketch import MinHash, MinHashLSH

from tests.benchmarks.dedup_arm import read_rows, run
from tests.benchmarks.dedup_shingles import NUM_PERM, THRESHOLD, shingle_list


def plain_loop(corpus: Path) -> Iterator[str]:
    """Yield the ids of the rows that are kept."""
    index = MinHashLSH(threshold=THRESHOLD, num_perm=NUM_PERM)
    for name, text in read_rows(corpus):
        signature = MinHash(num_perm=NUM_PERM)
        signature.update_batch([shingle.encode() for shingle in shingle_list(text)])
        if not index.query(signature):
            index.insert(name, signature)
            yield name


if __name__ == "__main__":
    run(plain_loop)
