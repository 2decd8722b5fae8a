"""The gate refuses for each reason by itself, and says so in words."""

import json
from dataclasses import replace

import pytest

from pipeline.evaluate.evaluate import METRICS, Evaluation
from pipeline.evaluate.forgetting import Forgetting
from pipeline.evaluate.gate import decide
from pipeline.evaluate.statistics import Interval
from pipeline.settings import GateSettings


def point(value, half=0.0):
    return Interval(value, value - half, value + half)


def metrics(loss, half=0.1):
    return {name: point(0.95, 0.02) for name in METRICS} | {"loss": point(loss, half)}


GOOD = Evaluation(
    test_rows=20,
    test_clusters=12,
    arms={
        "base": metrics(2.41),
        "few_shot": metrics(2.1),
        "champion": metrics(1.95),
        "challenger": metrics(1.83),
    },
    challenger_minus_base=metrics(-0.58, 0.17),
    challenger_minus_few_shot=metrics(-0.27, 0.4),
    challenger_minus_champion=metrics(-0.12, 0.08),
    mde=dict.fromkeys(METRICS, 0.2),
)
REMEMBERS = Forgetting(40, 40, point(3.0), point(3.08), point(0.08, 0.03), None, None, None)


def verdict(evaluation=GOOD, forgetting=REMEMBERS, champion=True, leaks=0, **settings):
    return decide(evaluation, forgetting, GateSettings(**settings), champion, leaks)


def failed(found):
    return [reason.name for reason in found.reasons if not reason.passed]


def test_a_challenger_that_passes_every_check_is_promoted():
    found = verdict()
    assert found.promoted and failed(found) == []
    assert [reason.name for reason in found.reasons] == [
        "no_leak",
        "enough_rows",
        "enough_documents",
        "better_than_base",
        "better_than_few_shot",
        "better_than_champion",
        "stop_rate",
        "forgetting",
    ]
    assert found.summary == (
        "promoted: all 8 checks hold; loss per token 1.830 against 2.410 of the base model: "
        "gain 0.580 [0.410, 0.750], needed > 0"
    )


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"leaks": 3}, "no_leak", "3 training rows repeat test rows, allowed 0"),
        (
            {"evaluation": replace(GOOD, test_rows=9)},
            "enough_rows",
            "9 test rows, needed 10 or more",
        ),
        (
            {"evaluation": replace(GOOD, test_clusters=5)},
            "enough_documents",
            "test rows from 5 independent documents, needed 6 or more",
        ),
        (
            {"evaluation": replace(GOOD, challenger_minus_base=metrics(-0.58, 0.6))},
            "better_than_base",
            "gain 0.580 [-0.020, 1.180], needed > 0",
        ),
        (
            {"evaluation": replace(GOOD, challenger_minus_few_shot=metrics(0.01, 0.4))},
            "better_than_few_shot",
            "base model with examples in the prompt: gain -0.010",
        ),
        (
            {"evaluation": replace(GOOD, challenger_minus_champion=metrics(-0.05, 0.08))},
            "better_than_champion",
            "loss per token 1.830 against 1.950 of the champion: gain 0.050 [-0.030, 0.130]",
        ),
        (
            {"evaluation": replace(GOOD, challenger_minus_champion={})},
            "better_than_champion",
            "the champion and the challenger were not both evaluated",
        ),
        (
            {"min_stop_rate": 0.96},
            "stop_rate",
            "95% of answers end by themselves, needed 96% or more",
        ),
        (
            {"forgetting": replace(REMEMBERS, rise=point(0.21, 0.02))},
            "forgetting",
            "loss on general text rose by 0.210 [0.190, 0.230] nats a token, allowed 0.2 or less",
        ),
    ],
)
def test_each_check_refuses_by_itself_and_says_why(changes, reason, words):
    found = verdict(**changes)
    assert not found.promoted
    assert failed(found) == [reason]
    assert words in found.summary
    assert found.summary.startswith("not promoted, the champion stays: 1 of 8 checks failed: ")


def test_a_tie_keeps_the_champion():
    tie = replace(GOOD, challenger_minus_champion=metrics(0.0, 0.0))
    assert failed(verdict(tie)) == ["better_than_champion"]


def test_a_gain_must_exceed_the_required_one_with_its_lower_bound():
    assert verdict(champion=False, min_improvement=0.40).promoted
    assert failed(verdict(champion=False, min_improvement=0.4101)) == ["better_than_base"]


def test_without_a_champion_there_is_none_to_beat():
    without = replace(GOOD, challenger_minus_champion={}, arms=GOOD.arms | {})
    found = verdict(without, champion=False)
    assert found.promoted
    assert "better_than_champion" not in [reason.name for reason in found.reasons]
    refused = verdict(without, champion=False, leaks=1)
    assert refused.summary.startswith("not promoted, the base model stays, no champion yet: ")


def test_without_general_texts_the_verdict_says_that_forgetting_was_not_measured():
    found = verdict(forgetting=None)
    assert found.promoted
    assert "not measured" in next(r.text for r in found.reasons if r.name == "forgetting")


def test_an_evaluation_without_rows_promotes_nothing():
    empty = Evaluation(0, 0, {}, {}, {}, {}, {})
    found = verdict(empty, champion=False)
    assert not found.promoted
    assert failed(found) == ["enough_rows", "enough_documents", "better_than_base", "stop_rate"]


def test_the_verdict_is_plain_json():
    one_cluster = metrics(-0.58, float("inf"))
    plain = verdict(replace(GOOD, challenger_minus_base=one_cluster)).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["promoted"] is False and len(plain["reasons"]) == 8
