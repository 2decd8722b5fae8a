import pytest
from pydantic import ValidationError

from pipeline.core.outcome import table
from pipeline.core.record import as_json, read_json
from pipeline.evaluate.gate.gate import decide
from pipeline.evaluate.results import Evaluation, Retention, Verdict
from pipeline.evaluate.summary import summarise
from pipeline.report.contents import Report
from pipeline.settings import EvaluateSettings, GateSettings
from schemas.evaluation import Answers


def test_a_report_survives_its_json(report):
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_the_json_has_the_sections_that_were_promised(report):
    json = report.model_dump(mode="json")
    assert {
        "stage",
        "rows_in",
        "rows_kept",
        "rows_dropped",
        "reasons",
        "seconds",
        "reused",
    } == json["stages"][0].keys()
    counts = {"calls", "cached", "prompt_tokens", "completion_tokens"}
    assert {"about", *counts} == json["teacher"].keys()
    assert {"train", "validation", "test"} == json["splits"].keys()
    assert {
        "method",
        "base_model",
        "trainable_parameters",
        "supervised_tokens",
        "tokens_per_second",
        "peak_memory_bytes",
        "train_loss",
        "validation_loss",
        "proofs",
        "masks",
    } == json["training"].keys()
    assert {"test_rows", "arms", "challenger_minus"} <= json["evaluation"].keys()
    assert {"value", "low", "high"} == json["evaluation"]["arms"]["base"]["loss"].keys()
    assert {"promoted", "reasons", "summary"} == json["gate"].keys() and "reference" in json[
        "drift"
    ]


@pytest.mark.parametrize(
    "path", [(), ("run",), ("training",), ("evaluation",), ("gate",), ("review",)]
)
def test_a_misspelt_key_is_refused(content, path):
    place = content
    for key in path:
        place = place[key]
    place["misspelt"] = 1
    with pytest.raises(ValidationError, match="misspelt"):
        Report.model_validate(content)


def test_a_point_that_cannot_be_drawn_is_left_out_of_the_curve(content):
    content["training"]["train_loss"] = [[1, 2.0], [2, float("nan")], [3, float("inf")], [4, 1.5]]
    assert Report.model_validate(content).training.train_loss == ((1, 2.0), (4, 1.5))


def test_evaluation_and_gate_fit_as_their_stages_give_them():
    rows = [
        {
            "arm": arm,
            "pair_id": f"{i:016x}",
            "doc_id": "d",
            "cluster_id": f"c{i % 4}",
            "answer": "a",
            "response_tokens": 5,
            "loss": loss + i / 50,
            "rouge_l": 0.5,
            "token_f1": 0.5,
            "exact_match": 0.0,
            "stopped": 1.0,
        }
        for arm, loss in (("base", 2.5), ("challenger", 1.5))
        for i in range(12)
    ]
    evaluation = summarise(table(Answers, rows), EvaluateSettings(bootstrap_draws=200))
    found = read_json(Evaluation, as_json(evaluation))
    assert found.test_rows == 12 and found.challenger_minus["base"]["loss"].value == pytest.approx(
        -1
    )
    verdict = decide(evaluation, Retention(), GateSettings(), has_champion=False, leaks=0)
    gate = read_json(Verdict, as_json(verdict))
    assert gate.reasons and gate.summary
