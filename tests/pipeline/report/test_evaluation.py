# ruff: noqa: RUF001 - the report writes true minus signs
"""The evaluation in the terminal and on the page."""

from dataclasses import replace

import pytest

from pipeline.evaluate.statistics.power import looks
from pipeline.report.contents import Report
from pipeline.report.evaluation_text import evaluation_table, notes
from pipeline.report.html import render


@pytest.fixture
def evaluation(content):
    return content["evaluation"]


def lines(content):
    return evaluation_table(Report.model_validate(content)).splitlines()


def test_the_first_table_has_a_row_an_arm_within_80_columns(content, evaluation):
    wide = evaluation["arms"]["base"]
    wide["grounded"] = {"value": 0.24, "low": 0.2, "high": 0.28}
    evaluation["arms"]["chain_of_thought"] = {"grounded": wide["grounded"]}
    evaluation["arms"]["challenger_retrieval"] = wide
    shown = lines(content)
    assert shown[:6] == [
        "                             correct         challenger − arm           grounded",
        "base            0.213 [0.163, 0.263]  +0.421 [+0.281, +0.561]  0.24 [0.20, 0.28]",
        "few-shot        0.402 [0.342, 0.462]  +0.032 [−0.018, +0.082]                  –",
        "challenger      0.634 [0.574, 0.694]                                           –",
        "thinks first                       –                        –  0.24 [0.20, 0.28]",
        "with retrieval  0.213 [0.163, 0.263]                        –  0.24 [0.20, 0.28]",
    ]
    assert max(map(len, shown[:14])) <= 80


def test_the_second_table_has_the_cost_of_a_thousand_requests(content, evaluation):
    shown = lines(content)
    assert shown[5].split() == [
        "loss",
        "token",
        "f1",
        "chrf",
        "stop",
        "rate",
        "tokens/1k",
        "s/1k",
    ]
    assert shown[6].split() == ["base", "2.713", "–", "–", "–", "75,500", "710"]
    for cost in evaluation["costs"].values():
        cost["price"] = 0.00042
    priced = lines(content)
    assert priced[5].endswith("price/1k") and priced[6].split()[-1] == "0.42"


def test_without_timings_there_is_no_cost(content, evaluation):
    evaluation["costs"] = {}
    assert "1k" not in "\n".join(lines(content))


def test_what_to_make_of_it_is_said_in_words(report):
    said = notes(report.evaluation)
    assert said == [
        "Advice: use fine-tuning: the challenger is 63% correct.",
        "Worst slice against base: topic releases: −0.100 correct on 17 rows of 5 documents "
        "(no clear difference, p 0.410 after Holm).",
        "Foreseen before training: 47 rows of 14 documents can show a difference of 21% or more.",
        "Seeds: measured on one seed: this adapter is better; not claimed of the recipe.",
        "Placebo: trained for 8 of 32 steps on the answers to other questions; what it gains is "
        "form, not knowledge.",
        "Look 6 at this test set, decided at 99.9% confidence; 9% of the allowed error is left for "
        "further models; fresh test rows are due: add documents or gold rows.",
    ]
    first = replace(report.evaluation, looks=looks(1, 0.95), placebo_steps=None)
    assert notes(first)[-1] == (
        "Look 1 at this test set, decided at 97.0% confidence; 39% of the allowed error is left "
        "for further models."
    )


def test_a_slice_that_is_worse_is_called_so(content, evaluation):
    bad = evaluation["slices"]["base"][1]
    bad["difference"] = {"value": -0.3, "low": -0.5, "high": -0.1}
    bad["p"] = bad["p_holm"] = 0.004
    said = " ".join(notes(Report.model_validate(content).evaluation))
    assert "topic releases: −0.300 correct on 17 rows of 5 documents (worse, p 0.004" in said


def test_the_page_has_arms_costs_and_slices(content, evaluation):
    evaluation["slices"]["base"][1]["value"] = "<b>releases</b>"
    page = render(Report.model_validate(content))
    for shown in (
        "Slices: challenger − base",
        "&lt;b&gt;releases&lt;/b&gt;",
        "fresh test rows are due",
        "0.72",
        "not claimed of the recipe",
    ):
        assert shown in page, shown
    assert "34,000" in page and "41,500" in page  # prompt and written tokens of 1,000 requests
    assert "<b>releases" not in page


def test_an_evaluation_of_the_first_days_has_a_page_too(content, evaluation):
    kept = ("test_rows", "test_clusters", "arms", "challenger_minus")
    content["evaluation"] = {key: evaluation[key] for key in kept}
    page = render(Report.model_validate(content))
    assert "Slices" not in page and "1,000 requests" not in page


def test_a_topic_cannot_steer_the_terminal(content, evaluation):
    evaluation["slices"]["base"][1]["value"] = "a\x1b[2J\n```\nb"
    said = " ".join(notes(Report.model_validate(content).evaluation))
    assert "\x1b" not in said and "\n" not in said and "topic a" in said
