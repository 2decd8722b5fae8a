"""A corpus with planted duplicates for the deduplication benchmarks, and its truth.

    python -m tests.benchmarks.dedup_corpus --rows 1000000 --folder /tmp/corpus [--check 100]

The real passages of :mod:`dedup_pages`, and, since there are only some 7,000 of them, as many as
are wanted of real sentences in random order: two such passages share one sentence in 500 pairs
and four of their 13 hardly ever. Of every hundred rows about

* 80 are passages of their own,
* 7 are exact copies: equal but for case and white space,
* 8 are edited: 1-10 % of the words replaced, left out or put in, in one to four places,
* 5 are merely similar: a fifth to a half of the words is a piece of another passage.

What is a duplicate is decided by the true Jaccard similarity of word 5-grams and not by how the
row was made: an edited row with 0.8 or more with its original is one, another is none and must
stay (4 % of 200 words replaced in one place leave 0.88, 10 % in four places 0.69). So four in
five of the edited rows must go; how many are on which side is printed. Where it depends on what a
word is (punctuation, numbers: :data:`dedup_shingles.WORDS`) the edit is drawn again, so that no
tool is judged by the words of another.

A corpus of n rows has n / 100 rows more in a file of their own, a batch to be added, with
duplicates of the n rows among them. The rows are in random order. Written as Parquet, columns
``id`` and ``text``, in two files (datatrove shares work out by files), beside ``truth.parquet``.
"""

import argparse
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.dedup_arm import TEXTS, read_rows
from tests.benchmarks.dedup_pages import Pages, load
from tests.benchmarks.dedup_shingles import THRESHOLD, jaccard, jaccards, shingle_list

SEED = 5
SHARES = {"exact": 0.07, "edited": 0.08, "similar": 0.05}
EDITED = (0.01, 0.10)
"""Share of the words that is edited, uniform."""
REPLACED = (0.18, 0.5)
"""Share of the words of a similar row that is another's: true Jaccard 0.3 to 0.7."""
SIZES = (1000, 1500)
"""Characters from which a recombined passage is full, uniform: 1.2 to 1.3 kB on average."""
MOST_SENTENCES = 24
BATCH = 20_000
"""Rows a row group: 25 MB."""
PARTS = 2
STORED: dict[str, Any] = {"use_dictionary": False, "compression": "lz4"}
"""Text that hardly repeats, read at 1 GB/s: the arms are to be compared and not decompressors."""
ADDED = "added.parquet"
TRUTH = "truth.parquet"


class Row(NamedTuple):
    """A row of a corpus and what is true of it."""

    text: str
    family: int
    """Number of the passage that it was made of."""
    cluster: int
    """Rows of one cluster are duplicates of each other; each has its family's number or its own."""
    kind: str
    jaccard: float
    """True similarity with the passage that it was made of."""


def corpus(folder: Path, rows: int) -> Path:
    """Return the folder of the corpus of so many rows, made there unless it is there already."""
    home = folder / f"corpus-{rows}-{SEED}"
    if not (home / TRUTH).exists():
        home.mkdir(parents=True, exist_ok=True)
        write(home, load(), rows)
        os.sync()  # else the first arm shares the disk with the writing of its corpus
    return home


