"""Slices: kinds of questions where the challenger is right more often, tested together (Holm)."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.evaluate.results import Slice
from pipeline.evaluate.statistics.intervals import Resampling, holm, interval, p_value
from pipeline.text.function_words import function_words
from pipeline.text.words import words
from schemas.documents import UniqueDocuments
from schemas.pairs import Examples

Labels = Mapping[str, Mapping[str, str]]
"""By dimension, then by pair_id."""

LENGTHS = ((10, "up to 10 words"), (20, "11 to 20 words"))
"""Buckets of the reference response; a sentence of a manual has 10 to 20 words."""
LONGER = "over 20 words"


def label_rows(
    examples: DataFrame[Examples], documents: DataFrame[UniqueDocuments]
) -> dict[str, dict[str, str]]:
    """Return what kind of row each is: topic, format, length of reference, origin, question word.

    Topic is the first folder of the document's path, or its title when it lies in none; a row
    without a document has the topic and format "none".
    """
    columns = documents.select("doc_id", "source", "title", "format").iter_rows()
    about = {}
    for doc, source, title, kind in columns:
        folder, slash, _ = source.partition("/")
        about[doc] = (folder if slash else title or source, kind)
    dimensions = ("topic", "format", "length", "origin", "question")
    labels: dict[str, dict[str, str]] = {name: {} for name in dimensions}
    for row in examples.sort("pair_id").iter_rows(named=True):
        question, answer = (turn["content"] for turn in row["messages"][-2:])
        asked = (word for word in words(question) if word in function_words("en").questions)
        found = (
            *about.get(row["doc_id"], ("none", "none")),
            next((name for most, name in LENGTHS if len(answer.split()) <= most), LONGER),
            row["origin"].replace("_", "-"),
            next(asked, "other"),
        )
        for name, label in zip(dimensions, found, strict=True):
            labels[name][row["pair_id"]] = label
    return labels


def compare_slices(
    challenger: pl.DataFrame, other: pl.DataFrame, labels: Labels, options: Resampling
) -> tuple[Slice, ...]:
    """Compare two arms, both sorted by pair_id, in each dimension; the largest slices first."""
    paired = challenger.select("pair_id", "cluster_id").with_columns(
        difference=challenger["correct"] - other["correct"]
    )
    found: list[Slice] = []
    for dimension, by_pair in labels.items():
        label = pl.Series([by_pair[pair] for pair in paired["pair_id"]], dtype=pl.String)
        if label.n_unique() < 2:
            continue
        parts = paired.with_columns(label=label).partition_by("label", as_dict=True)
        by_size = sorted(parts.items(), key=lambda item: (-item[1].height, str(item[0][0])))
        found += [_slice(dimension, str(key[0]), rows, options) for key, rows in by_size]
    corrected = holm({str(n): item.p for n, item in enumerate(found) if item.p is not None})
    return tuple(replace(item, p_holm=corrected.get(str(n))) for n, item in enumerate(found))


def _slice(dimension: str, value: str, rows: pl.DataFrame, options: Resampling) -> Slice:
    differences, clusters = rows["difference"].to_numpy(), rows["cluster_id"].to_list()
    count = len(set(clusters))
    seed, draws = options["seed"], options["draws"]
    p = p_value(differences, clusters, seed=seed, draws=draws) if count > 1 else None
    difference = interval(differences, clusters, **options)
    return Slice(dimension, value, rows.height, count, difference, p, None)
