"""The model's loss on a fixed sample of rows."""

import polars as pl
import pytest

from pipeline.settings import ModelSettings

pytestmark = pytest.mark.model


def reference(rows):
    return pl.DataFrame(
        {"id": [f"{n:03d}" for n in range(rows)], "kind": "pair", "text": "some text"}
    )


def test_the_sample_does_not_depend_on_order_and_hardly_on_growth():
    from pipeline.drift.features import LOSS_ROWS, sample

    drawn = sample(reference(300), 1, LOSS_ROWS)
    assert drawn.height == 64 and drawn["id"].is_sorted()
    assert drawn.equals(sample(reference(300).reverse(), 1, LOSS_ROWS))
    grown = set(sample(reference(310), 1, LOSS_ROWS)["id"])
    assert len(grown & set(drawn["id"])) >= 54  # ten rows more exchange ten rows at most
    assert not drawn.equals(sample(reference(300), 2, LOSS_ROWS))
    assert sample(reference(5), 1, LOSS_ROWS).equals(reference(5))


def test_plain_english_is_likelier_than_scrambled_english(embedded_model):
    from pipeline.drift.features import sample_losses
    from pipeline.train.models.base_model import load_model, load_tokenizer
    from pipeline.train.models.device import configure_torch

    configure_torch(ModelSettings())
    text = "The heart pumps blood through the body, and the lungs supply it with oxygen."
    scrambled = " ".join(sorted(text.split(), key=lambda word: word[::-1]))
    texts = pl.DataFrame({"id": list("abc"), "kind": "pair", "text": [text, scrambled, ""]})
    losses = sample_losses(
        texts, 1, lambda: (load_model(embedded_model), load_tokenizer(embedded_model))
    )
    assert 0 < losses["a"] < losses["b"] - 1
    assert losses["c"] is None
