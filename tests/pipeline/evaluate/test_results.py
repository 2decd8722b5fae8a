"""Files of earlier homes are read by the records that write them now."""

from math import inf

import pytest
from pydantic import ValidationError

from pipeline.core.record import as_json, read_json
from pipeline.evaluate.results import Evaluation, Interval, Pairwise
from pipeline.evaluate.retention.frontier import Frontier

EVALUATION = {
    "test_rows": 12, "test_clusters": 1, "unit": "documents",
    "arms": {"base": {"loss": {"value": 2.0, "low": None, "high": None}}},
    "challenger_minus": {}, "minimum_detectable_effect": {"loss": None}, "best": "base",
    "best_minus": {}, "calibration": {"base": 0.6}, "slices": {},
}  # fmt: skip
PAIRWISE = {
    "judge": "big",
    "calibration": {
        "decisions": 40, "agreement": 0.9, "kappa": 0.8, "calibrated": True, "text": "calibrated",
    },
    "against": {
        "base": {
            "comparisons": 20, "wins": 4, "ties": 0, "consistency": 0.9, "for_shown_first": 0.5,
            "unreadable": 0, "plain": 0.2,
            "controlled": {"value": 0.25, "low": 0.1, "high": None},
        }
    },
}  # fmt: skip
SWEEP = {
    "model": "model/abc",
    "points": [
        {"scale": 0.5, "validation_loss": 1.8, "general_loss": 3.1, "rise": 0.1, "dominated": False}
    ],
    "limit": 0.2, "chosen": 0.5, "summary": "scale 0.5 keeps the limit",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "stored"), [(Evaluation, EVALUATION), (Pairwise, PAIRWISE), (Frontier, SWEEP)]
)
def test_a_stored_result_of_an_earlier_version_is_read_whole(kind, stored):
    found = as_json(read_json(kind, stored))
    assert {name: found[name] for name in stored} == stored


def test_an_end_that_is_not_known_is_infinite():
    found = read_json(Interval, {"value": 1.0, "low": None, "high": None})
    assert (found.low, found.high) == (-inf, inf) and not found.bounded


@pytest.mark.parametrize("changed", [{"mistyped": 1}, {"test_rows": "many"}])
def test_an_unknown_or_wrong_field_is_an_error_and_not_dropped(changed):
    with pytest.raises(ValidationError):
        read_json(Evaluation, EVALUATION | changed)
