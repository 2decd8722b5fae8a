"""The reference that is stored with a model."""

import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.drift.baseline import baseline, summary
from schemas.drift import DriftFeatures

DOCUMENTS = ["The pump starts. The pump stops.", "Open the valve.", " \n "]
PAIRS = ["Why?\n\nThe filter is dirty.", "When?\n\nAt 7 and at 21."]


def reference():
    return pl.DataFrame(
        {
            "id": [f"d{n}" for n in range(3)] + [f"p{n}" for n in range(2)],
            "kind": ["document"] * 3 + ["pair"] * 2,
            "text": DOCUMENTS + PAIRS,
        }
    )


def test_the_reference_keeps_what_has_text_and_accounts_for_the_rest():
    found = baseline(reference(), len, {"p0": 1.5})
    DriftFeatures.validate(found.kept)
    assert found.balances and found.reasons == {"empty_text": 1}
    assert found.dropped["id"].to_list() == ["d2"]
    assert found.metrics == {
        "documents": 2.0,
        "pairs": 2.0,
        "exchanges": 0.0,
        "measured_losses": 1.0,
    }


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=8))
def test_the_reference_balances_for_any_texts(contents):
    frame = pl.DataFrame(
        {"id": [str(n) for n in range(len(contents))], "kind": "pair", "text": contents},
        schema={"id": pl.String, "kind": pl.String, "text": pl.String},
    )
    found = baseline(frame, len)
    assert found.balances


def test_the_summary_describes_each_feature_of_each_kind():
    found = summary(baseline(reference(), len, {"p0": 1.5}).kept)
    assert set(found) == {"document", "pair"}
    characters = found["document"]["characters"]
    # Lengths 32 and 15.
    assert characters["mean"] == 23.5 and characters["count"] == 2
    assert characters["sd"] == pytest.approx(17 / 2**0.5)
    assert characters["quantiles"]["0.5"] == 23.5
    assert found["pair"]["loss"] == {
        "count": 1.0,
        "mean": 1.5,
        "sd": 0.0,
        "quantiles": dict.fromkeys(["0.05", "0.25", "0.5", "0.75", "0.95"], 1.5),
    }
    assert "loss" not in found["document"]  # never measured
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_reference_does_not_depend_on_the_order_of_the_texts():
    shuffled = reference().sample(fraction=1, shuffle=True, seed=2)
    first, second = baseline(reference(), len), baseline(shuffled, len)
    assert first.kept.equals(second.kept)
