"""Trainable parameters and activations equal those of the real model, method by method."""

import weakref

import pytest

from pipeline.settings import TrainSettings
from pipeline.train.methods import METHODS, resolved
from pipeline.train.plan.activations import Batch, activation_bytes, states_bytes
from pipeline.train.plan.estimate import warnings
from pipeline.train.plan.shapes import read_folder, read_shape, shape_of, trainable_parameters
from tests.pipeline.train.architectures import ARCHITECTURES
from tests.pipeline.train.test_families import FAMILIES

TOKENS, SUPERVISED = 192, 16


class Kept:
    """A tensor that autograd keeps, for as long as it does."""

    def __init__(self, tensor):
        self.tensor = tensor


def kept_bytes(model, rows):
    """Bytes of the storages that wait for the backward pass, parameters and buffers aside."""
    import torch

    from pipeline.train.batch.loss import supervised_loss
    from pipeline.train.loop.attention import attention
    from pipeline.train.loop.fused import fused

    known = model.get_input_embeddings().weight.shape[0]
    ids = (torch.arange(rows * TOKENS).reshape(rows, TOKENS) + 100) % known
    labels = torch.full_like(ids, -100)
    labels[:, -SUPERVISED:] = ids[:, -SUPERVISED:]
    loss_of = supervised_loss(model, ids, labels)
    model.train()
    own = {
        tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())
    }
    alive = weakref.WeakSet()

    def pack(tensor):
        found = Kept(tensor)
        alive.add(found)
        return found

    keep = torch.autograd.graph.saved_tensors_hooks(pack, lambda found: found.tensor)
    with fused(model), attention(model, None, apart=False), keep:
        loss = loss_of(ids, labels)
    storages = {
        found.tensor.untyped_storage().data_ptr(): found.tensor.untyped_storage().nbytes()
        for found in alive
    }
    assert loss.requires_grad
    return sum(size for place, size in storages.items() if place not in own)


PLAIN = [name for name, method in METHODS.items() if not method.quantized]


CASES = [(method, None) for method in PLAIN] + [("lora", "attention"), ("lora", "mlp")]


@pytest.mark.parametrize("value", [4, 2], ids=["float32", "bfloat16"])
@pytest.mark.parametrize(("method", "targets"), CASES)
def test_parameters_and_kept_bytes_are_those_of_the_real_model(
    tiny_base, monkeypatch, method, targets, value
):
    import torch

    from pipeline.train.cpu import attention
    from pipeline.train.models.adapter import attach_adapter, trainable
    from pipeline.train.models.base_model import load_model

    settings = resolved(TrainSettings(method=method, targets=targets))
    dtype = {4: torch.float32, 2: torch.bfloat16}[value]
    monkeypatch.setattr(attention, "compute_dtype", lambda device: dtype)  # a CPU that computes so
    model = load_model(tiny_base.path, "cpu", dtype)
    model = attach_adapter(model, METHODS[method], settings, [list(range(100, 200))] * 30)
    shape = read_folder(tiny_base.path)

    trained = sum(parameter.numel() for parameter in trainable(model).values())
    assert trainable_parameters(shape, settings) == trained

    batch = Batch(2, TOKENS, 2 * SUPERVISED)
    loss, constant = states_bytes(shape, batch.supervised, value), 0
    if method == "full":
        loss = batch.supervised * shape.vocabulary * 4  # the log of the softmax
        # rounded copies of the weights, an item of their own
        constant = trained * 2 if value == 2 else 0
    elif method == "pissa":  # trained and frozen halves, put together
        constant = 2 * trained * 4
    expected = activation_bytes(shape, settings, batch, value, cpu=True) + loss + constant
    assert expected == pytest.approx(kept_bytes(model, 2), rel=0.01)


@pytest.mark.parametrize("value", [4, 2], ids=["float32", "bfloat16"])
def test_lora_over_four_bits_that_are_unpacked_each_time_keeps_as_much(
    tiny_base, monkeypatch, value
):
    """As a GPU does it: neither the weights nor a copy of a layer's input are kept."""
    import torch

    from pipeline.train.cpu import attention
    from pipeline.train.models import quantized
    from pipeline.train.models.adapter import attach_adapter

    settings = resolved(TrainSettings(method="qlora", dequantize="each_time"))
    dtype = {4: torch.float32, 2: torch.bfloat16}[value]
    for module in (attention, quantized):
        monkeypatch.setattr(module, "compute_dtype", lambda device: dtype)
    model = quantized.load_quantized(tiny_base.path)
    model = attach_adapter(model, METHODS["qlora"], settings)
    shape, batch = read_folder(tiny_base.path), Batch(2, TOKENS, 2 * SUPERVISED)
    expected = activation_bytes(shape, settings, batch, value, cpu=True)
    expected += states_bytes(shape, batch.supervised, value)
    assert expected == pytest.approx(kept_bytes(model, 2), rel=0.01)


LIKE_LLAMA = ("mistral", "qwen2", "qwen3", "olmo2", "granite", "smollm3")


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("kind", LIKE_LLAMA)
def test_what_llama_s_kin_keeps_is_counted(kind, method):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from pipeline.train.models.adapter import attach_adapter

    config = AutoConfig.for_model(
        kind, **FAMILIES[kind][1] | {"vocab_size": 512, "pad_token_id": 0}
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    shape, settings = shape_of(model, kind), resolved(TrainSettings(method=method))
    assert shape.counted
    model = attach_adapter(model, METHODS[method], settings)
    batch = Batch(2, TOKENS, 2 * SUPERVISED)
    states = states_bytes(shape, batch.supervised, 4)
    loss = batch.supervised * shape.vocabulary * 4 if method == "full" else states
    expected = activation_bytes(shape, settings, batch, 4, cpu=True) + loss
    assert expected == pytest.approx(kept_bytes(model, 2), rel=0.05)


@pytest.mark.parametrize("kind", ["mixtral", "gemma2", "gpt2", "falcon_h1", "qwen3_5_text"])
def test_what_is_no_kin_of_llama_is_said_to_be_estimated(kind):
    config = {"model_type": kind, "pad_token_id": None} | (FAMILIES[kind][1] or ARCHITECTURES[kind])
    found = warnings(read_shape(config, kind), resolved(TrainSettings(method="full")), 1)
    assert found and "estimated from their widths" in found[0]


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_checkpointing_keeps_little(tiny_base, method):
    shape, batch = read_folder(tiny_base.path), Batch(4, 512, 64)
    with_it, without = (
        activation_bytes(
            shape, resolved(TrainSettings(method=method, gradient_checkpointing=on)), batch, 2
        )
        for on in (True, False)
    )
    assert with_it < 0.7 * without
