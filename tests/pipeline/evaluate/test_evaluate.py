"""The summary of all arms."""

import json

import polars as pl
import pytest

from pipeline.core.cache import short_id
from pipeline.core.errors import InputError
from pipeline.core.outcome import table
from pipeline.core.record import as_json, read_json
from pipeline.evaluate.statistics.power import looks
from pipeline.evaluate.summary import METRICS, summarise
from pipeline.settings import EvaluateSettings
from schemas.evaluation import Answers

SETTINGS = EvaluateSettings(bootstrap_draws=500)


def answers(arm, loss, rows=24, documents=8, **columns):
    """Rows of one arm with rising loss; three questions a document."""
    return table(
        Answers,
        (
            {
                "arm": arm,
                "pair_id": short_id("pair", str(row)),
                "doc_id": short_id("doc", str(row % documents)),
                "cluster_id": short_id("cluster", str(row % documents)),
                "answer": "yes",
                "thoughts": "",
                "retrieved": "",
                "prompt_tokens": 30,
                "completion_tokens": 4,
                "response_tokens": 5 + row,
                "response_bytes": 20 + row,
                "bits_per_byte": 1.0,
                "log_prob": -0.5 - (row % 2),
                "chrf": 0.5,
                "grounded": None if row % 2 else 1.0,
                "refusal_right": None,
                "refusal_wrong": 0.0,
                "repetition": 0.0,
                "length_ratio": 1.0,
                "found_document": None,
                "loss": loss + row / 100,
                "rouge_l": 0.5,
                "token_f1": 0.25 + (row % 2) / 2,
                "exact_match": float(row % 4 == 0),
                "correct": 0.25 + (row % 2) / 2,
                "stopped": 1.0,
            }
            | columns
            for row in range(rows)
        ),
    )


def test_differences_are_challenger_minus_other_and_loss_is_a_mean_over_tokens():
    both = pl.concat([answers("base", 2.0), answers("challenger", 1.4, rouge_l=0.75)])
    found = summarise(both, SETTINGS)
    assert (found.test_rows, found.test_clusters) == (24, 8)
    assert found.challenger_minus["base"]["loss"].value == pytest.approx(-0.6)
    assert found.challenger_minus["base"]["rouge_l"].value == pytest.approx(0.25)
    tokens = [5 + row for row in range(24)]
    expected = sum(n * (2.0 + row / 100) for row, n in enumerate(tokens)) / sum(tokens)
    assert found.arms["base"]["loss"].value == pytest.approx(expected)
    assert found.arms["base"]["exact_match"].value == pytest.approx(0.25)
    assert found.arms["challenger"]["stop_rate"].value == 1.0
    undefined = {"refusal_right", "retrieval_hit"}  # no reference declines, nothing retrieved
    assert set(found.arms["base"]) == set(METRICS) - undefined
    assert found.challenger_minus.keys() == {"base"}


def test_each_comparison_is_with_the_arm_of_its_name():
    arms = [("base", 2.0), ("few_shot", 1.9), ("champion", 1.7), ("challenger", 1.4)]
    found = summarise(pl.concat([answers(arm, loss) for arm, loss in arms]), SETTINGS)
    assert list(found.arms) == [arm for arm, _ in arms]
    assert found.challenger_minus["few_shot"]["loss"].value == pytest.approx(-0.5)
    assert found.challenger_minus["champion"]["loss"].value == pytest.approx(-0.3)


def test_a_metric_counts_the_rows_that_have_it_in_both_arms():
    half = answers("challenger", 1.4).with_columns(
        grounded=pl.when(pl.int_range(pl.len()) < 4).then(0.0).otherwise(None)
    )
    found = summarise(pl.concat([answers("base", 2.0), half]), SETTINGS)
    assert found.arms["challenger"]["grounded"].value == 0.0
    # Rows 0 and 2 are the ones with a value in both arms.
    assert found.challenger_minus["base"]["grounded"].value == pytest.approx(-1.0)


def test_an_arm_without_a_loss_is_compared_by_what_it_has():
    thinking = answers("chain_of_thought", 1.0, token_f1=0.9, correct=0.9).with_columns(
        loss=pl.lit(None, pl.Float64), bits_per_byte=pl.lit(None, pl.Float64)
    )
    found = summarise(pl.concat([answers("base", 2.0), thinking, answers("challenger", 1.4)]),
                      SETTINGS)  # fmt: skip
    assert "loss" not in found.arms["chain_of_thought"]
    assert found.challenger_minus["chain_of_thought"]["token_f1"].value == pytest.approx(-0.4)
    assert found.best_minus.keys() == {"base", "challenger"} and found.best == "chain_of_thought"
    assert read_json(type(found), as_json(found)) == found


