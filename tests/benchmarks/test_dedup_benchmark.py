"""The deduplication benchmark judges by a truth that is true, and counts what was done wrongly."""

import random

import polars as pl
import pytest

from tests.benchmarks.dedup_arm import read_rows
from tests.benchmarks.dedup_corpus import TRUTH, Row, nearest_strangers, plant, write
from tests.benchmarks.dedup_pages import Pages
from tests.benchmarks.dedup_peers import measure
from tests.benchmarks.dedup_score import score
from tests.benchmarks.dedup_shingles import THRESHOLD, jaccards

ROWS = 600


@pytest.fixture(scope="module")
def pages():
    dice = random.Random(3)
    words = [f"{one}{other}" for one in ("no", "ri", "ta", "ke") for other in range(400)]
    sentences = [" ".join(dice.choices(words, k=14)) + "." for _ in range(4000)]
    return Pages([" ".join(dice.sample(sentences, 14)) for _ in range(50)], sentences)


@pytest.fixture(scope="module")
def planted(pages):
    return list(plant(pages, ROWS, 1))


@pytest.fixture(scope="module")
def home(pages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write(folder, pages, ROWS)
    return folder


def originals(planted: list[Row]) -> dict[int, str]:
    return {row.family: row.text for row in planted if row.kind == "own"}


def test_a_row_is_a_duplicate_exactly_when_it_is_alike_whatever_a_word_is(planted):
    own = originals(planted)
    for row in planted:
        alike = [value >= THRESHOLD for value in jaccards(own[row.family], row.text)]
        assert alike == [row.family == row.cluster] * len(alike), row


def test_exact_copies_differ_in_case_and_white_space_only(planted):
    own = originals(planted)
    copies = [row for row in planted if row.kind == "exact"]
    assert len(copies) == round(0.07 * ROWS)
    for row in copies:
        assert row.text.casefold().split() == own[row.family].casefold().split()
    assert any(row.text != own[row.family] for row in copies)


def test_a_seed_makes_the_same_rows_again(pages, planted):
    assert list(plant(pages, ROWS, 1)) == planted
    assert list(plant(pages, ROWS, 2)) != planted


def test_strangers_are_found_to_be_less_alike_than_the_threshold(home):
    assert 0 < nearest_strangers(home, 100)[0] < THRESHOLD


def test_a_survivor_of_each_cluster_scores_one(home):
    truth = pl.read_parquet(home / TRUTH).filter(~pl.col("added"))
    for keep in ("first", "last"):
        kept = truth.unique("cluster", keep=keep, maintain_order=True)["id"]
        assert score(kept, home / TRUTH) == (1.0, 1.0, 1.0, 0, 0)


def test_a_lost_cluster_is_wrong_and_a_lost_lonely_row_is_unrelated(home):
    truth = pl.read_parquet(home / TRUTH).filter(~pl.col("added"))
    kept = truth.unique("cluster")
    due = truth.height - kept.height
    lonely = truth.filter(pl.len().over("family") == 1)["id"][0]
    similar = truth.filter(pl.col("family") != pl.col("cluster"))["id"][0]
    found = score(set(kept["id"]) - {lonely, similar}, home / TRUTH)
    assert found[:2] == (due / (due + 2), 1.0)
    assert (found.wrong, found.unrelated) == (2, 1)


def test_dropping_nothing_has_no_recall(home):
    everything = [name for name, _ in read_rows(home)]
    assert len(everything) == ROWS
    assert score(everything, home / TRUTH)[1:3] == (0.0, 0.0)


def test_our_arm_runs_and_reports_what_it_used(home, tmp_path):
    run = measure("ours", home, tmp_path)
    assert run.score.f1 > 0.98 and run.score.unrelated == 0
    assert 0 < run.seconds < run.seconds_total
    assert run.peak_mb > 50
