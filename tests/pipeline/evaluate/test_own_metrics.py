"""Metrics of the user's own beside ours, and clear words where one is wrong."""

import polars as pl
import pytest

from pipeline.core.errors import InputError
from pipeline.evaluate.measures.llm_judge import Asked
from pipeline.evaluate.measures.own import load_metric, with_own_metrics
from pipeline.evaluate.summary import summarise
from pipeline.settings import EvaluateSettings
from tests.pipeline.evaluate.test_evaluate import SETTINGS, answers

MODULE = """
def polite(answer, reference, question, passage):
    return float(answer.startswith("yes") and passage == "passage")

def broken(answer, reference, question, passage):
    return 1 / 0

def endless(answer, reference, question, passage):
    return float("inf")
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "my_own_metrics.py").write_text(MODULE, "utf-8")
    monkeypatch.chdir(tmp_path)


def measured(name, arms):
    rows = pl.concat(arms)
    known = dict.fromkeys(rows["pair_id"], Asked("question", "reference", "passage"))
    return with_own_metrics(rows, {name: load_metric(name)}, known)


def test_a_metric_of_ones_own_has_its_interval_and_its_difference():
    arms = [answers("base", 2.0, answer="no"), answers("challenger", 1.4, answer="yes, sir")]
    found = summarise(measured("my_own_metrics:polite", arms), SETTINGS)
    assert found.arms["base"]["my_own_metrics:polite"].value == 0
    assert found.challenger_minus["base"]["my_own_metrics:polite"].value == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_own_metrics:broken", "broken failed on pair .*ZeroDivisionError.*mend the function"),
        ("my_own_metrics:endless", "returned inf for pair"),
        ("my_own_metrics:absent", "no function 'absent' found in my_own_metrics; expected def"),
        ("no_such_module:score", "No module named 'no_such_module'; expected module:function"),
    ],
)
def test_a_metric_that_is_wrong_is_named(name, message):
    with pytest.raises(InputError, match=message):
        measured(name, [answers("base", 2.0)])


def test_a_name_that_is_none_is_refused_by_the_settings():
    with pytest.raises(ValueError, match="metrics"):
        EvaluateSettings(metrics=("score",))