def test_the_best_arm_is_the_one_that_is_right_most_often_whatever_its_loss():
    right = {"base": 0.1, "retrieval": 0.7, "challenger": 0.5, "placebo": 0.9}
    found = summarise(pl.concat([answers(a, 2.0, correct=c) for a, c in right.items()]), SETTINGS)
    assert found.best == "retrieval"  # a placebo is no adaptation
    assert found.best_minus["challenger"].value == pytest.approx(0.2)
    assert found.gains["retrieval"].value == pytest.approx(-0.2) and "placebo" in found.gains


def test_the_challenger_is_compared_in_the_way_in_which_it_is_right_more_often():
    right = {"base": 0.1, "challenger": 0.5, "challenger_retrieval": 0.6}
    frames = [answers(arm, 2.0, correct=correct) for arm, correct in right.items()]
    found = summarise(pl.concat(frames), SETTINGS)
    assert found.served == "challenger_retrieval"
    assert found.gains["base"].value == pytest.approx(0.5)
    assert found.challenger_minus["challenger"]["correct"].value == pytest.approx(0.1)
    assert summarise(pl.concat(frames[:2]), SETTINGS).served == "challenger"


def test_the_gain_is_decided_at_the_confidence_of_the_look():
    base = answers("base", 2.0).with_columns(correct=pl.int_range(pl.len()) % 5 / 10)
    both = pl.concat([base, answers("challenger", 1.4)])
    first = summarise(both, SETTINGS, looks=looks(1, 0.95)).gains["base"]
    fifth = summarise(both, SETTINGS, looks=looks(5, 0.95)).gains["base"]
    assert fifth.low < first.low < first.value == fifth.value < first.high < fifth.high


def test_answers_of_an_earlier_version_have_no_correctness():
    old = Answers.upgrade(answers("base", 2.0).drop("correct"), 2)
    found = summarise(Answers.validate(old), SETTINGS)
    assert "correct" not in found.arms["base"] and found.best == ""


def test_calibration_is_the_share_of_pairs_in_which_the_right_answer_was_surer():
    # Odd rows are 0.75 correct and have log-probability -1.5; even ones 0.25 and -0.5.
    found = summarise(answers("base", 2.0), SETTINGS)
    assert found.calibration == {"base": 0.0}
    same = summarise(answers("base", 2.0, log_prob=-1.0), SETTINGS)
    assert same.calibration == {"base": 0.5}
    assert summarise(answers("base", 2.0, correct=1.0), SETTINGS).calibration == {}


def test_the_summary_is_the_same_for_rows_in_any_order():
    both = pl.concat([answers("base", 2.0), answers("challenger", 1.4)])
    assert summarise(both.sample(fraction=1, shuffle=True, seed=1), SETTINGS) == summarise(
        both, SETTINGS
    )


def test_the_summary_is_plain_json():
    one_document = pl.concat([answers(arm, 1.0, documents=1) for arm in ("base", "challenger")])
    plain = as_json(summarise(one_document, SETTINGS))
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["arms"]["base"]["loss"]["low"] is None  # one cluster: nothing can be said
    assert set(plain["minimum_detectable_effect"]) == set(plain["arms"]["base"])


def test_no_rows_give_an_evaluation_of_no_rows():
    found = summarise(table(Answers, []), SETTINGS)
    assert (found.test_rows, found.test_clusters, dict(found.arms)) == (0, 0, {})


def test_arms_that_answered_other_rows_are_refused():
    fewer = pl.concat([answers("base", 2.0), answers("challenger", 1.4, rows=23)])
    with pytest.raises(InputError, match="answers of challenger: 23 rows found"):
        summarise(fewer, SETTINGS)
    twice = pl.concat([answers("base", 2.0), answers("base", 2.0)])
    with pytest.raises(InputError, match="found twice"):
        summarise(twice, SETTINGS)
    other_tokens = pl.concat([answers("base", 2.0), answers("challenger", 1.4, response_tokens=3)])
    with pytest.raises(InputError, match="one tokenizer"):
        summarise(other_tokens, SETTINGS)
