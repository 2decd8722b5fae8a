"""Which rows are asked and which examples are shown."""

import polars as pl
import pytest

from pipeline.core.cache import short_id
from pipeline.evaluate.test_set import answer_limit, nearest_examples, shots_of, test_set
from pipeline.settings import EvaluateSettings
from tests.pipeline.evaluate.conftest import QUESTIONS, TRAIN, examples


def shown(all_examples, question, count):
    shots = shots_of(nearest_examples(all_examples, count), all_examples)
    return [turn["content"] for turn in shots[short_id(question)]]


def test_the_nearest_training_example_comes_last_with_its_response(all_examples):
    turns = shown(all_examples, "What is the capital city of France?", 2)
    assert turns[-2:] == list(TRAIN[0])
    assert len(turns) == 4
    assert shown(all_examples, "How many legs does a spider have?", 1) == list(TRAIN[1])


def test_only_training_rows_are_shown(all_examples):
    contents = {text for question, _ in QUESTIONS for text in shown(all_examples, question, 16)}
    assert contents == {text for pair in TRAIN for text in pair}


def test_the_choice_does_not_depend_on_the_order_of_the_rows(all_examples):
    shuffled = all_examples.sample(fraction=1, shuffle=True, seed=5)
    assert nearest_examples(shuffled, 3) == nearest_examples(all_examples, 3)


def test_equally_near_examples_are_taken_by_pair_id():
    same = [(f"How is the set point of zone {n} changed?", "By the panel.") for n in "1234"]
    asked = [("How is the set point of a zone changed?", "By the panel.")]
    rows = examples(same, "train").vstack(examples(asked, "test"))
    turns = shown(rows, asked[0][0], 2)
    first, second = sorted(same, key=lambda pair: short_id(pair[0]))[:2]
    assert turns == [*second, *first]


def test_no_examples_are_shown_when_none_are_asked_for_or_there_are_none(all_examples):
    assert set(map(len, nearest_examples(all_examples, 0).values())) == {0}
    only_test = all_examples.filter(pl.col("split") == "test")
    found = nearest_examples(only_test, 3)
    assert len(found) == len(QUESTIONS) and not any(found.values())


@pytest.mark.model
def test_test_rows_that_cannot_be_rendered_are_dropped_by_reason(all_examples, tokenizer):
    faulty = examples([("Say nothing.", " "), ("Count!", "one two " * 300)], "test")
    settings = EvaluateSettings(max_tokens=400)
    found = test_set(all_examples.vstack(faulty), lambda: tokenizer, settings)
    assert found.reasons == {"response_too_long": 1, "no_response": 1}
    assert found.balances and found.rows_in == len(QUESTIONS) + 2
    assert found.kept["pair_id"].to_list() == sorted(short_id(q) for q, _ in QUESTIONS)


@pytest.mark.model
def test_a_sample_of_the_test_rows_does_not_change_with_order_or_growth(all_examples, tokenizer):
    settings = EvaluateSettings(max_test_rows=3)
    found = test_set(all_examples, lambda: tokenizer, settings)
    assert found.kept.height == 3 and found.reasons == {"not_sampled": 3} and found.balances
    shuffled = all_examples.sample(fraction=1, shuffle=True, seed=5)
    assert test_set(shuffled, lambda: tokenizer, settings).kept.equals(found.kept)
    more = all_examples.vstack(examples([("What is new?", "This question.")], "test"))
    old = set(test_set(more, lambda: tokenizer, settings).kept["pair_id"]) - {
        short_id("What is new?")
    }
    assert old <= set(found.kept["pair_id"])
    other = test_set(all_examples, lambda: tokenizer, EvaluateSettings(max_test_rows=3, seed=1))
    assert not other.kept.equals(found.kept)


@pytest.mark.parametrize(
    ("words", "given", "limit"),
    [
        ([3] * 20, None, 64),  # short references: as many as ever
        ([100] * 20, None, 151),
        ([10] * 19 + [900], None, 83),  # one long reference does not decide
        ([2000] * 4, None, 1024),
        ([100] * 20, 30, 30),
        ([], None, 64),
    ],
)
def test_an_answer_may_be_half_as_long_again_as_the_references(words, given, limit):
    rows = [(f"Question {number}?", "word " * count) for number, count in enumerate(words)]
    settings = EvaluateSettings(max_new_tokens=given)
    assert answer_limit(examples(rows, "test"), lambda text: len(text.split()), settings) == limit
