# ruff: noqa: RUF001 - the report writes true minus signs
"""The evaluation in the terminal and on the page."""

from dataclasses import replace

import pytest

from pipeline.report.contents import Report
from pipeline.report.evaluation_text import evaluation_table, look, notes
from pipeline.report.html import render


@pytest.fixture
def evaluation(content):
    return content["evaluation"]


def lines(content):
    return evaluation_table(Report.model_validate(content)).splitlines()


def test_the_first_table_has_a_row_an_arm_within_80_columns(content, evaluation):
    wide = evaluation["arms"]["base"]
    evaluation["arms"]["chain_of_thought"] = {"rouge_l": wide["rouge_l"]}
    evaluation["arms"]["challenger_retrieval"] = wide
    shown = lines(content)
    assert shown[:6] == [
        "                                loss         challenger − arm            ROUGE-L",
        "base            2.713 [2.513, 2.913]  −0.779 [−0.919, −0.639]  0.24 [0.20, 0.28]",
        "few-shot        2.402 [2.202, 2.602]  −0.468 [−0.598, −0.338]  0.29 [0.25, 0.33]",
        "challenger      1.934 [1.734, 2.134]                           0.39 [0.33, 0.45]",
        "thinks first                       –                        –  0.24 [0.20, 0.28]",
        "with retrieval  2.713 [2.513, 2.913]                        –  0.24 [0.20, 0.28]",
    ]
    assert max(map(len, shown[:14])) <= 80


def test_the_second_table_has_the_cost_of_a_thousand_requests(content, evaluation):
    shown = lines(content)
    assert shown[5].split() == [
        "token",
        "f1",
        "chrf",
        "grounded",
        "stop",
        "rate",
        "tokens/1k",
        "s/1k",
    ]
    assert shown[6].split() == ["base", "–", "–", "–", "–", "75,500", "710"]
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
        "Advice: use fine-tuning: the challenger has a loss of 1.934 nats a token.",
        "Worst slice against base: topic releases: −0.100 nats a token on 17 rows of 5 documents "
        "(no clear difference, p 0.410 after Holm).",
        "Foreseen before training: 47 rows of 14 documents can show 0.210 nats a token or more.",
        "Seeds: measured on one seed: this adapter is better; not claimed of the recipe.",
        "Look 3 at this test set: p-values are optimistic, since each new model is another chance "
        "to win by luck; add fresh test rows.",
    ]
    first = replace(report.evaluation, look=1)
    assert look(first) == "" and len(notes(first)) == 4


def test_a_slice_that_is_worse_is_called_so(content, evaluation):
    bad = evaluation["slices"]["base"][1]
    bad["difference"] = {"value": 0.3, "low": 0.1, "high": 0.5}
    bad["p"] = bad["p_holm"] = 0.004
    said = " ".join(notes(Report.model_validate(content).evaluation))
    assert "topic releases: +0.300 nats a token on 17 rows of 5 documents (worse, p 0.004" in said


def test_the_page_has_arms_costs_and_slices(content, evaluation):
    evaluation["slices"]["base"][1]["value"] = "<b>releases</b>"
    page = render(Report.model_validate(content))
    for shown in (
        "Slices: challenger − base",
        "&lt;b&gt;releases&lt;/b&gt;",
        "p-values are optimistic",
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
