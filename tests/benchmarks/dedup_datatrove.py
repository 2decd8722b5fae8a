"""datatrove's minhash pipeline on local files, two workers: its four steps one after the other.

Its own normalisation (no punctuation, numbers are one token), word tokenizer (a blank spaCy
pipeline, which needs no download), 64-bit hashes, and clustering of whatever shares a bucket. Of
128 permutations its 8 hashes a bucket make 16 buckets (its default is 14). One file a worker.
Workers are forked: each of its 21 tasks would else import everything again (12 s of 47).
"""

import json
import tempfile
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import JsonlWriter

from tests.benchmarks.dedup_arm import CORES, TEXTS, run_files
from tests.benchmarks.dedup_shingles import NGRAM, NUM_PERM

HASHES = 8


def pipeline(corpus: Path, output: Path) -> float:
    """Run the four steps, write the kept ids and return the seconds of the steps."""
    config = MinhashConfig(n_grams=NGRAM, num_buckets=NUM_PERM // HASHES, hashes_per_bucket=HASHES)
    reader = ParquetReader(str(corpus), glob_pattern=TEXTS)
    with tempfile.TemporaryDirectory() as folder:
        signatures, buckets, removed, kept = (
            f"{folder}/{name}" for name in ("signatures", "buckets", "removed", "kept")
        )
        steps = (
            ([reader, MinhashDedupSignature(signatures, config, language="en")], CORES),
            ([MinhashDedupBuckets(signatures, buckets, config=config)], config.num_buckets),
            ([MinhashDedupCluster(buckets, removed, config=config)], 1),
            ([reader, MinhashDedupFilter(removed), JsonlWriter(kept, compression=None)], CORES),
        )
        began = time.perf_counter()
        for place, (step, tasks) in enumerate(steps):
            LocalPipelineExecutor(
                step,
                tasks=tasks,
                workers=min(tasks, CORES),
                logging_dir=f"{folder}/logs/{place}",
                start_method="fork",
            ).run()
        seconds = time.perf_counter() - began
        lines = (line for path in sorted(Path(kept).glob("*")) for line in path.open())
        output.write_text("\n".join(json.loads(line)["id"] for line in lines))
    return seconds


if __name__ == "__main__":
    run_files(pipeline)
