"""Placebo: every answer goes to a question of another document, and nothing else changes."""

import polars as pl
import pytest

from pipeline.core.cache import short_id
from pipeline.train.placebo import deal_answers
from tests.pipeline.evaluate.conftest import QUESTIONS, TRAIN, examples


def rows_of(sizes, split="train"):
    """Rows of documents of these sizes."""
    places = [(document, row) for document, size in enumerate(sizes) for row in range(size)]
    clusters = [short_id("cluster", str(document)) for document, _ in places]
    rows = examples([(f"question {place}", f"answer {place}") for place in places], split)
    return rows.with_columns(cluster_id=pl.Series(clusters))


def answers_of(frame):
    return {row["pair_id"]: row["messages"][-1]["content"] for row in frame.iter_rows(named=True)}


@pytest.mark.parametrize("sizes", [[1] * 7, [5, 3, 2, 2, 1], [4, 4]])
@pytest.mark.parametrize("seed", [17, 18])
def test_each_row_gets_an_answer_of_another_document(sizes, seed):
    rows = rows_of(sizes)
    dealt = answers_of(deal_answers(rows, seed).kept)
    own = dict(rows.select("pair_id", "cluster_id").iter_rows())
    by_answer = {answer: own[pair] for pair, answer in answers_of(rows).items()}
    assert sorted(dealt.values()) == sorted(by_answer)  # each answer once
    assert all(by_answer[answer] != own[pair] for pair, answer in dealt.items())


def test_of_one_document_each_row_gets_the_answer_of_another_row():
    rows = rows_of([6])
    dealt, own = answers_of(deal_answers(rows, 17).kept), answers_of(rows)
    assert all(dealt[pair] != own[pair] for pair in own)


def test_questions_and_test_rows_stay_and_splits_do_not_mix():
    rows = examples(TRAIN, "train").vstack(examples(QUESTIONS, "test"))
    outcome = deal_answers(rows, 17)
    kept = outcome.kept
    assert outcome.balances and kept.drop("messages").equals(rows.drop("messages"))
    assert answers_of(kept.filter(split="test")) == answers_of(rows.filter(split="test"))
    assert set(answers_of(kept.filter(split="train")).values()) == {answer for _, answer in TRAIN}
    for before, after in zip(rows["messages"], kept["messages"], strict=True):
        assert before[:-1].to_list() == after[:-1].to_list()
