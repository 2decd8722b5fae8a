"""Packed layers say what plain ones say, under every method, and an adapter can still be scaled."""

import pytest

from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.batch.rows import tokenize
from pipeline.train.cpu.packed import PackedLinear, pack_linears
from pipeline.train.export.scale import scaled
from pipeline.train.methods import METHODS, resolved
from pipeline.train.models.adapter import attach_adapter, load_base
from pipeline.train.models.base_model import load_model, load_tokenizer
from pipeline.train.models.quantized import dequantize
from tests.pipeline.train.seed_examples import make_examples

pytestmark = pytest.mark.model


def adapted(tiny_base, name):
    """The tiny model in float32 with an adapter whose values are no longer those of the start."""
    import torch

    torch.manual_seed(3)
    settings = resolved(TrainSettings(method=name))
    rows = tokenize(make_examples(8, 2), load_tokenizer(tiny_base.path), 512).train["input_ids"]
    if METHODS[name].quantized:
        model = load_base(tiny_base, ModelSettings(), True)
    else:  # in float32, whatever the processor
        model = load_model(tiny_base.path, "cpu", torch.float32)
    model = dequantize(attach_adapter(model, METHODS[name], settings, rows)).float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def packed_layers(model):
    return [part for part in model.modules() if isinstance(part, PackedLinear)]


@pytest.mark.parametrize("name", METHODS)
def test_a_packed_model_has_the_logits_of_the_plain_one(tiny_base, name):
    import torch

    model = adapted(tiny_base, name)
    ids = torch.randint(0, 1000, (3, 7))
    with torch.no_grad():
        expected = model(input_ids=ids).logits
        found = pack_linears(model)(input_ids=ids).logits
    assert packed_layers(model)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_scale_of_a_packed_adapter_still_counts(tiny_base):
    import torch

    model = adapted(tiny_base, "lora")
    ids = torch.randint(0, 1000, (3, 7))
    with torch.no_grad():
        with scaled(model, 0.5):
            expected = model(input_ids=ids).logits
        whole = model(input_ids=ids).logits
        pack_linears(model)
        with scaled(model, 0.5):
            found = model(input_ids=ids).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, whole, atol=1e-4)


def test_another_type_than_float32_is_left_alone(tiny_base):
    import torch

    model = load_base(tiny_base, ModelSettings(), False).to(torch.bfloat16)
    assert not packed_layers(pack_linears(model))
