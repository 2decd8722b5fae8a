"""The reference that is stored with a model."""

from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.drift import features
from pipeline.drift.features import spreads
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


def baseline(texts, losses=None):
    """The reference of a model that has these losses."""
    with patch.object(features, "sample_losses", lambda *_: losses or {}):
        return features.baseline(texts, len, None, 0)


def test_the_reference_keeps_what_has_text_and_accounts_for_the_rest():
    found = baseline(reference(), {"p0": 1.5})
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
    found = baseline(frame)
    assert found.balances


def test_the_spread_of_each_feature_of_each_kind_is_told():
    found = spreads(baseline(reference(), {"p0": 1.5}).kept)
    assert {name.split()[0] for name in found} == {"document", "pair"}
    # Lengths 32 and 15.
    assert found["document characters"].median == 23.5
    assert found["document characters"].low == pytest.approx(15 + 0.05 * 17)
    assert found["pair loss"].model_dump() == {"low": 1.5, "median": 1.5, "high": 1.5}
    assert "document loss" not in found  # never measured


def test_the_reference_does_not_depend_on_the_order_of_the_texts():
    shuffled = reference().sample(fraction=1, shuffle=True, seed=2)
    first, second = baseline(reference()), baseline(shuffled)
    assert first.kept.equals(second.kept)
