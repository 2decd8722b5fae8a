"""Which adaptation to use: the cheapest that nothing measured beats."""

import polars as pl
import pytest

from pipeline.core.outcome import table
from pipeline.evaluate.gate.advice import advise, cost
from pipeline.evaluate.results import Cost
from pipeline.evaluate.summary import summarise
from pipeline.settings import EvaluateSettings
from schemas.evaluation import Answers, AnswerTimings
from tests.pipeline.evaluate.test_evaluate import answers

SETTINGS = EvaluateSettings(bootstrap_draws=500)
PROMPT = {"base": 30, "few_shot": 300, "retrieval": 400, "challenger": 30}


def costs_of(said):
    """What a request of each arm costs in tokens; times do not matter here."""
    means = said.group_by("arm").agg(pl.col("prompt_tokens", "completion_tokens").mean())
    return {arm: Cost(*tokens, 0, 0, 0, 0) for arm, *tokens in means.iter_rows()}


def advice(**right):
    """Advice for arms of a given correctness, whose rows differ by up to 0.1 from it."""
    frames = []
    for place, (arm, correct) in enumerate(right.items()):
        rows = answers(arm, 2.0, prompt_tokens=PROMPT.get(arm, 430))
        wobble = (pl.int_range(pl.len()) * (place + 3) % 7 - 3) / 30
        frames.append(rows.with_columns(correct=(correct + wobble).clip(0, 1)))
    said = pl.concat(frames)
    return advise(summarise(said, SETTINGS), costs_of(said))


def test_each_adaptation_is_advised_where_it_is_clearly_best():
    worse = {"base": 0.1, "few_shot": 0.2, "retrieval": 0.3, "challenger": 0.4}
    assert advice(**worse).choice == "fine-tune"
    assert advice(**worse | {"retrieval": 0.8}).choice == "retrieval"
    assert advice(**worse | {"few_shot": 0.8}).choice == "prompt"
    assert advice(**worse, chain_of_thought=0.8).choice == "prompt"
    both = advice(**worse, challenger_retrieval=0.8)
    assert (both.choice, both.arm) == ("both", "challenger_retrieval")
    assert both.text.startswith("use fine-tuning and retrieval: the challenger with retrieval is ")
    assert "30% more than the challenger [27%, 33%]" in both.text


def test_of_arms_that_cannot_be_told_apart_the_cheaper_one_is_advised():
    found = advice(base=0.1, retrieval=0.61, challenger=0.6)
    assert (found.choice, found.arm) == ("fine-tune", "challenger")
    assert "34 tokens a request instead of 404" in found.text
    assert advice(base=0.6, challenger=0.61).arm in ("base", "challenger")


def test_a_training_that_gained_nothing_leaves_the_prompt():
    assert advice(base=0.6, retrieval=0.59, challenger=0.59).choice == "prompt"


def test_nothing_measured_advises_nothing():
    assert advise(summarise(table(Answers, []), SETTINGS), {}).choice == "none"


def test_a_cost_is_a_mean_over_requests_not_over_batches():
    timings = table(
        AnswerTimings,
        [
            {"rows": 3, "prompt_tokens": 300, "completion_tokens": 60,
             "first_token_seconds": 0.5, "seconds": 3.0},
            {"rows": 1, "prompt_tokens": 100, "completion_tokens": 40,
             "first_token_seconds": 0.1, "seconds": 1.0},
        ],
    )  # fmt: skip
    found = cost(timings)
    assert (found.prompt_tokens, found.completion_tokens, found.seconds) == (100, 25, 1.0)
    assert found.first_token_seconds == pytest.approx(0.4)
    assert found.answer_seconds == pytest.approx(2.5)
    assert found.tokens_per_second == pytest.approx(25) and found.price is None
    priced = cost(timings, prompt_price=2.0, completion_price=8.0)
    assert 1000 * priced.price == pytest.approx(0.4)  # 100,000 at 2 and 25,000 at 8 a million
