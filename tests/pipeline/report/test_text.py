# ruff: noqa: RUF001 - the report writes true minus signs
from dataclasses import fields

import pytest

from pipeline.evaluate.comparison import Candidate, Comparison
from pipeline.evaluate.results import Interval
from pipeline.report import words
from pipeline.report.compared import headline
from pipeline.report.contents import Report, Retraining
from pipeline.report.evaluation_text import evaluation_table
from pipeline.report.html import render
from pipeline.report.text import evidence, retrained, verdict


def test_a_promotion_reads_as_one(report):
    assert verdict(report) == (
        "The challenger was promoted to champion.\n"
        "On 47 test rows from 14 documents its answers are 63% correct, 42 points more than the "
        "base model's (95 % interval 28 to 56)."
    )


def test_a_refusal_names_each_failed_check(content):
    content["gate"]["promoted"] = False
    content["gate"]["reasons"][0]["passed"] = False
    content["evaluation"]["arms"]["champion"] = content["evaluation"]["arms"]["base"]
    lines = verdict(Report.model_validate(content)).splitlines()
    assert lines[0] == "The challenger was not promoted; the champion stays."
    assert lines[2:] == ["  failed: 47 test rows, needed 10 or more"]


def test_an_interval_across_zero_is_not_sold_as_a_gain(content):
    content["evaluation"]["challenger_minus"]["base"]["correct"] = {
        "value": 0.05,
        "low": -0.1,
        "high": 0.2,
    }
    said = evidence(Report.model_validate(content))
    assert "5 points more than the base model's" in said
    assert "(95 % interval −10 to +20, which includes no difference)" in said


@pytest.mark.parametrize(
    ("champion", "stays"),
    [("c" * 16, "; the champion stays."), (None, "; there is no champion yet.")],
)
def test_a_retrain_without_a_champion_keeps_none(champion, stays):
    ended = {"reason": "new", "evidence_id": "", "new_rows": 9, "next_retrain_at": None}
    ended |= {"champion_before": champion, "champion_after": champion}
    for outcome in ("kept", "failed"):
        assert retrained(Retraining(**ended, outcome=outcome)).endswith(stays)


def test_methods_that_no_test_row_compares_are_said_to_be_so(content):
    one = dict.fromkeys(field.name for field in fields(Candidate)) | dict.fromkeys(
        ("train_rows", "trainable_parameters", "steps", "peak_memory_bytes", "seconds",
         "tokens_per_second", "disk_bytes"), 1,
    ) | {"seeds": (1,), "test_loss_by_seed": ()}  # fmt: skip
    found = Comparison(
        about="method", candidates=tuple(Candidate(**one | {"name": name}) for name in "ab"),
        missing={}, base_validation_loss=None, base_test_loss=None, validation_rows=1,
        test_rows=0, test_clusters=0, confidence=0.95,
    )  # fmt: skip
    assert headline(found) == "Trained a and b; there are no test rows yet to compare them on."
    report = Report.model_validate(content).model_copy(update={"comparison": found})
    contents, main = render(report).split("<main>")
    assert '<a href="#comparison">' in contents and '<section id="comparison">' in main


def test_a_run_without_a_gate_does_not_claim_a_verdict(partial):
    assert verdict(partial) == "The run stopped before a model was judged."
    assert evaluation_table(partial) == ""
    done = partial.model_copy(update={"run": partial.run.model_copy(update={"exit": 0})})
    assert verdict(done) == "No model was judged in this run."


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (1.44, "1.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (192, "3 min 12 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_times_read_as_people_say_them(seconds, said):
    assert words.duration(seconds) == said


def test_numbers_read_as_people_write_them():
    assert words.decimal(-0.0004) == "0.000" and words.decimal(-0.5, 1, signed=True) == "−0.5"
    assert words.decimal(0.5, 1, signed=True) == "+0.5" and words.decimal(None) == "–"
    assert (
        words.size(2_431_000_000) == "2.4 GB"
        and words.size(12) == "12 B"
        and words.count(1234567) == "1,234,567"
    )
    assert words.share(1, 3) == "33 %" and words.share(1, 30) == "3.3 %" and words.share(0, 0) == ""
    assert words.between(Interval(value=1, low=None, high=2)) == "below to 2.000"
    assert words.moment("soon") == "soon"
