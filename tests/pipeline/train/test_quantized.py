"""QLoRA on a CPU: gradients survive an evaluation with the guard, and do not without it."""

import shutil
from pathlib import Path

import pytest

from pipeline.core.errors import TrainingError
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.methods import METHODS
from pipeline.train.models.adapter import attach_adapter, trainable
from pipeline.train.models.base_model import load_tokenizer
from pipeline.train.models.device import configure_torch
from pipeline.train.models.quantized import (
    dequantize,
    has_room_unpacked,
    linear4bit_layers,
    load_quantized,
)
from pipeline.train.proofs.model import prove_four_bits

pytestmark = pytest.mark.model

TEXT = "Drip irrigation brings water to the roots of each plant through narrow tubes."


@pytest.fixture
def model(base):
    import torch

    configure_torch(ModelSettings())
    torch.manual_seed(3)
    return attach_adapter(load_quantized(base.path), METHODS["qlora"], TrainSettings(dropout=0))


@pytest.fixture
def tokens(base):
    import torch

    return torch.tensor([load_tokenizer(base.path)(TEXT)["input_ids"]])


def gradients(model, tokens):
    import torch

    model.train()
    model.zero_grad(set_to_none=True)
    model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
    return torch.cat(
        [
            (torch.zeros_like(part) if part.grad is None else part.grad).flatten()
            for part in trainable(model).values()
        ]
    )


def train_evaluate_train(model, tokens):
    """One update, then gradients before and after an evaluation of the same weights."""
    import torch

    gradients(model, tokens)
    torch.optim.AdamW(trainable(model).values(), lr=1e-3).step()
    before = gradients(model, tokens)
    model.eval()
    with torch.no_grad():
        model(input_ids=tokens, use_cache=False)
    return before, gradients(model, tokens)


def test_training_after_an_evaluation_has_the_same_gradients(model, tokens):
    import torch

    assert len(linear4bit_layers(model)) == 210
    before, after = train_evaluate_train(model, tokens)
    assert before.norm() > 0
    assert torch.equal(before, after)


def probe(model, tokens):
    (ids,) = tokens.tolist()
    return prove_four_bits(model, [{"input_ids": ids, "labels": ids}]).value


def test_without_the_guard_the_probe_refuses_to_train_where_the_kernel_exists(model, tokens):
    import torch
    from bitsandbytes.functional import has_avx512bf16

    assert probe(model, tokens) > 0.9999
    for layer in linear4bit_layers(model).values():
        layer.support_avx512bf16_for_cpu = has_avx512bf16()  # what bitsandbytes sets by default
    if torch.cpu.get_capabilities()["avx512_bf16"]:
        with pytest.raises(TrainingError, match="gradient probe: after an evaluation"):
            probe(model, tokens)
    else:
        assert probe(model, tokens) > 0.9999


def test_the_probe_leaves_no_trace(model, tokens):
    import torch

    before = {name: part.detach().clone() for name, part in trainable(model).items()}
    state = torch.get_rng_state()
    probe(model, tokens)
    assert model.training
    assert all(part.grad is None for part in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(part, before[name]) for name, part in trainable(model).items())


def test_weights_are_four_bits_and_the_adapter_is_on_every_linear_layer(model):
    import torch

    layers = linear4bit_layers(model)
    assert {layer.weight.quant_state.quant_type for layer in layers.values()} == {"nf4"}
    assert all(layer.weight.quant_state.nested for layer in layers.values()), "double quantization"
    assert all(layer.weight.dtype == torch.uint8 for layer in layers.values())
    assert len(trainable(model)) == 2 * len(layers)
    assert {part.dtype for part in trainable(model).values()} == {torch.float32}


def test_dequantized_once_gives_the_logits_of_dequantized_each_time(base, tokens):
    import torch

    configure_torch(ModelSettings())
    model = load_quantized(base.path)
    with torch.no_grad():
        expected = model(tokens).logits
        dequantize(model)
        assert not linear4bit_layers(model)
        assert torch.equal(model(tokens).logits, expected)


def test_layers_are_unpacked_where_they_leave_half_of_what_is_free(model):
    layers = linear4bit_layers(model).values()
    values = sum(layer.in_features * layer.out_features for layer in layers)
    size = values * next(iter(layers)).compute_dtype.itemsize
    assert has_room_unpacked(model, 2 * size)
    assert not has_room_unpacked(model, 2 * size - 2)


MAPS = Path("/proc/self/maps")


@pytest.mark.skipif(not MAPS.exists(), reason="only Linux tells which files are mapped")
def test_the_file_of_the_weights_is_let_go(tiny_base, tmp_path):
    """One tensor that lives in the mapped file would keep all its pages in memory."""
    folder = shutil.copytree(tiny_base.path, tmp_path / "base")
    model = load_quantized(folder)
    assert linear4bit_layers(model)
    assert str(folder) not in MAPS.read_text()
