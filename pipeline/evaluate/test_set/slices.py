"""Slices: where the challenger is right more often and where it is not, by kind of question.

Each slice is a test of its own, so their p-values are corrected together (Holm); a slice that
looks bad by chance is then what it is.
"""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.evaluate.results import Slice
from pipeline.evaluate.statistics.intervals import Resampling, holm, interval, p_value
from pipeline.text.stop_words import QUESTION_WORDS
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
    """Return what kind of row each is: topic, format, length, origin, question.

    Topic is the first folder of the document's path, or its title when it lies in none; length
    that of the reference; question the first question word ("other" without one). A row without
    a document has the topic and format "none".
    """
    about = {
        str(doc_id): (_topic(source, title), str(kind))
        for doc_id, source, title, kind in documents.select(
            "doc_id", "source", "title", "format"
        ).iter_rows()
    }
    labels: dict[str, dict[str, str]] = {
        name: {} for name in ("topic", "format", "length", "origin", "question")
    }
    for row in examples.sort("pair_id").iter_rows(named=True):
        pair, messages = row["pair_id"], row["messages"]
        labels["topic"][pair], labels["format"][pair] = about.get(row["doc_id"], ("none", "none"))
        labels["length"][pair] = _length(messages[-1]["content"])
        labels["origin"][pair] = row["origin"].replace("_", "-")
        labels["question"][pair] = next(
            (word for word in words(messages[-2]["content"]) if word in QUESTION_WORDS), "other"
        )
    return labels


def compare_slices(
    challenger: pl.DataFrame, other: pl.DataFrame, labels: Labels, options: Resampling
) -> tuple[Slice, ...]:
    """Compare the correctness of two arms slice by slice.

    Args:
        challenger: its answers, sorted by pair_id.
        other: the answers of the other arm to the same pairs, sorted likewise.
        labels: of every row; a dimension in which all rows are alike is left out.
        options: draws, confidence and seed of the bootstrap.

    Returns:
        The slices by dimension, the largest first.
    """
    paired = challenger.select("pair_id", "cluster_id").with_columns(
        difference=challenger["correct"] - other["correct"]
    )
    found: list[Slice] = []
    for dimension, by_pair in labels.items():
        labelled = paired.with_columns(
            label=pl.Series([by_pair[pair] for pair in paired["pair_id"]], dtype=pl.String)
        )
        if labelled["label"].n_unique() < 2:
            continue
        parts = labelled.partition_by("label", as_dict=True)
        by_size = sorted(parts.items(), key=lambda item: (-item[1].height, str(item[0][0])))
        found += [_slice(dimension, str(key[0]), rows, options) for key, rows in by_size]
    corrected = holm({_name(item): item.p for item in found if item.p is not None})
    return tuple(replace(item, p_holm=corrected.get(_name(item))) for item in found)


def _slice(dimension: str, value: str, rows: pl.DataFrame, options: Resampling) -> Slice:
    differences, clusters = rows["difference"].to_numpy(), rows["cluster_id"].to_list()
    count = len(set(clusters))
    seed, draws = options["seed"], options["draws"]
    p = p_value(differences, clusters, seed=seed, draws=draws) if count > 1 else None
    difference = interval(differences, clusters, **options)
    return Slice(dimension, value, rows.height, count, difference, p, None)


def _name(item: Slice) -> str:
    return f"{item.dimension}\0{item.value}"


def _topic(source: str, title: str) -> str:
    folder, slash, _ = source.partition("/")
    return folder if slash else title or source


def _length(text: str) -> str:
    size = len(text.split())
    return next((name for most, name in LENGTHS if size <= most), LONGER)
