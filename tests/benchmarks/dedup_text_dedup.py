"""text-dedup's minhash command on local Parquet files, two processes.

Its own loading, hashing, clustering and saving; ``xxh3`` is the faster of its two hash functions.
It takes the bands for the threshold from datasketch and joins whatever shares a bucket.
"""

import tempfile
import time
from pathlib import Path

from datasets import load_from_disk
from text_dedup.minhash import main

from tests.benchmarks.dedup_arm import CORES, TEXTS, run_files
from tests.benchmarks.dedup_shingles import NGRAM, NUM_PERM, THRESHOLD


def command(corpus: Path, output: Path) -> float:
    """Run the command, write the kept ids and return the seconds of the command."""
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "path": "parquet",
            "data_files": corpus / TEXTS,
            "split": "train",
            "cache_dir": Path(folder) / "cache",
            "output": Path(folder) / "kept",
            "column": "text",
            "ngram": NGRAM,
            "num_perm": NUM_PERM,
            "threshold": THRESHOLD,
            "hash_func": "xxh3",
            "num_proc": CORES,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        began = time.perf_counter()
        main(words, standalone_mode=False)
        seconds = time.perf_counter() - began
        output.write_text("\n".join(load_from_disk(options["output"])["id"]))
    return seconds


if __name__ == "__main__":
    run_files(command)
