"""Which slices there are, and that luck in one of many is not taken for a difference."""

import numpy as np
import polars as pl
import pytest

from pipeline.core.cache import short_id
from pipeline.core.outcome import table
from pipeline.evaluate.statistics.intervals import Resampling
from pipeline.evaluate.test_set import compare_slices, label_rows
from schemas.documents import UniqueDocuments
from tests.pipeline.evaluate.conftest import QUESTIONS, examples

OPTIONS = Resampling(seed=3, draws=2000, confidence=0.95)


def document(question, source, title="Manual", kind="markdown"):
    return {
        "doc_id": short_id("doc", question), "source": source, "format": kind, "title": title,
        "text": "text", "span_start": 0, "span_end": 4, "language": "en",
        "cluster_id": short_id("cluster", question), "cluster_size": 1,
    }  # fmt: skip


def test_a_row_is_labelled_by_where_it_comes_from_and_what_it_asks():
    asked = examples(QUESTIONS, "test")
    planet, legs = QUESTIONS[0][0], QUESTIONS[1][0]
    documents = table(
        UniqueDocuments,
        [document(planet, "space/sun.md"), document(legs, "spiders.html", "Spiders", "html")],
    )
    labels = label_rows(asked, documents)
    assert labels["topic"][short_id(planet)] == "space"
    assert labels["topic"][short_id(legs)] == "Spiders"  # in no folder: the title
    assert labels["format"][short_id(legs)] == "html"
    assert labels["topic"][short_id(QUESTIONS[2][0])] == "none"
    assert labels["question"][short_id(planet)] == "which"
    assert labels["question"][short_id(legs)] == "how"
    assert labels["length"][short_id(planet)] == "up to 10 words"
    assert set(labels["origin"].values()) == {"gold"}


def arms(differences, documents):
    count = len(differences)
    base = pl.DataFrame(
        {
            "pair_id": [f"{row:04d}" for row in range(count)],
            "cluster_id": documents,
            "correct": [0.5] * count,
        }
    )
    return base.with_columns(correct=base["correct"] + pl.Series(differences)), base


def test_a_slice_that_is_worse_is_found_and_the_others_are_left_alone():
    generator = np.random.default_rng(1)
    differences = np.repeat([0.5, -0.4], 40) + generator.normal(0, 0.1, 80)
    challenger, base = arms(differences, [f"d{row // 4}" for row in range(80)])
    labels = {
        "topic": {f"{row:04d}": "manual" if row < 40 else "releases" for row in range(80)},
        "origin": {f"{row:04d}": "gold" for row in range(80)},
    }
    found = compare_slices(challenger, base, labels, OPTIONS)
    assert [(item.dimension, item.value, item.rows) for item in found] == [
        ("topic", "manual", 40),
        ("topic", "releases", 40),
    ]  # all rows are gold: no slice
    better, worse = found
    assert better.difference.value == pytest.approx(0.5, abs=0.05)
    assert worse.difference.value == pytest.approx(-0.4, abs=0.05)
    assert worse.p_holm < 0.05 and worse.p_holm == pytest.approx(max(2 * worse.p, better.p_holm))


def test_a_slice_of_one_document_has_no_p_value_and_costs_the_others_nothing():
    challenger, base = arms([0.1, 0.2, -0.1, 0.3, 0.2], ["a", "b", "c", "d", "d"])
    kinds = ["x", "x", "x", "y", "y"]
    labels = {"topic": {f"{row:04d}": kinds[row] for row in range(5)}}
    large, single = compare_slices(challenger, base, labels, OPTIONS)
    assert (single.value, single.clusters, single.p, single.p_holm) == ("y", 1, None, None)
    assert large.p_holm == large.p


def test_among_slices_without_a_difference_one_is_called_worse_in_few_runs():
    generator = np.random.default_rng(5)
    documents = [f"d{row // 5}" for row in range(150)]
    labels = {"topic": {f"{row:04d}": str(row // 25) for row in range(150)}}  # six slices of five
    options = Resampling(seed=3, draws=1000, confidence=0.95)
    lucky = corrected = 0
    for _ in range(100):
        shared = np.repeat(generator.normal(0, 0.3, 30), 5)
        challenger, base = arms(shared + generator.normal(0, 0.2, 150), documents)
        found = compare_slices(challenger, base, labels, options)
        lucky += any(item.p < 0.05 for item in found)
        corrected += any(item.p_holm < 0.05 for item in found)
    assert lucky > 15  # six tests at 5 %: one in four runs
    assert corrected <= 10