def write(home: Path, pages: Pages, rows: int) -> None:
    """Write the Parquet files of a corpus, the truth last."""
    added = rows // 100
    borders = [rows * part // PARTS for part in range(PARTS + 1)]
    stream = iter(plant(pages, rows + added, SEED))
    names = [TEXTS.replace("*", str(part)) for part in range(PARTS)] + [ADDED]
    truth: list[tuple[str, int, int, str, float, bool]] = []
    schema = pa.schema({"id": pa.string(), "text": pa.string()})
    for name, count in zip(names, [*np.diff(borders).tolist(), added], strict=True):
        with pq.ParquetWriter(home / name, schema, **STORED) as writer:
            for start in range(0, count, BATCH):
                batch = [next(stream) for _ in range(min(BATCH, count - start))]
                ids = [f"{len(truth) + place:016x}" for place in range(len(batch))]
                texts = [row.text for row in batch]
                writer.write_table(pa.table({"id": ids, "text": texts}, schema))
                truth += [
                    (one, *row[1:], name == ADDED) for one, row in zip(ids, batch, strict=True)
                ]
    columns = zip(*truth, strict=True)
    labels = ("id", "family", "cluster", "kind", "jaccard", "added")
    pq.write_table(pa.table(dict(zip(labels, map(list, columns), strict=True))), home / TRUTH)


def plant(pages: Pages, rows: int, seed: int) -> Iterator[Row]:
    """Yield the rows of a corpus in random order."""
    counts = {kind: round(share * rows) for kind, share in SHARES.items()}
    bases = rows - sum(counts.values())
    generator = np.random.default_rng(seed)
    copied = generator.integers(0, max(1, bases // 20), counts["exact"])
    edited = generator.choice(bases, counts["edited"], replace=False)
    similar = generator.choice(bases, counts["similar"], replace=False)
    families = np.concatenate([np.arange(bases), copied, edited, similar])
    kinds = np.repeat(["own", *SHARES], [bases, *counts.values()])
    order = generator.permutation(rows)
    passages = _Passages(pages, bases, generator)
    dice = random.Random(seed)
    for row, (family, kind) in enumerate(
        zip(families[order].tolist(), kinds[order].tolist(), strict=True)
    ):
        base = passages[family]
        if kind == "own":
            yield Row(base, family, family, kind, 1.0)
        elif kind == "exact":
            yield Row(_copy(base, dice), family, family, kind, 1.0)
        else:
            change = _edit if kind == "edited" else _replace
            while True:
                text = change(base, passages[dice.randrange(bases)].split(" "), dice)
                alike = jaccards(base, text)
                if min(alike) >= THRESHOLD or max(alike) < THRESHOLD:
                    break
            cluster = family if alike[0] >= THRESHOLD else bases + row
            yield Row(text, family, cluster, kind, alike[0])


class _Passages:
    """Passages by number: the real ones, then recombined ones, made whenever they are asked for."""

    def __init__(self, pages: Pages, count: int, generator: np.random.Generator) -> None:
        self._pages = pages
        self._real = generator.permutation(len(pages.passages))
        made = max(0, count - len(self._real))
        drawn = generator.integers(0, len(pages.sentences), (made, MOST_SENTENCES), dtype=np.int32)
        sizes = np.array([len(sentence) + 1 for sentence in pages.sentences])[drawn].cumsum(axis=1)
        full = sizes < generator.integers(*SIZES, (made, 1))
        self._drawn = drawn
        self._sentences = np.minimum(full.sum(axis=1) + 1, MOST_SENTENCES)

    def __getitem__(self, number: int) -> str:
        if number < len(self._real):
            return self._pages.passages[self._real[number]]
        made = number - len(self._real)
        drawn = self._drawn[made, : self._sentences[made]].tolist()
        return " ".join([self._pages.sentences[place] for place in drawn])


def _copy(text: str, dice: random.Random) -> str:
    """Return the text itself, or in another case, or with other white space."""
    way = dice.randrange(4)
    if way == 0:
        return text
    if way == 1:
        return text.upper()
    if way == 2:
        return "  " + "\n".join(text.split()) + "\n"
    return text.replace(" ", "  ").capitalize()


def _edit(text: str, other: list[str], dice: random.Random) -> str:
    words = text.split(" ")
    left = max(1, round(dice.uniform(*EDITED) * len(words)))
    places = dice.randint(1, min(4, left))
    for place in range(places):
        count = left if place == places - 1 else dice.randint(1, left - (places - place - 1))
        left -= count
        at = dice.randrange(max(1, len(words) - count))
        taken = dice.randrange(max(1, len(other) - count))
        gone, put = dice.choice(((count, count), (count, 0), (0, count)))
        words[at : at + gone] = other[taken : taken + put]
    return " ".join(words)


def _replace(text: str, other: list[str], dice: random.Random) -> str:
    words = text.split(" ")
    count = round(dice.uniform(*REPLACED) * len(words))
    at = dice.randrange(max(1, len(words) - count))
    taken = dice.randrange(max(1, len(other) - count))
    words[at : at + count] = other[taken : taken + count]
    return " ".join(words)


def nearest_strangers(home: Path, sample: int) -> list[float]:
    """Return the largest true similarity of each of a sample of rows with rows not in its family.

    Exact: each of the sample against all rows of the corpus, by an inverted index.
    """
    truth = pq.read_table(home / TRUTH, columns=["id", "family", "kind", "added"]).to_pylist()
    families = {row["id"]: row["family"] for row in truth}
    own = [row["id"] for row in truth if row["kind"] == "own" and not row["added"]]
    chosen = set(random.Random(SEED).sample(own, min(sample, len(own))))
    sets = {one: set(shingle_list(text)) for one, text in read_rows(home) if one in chosen}
    holders: dict[str, list[str]] = defaultdict(list)
    for one, found in sets.items():
        for shingle in found:
            holders[shingle].append(one)
    nearest = dict.fromkeys(sets, 0.0)
    for row, text in read_rows(home):
        common: dict[str, int] = defaultdict(int)
        found = set(shingle_list(text))
        for shingle in found & holders.keys():
            for one in holders[shingle]:
                common[one] += 1
        for one, count in common.items():
            if families[one] != families[row]:
                alike = jaccard(len(found), len(sets[one]), count)
                nearest[one] = max(nearest[one], alike)
    return sorted(nearest.values(), reverse=True)


def main() -> None:
    """Make a corpus and print what it holds; check that strangers are strangers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--check", type=int, default=0, help="rows compared with all others")
    options = parser.parse_args()
    began = time.perf_counter()
    home = corpus(options.folder, options.rows)
    print(f"{home}: {time.perf_counter() - began:.0f} s")
    truth = pl.read_parquet(home / TRUTH).with_columns(
        duplicate=(pl.col("kind") != "own") & (pl.col("family") == pl.col("cluster"))
    )
    alike = pl.col("jaccard")
    measured = (alike.min().alias("from"), alike.mean().alias("mean"), alike.max().alias("to"))
    print(truth.group_by("kind", "duplicate").agg(pl.len(), *measured).sort("kind", "duplicate"))
    if options.check:
        nearest = nearest_strangers(home, options.check)
        print(f"largest true Jaccard of {options.check} rows with strangers: {nearest[:5]}")


if __name__ == "__main__":
    main()
