"""Liger's kernels in a training: where they stand in, and where a family's own functions stay.

Triton runs on a GPU alone: here stands what Liger's functions are documented to compute, and what
they overwrite.
"""

import sys
from collections import Counter
from types import ModuleType

import pytest
import torch
from torch.nn.functional import silu

from pipeline.settings import TrainSettings
from pipeline.train import gpu
from pipeline.train.loop import fused as layers
from pipeline.train.loop.fused import fused
from pipeline.train.methods import METHODS, resolved
from pipeline.train.models.adapter import attach_adapter, trainable
from pipeline.train.models.base_model import load_model
from tests.pipeline.train.architectures import make_base

CALLS = Counter()


def rms_norm(inputs, weight, epsilon, offset, casting_mode, in_place):
    assert (offset, casting_mode, in_place) == (0.0, "llama", False)
    CALLS["norm"] += 1
    wide = inputs.float()
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)
    return weight * wide.to(inputs.dtype)


def swiglu_forward(gate, up):
    CALLS["gate"] += 1
    return gate, up, silu(gate) * up


def swiglu_backward(gate, up, above):
    CALLS["gate backward"] += 1
    activated, at = silu(gate), torch.sigmoid(gate)
    of_gate = above * up * (at + activated * (1 - at))
    return gate.copy_(of_gate), up.copy_(above * activated)


def rotate_halves(q, k, cos, sin):
    CALLS["rotation"] += 1

    def turned(rows):
        one, two = rows.chunk(2, -1)
        return rows * cos[:, None] + torch.cat([-two, one], -1) * sin[:, None]

    return turned(q), turned(k)


def forget_ours():
    """Let our module be imported anew: it has what Liger had when it was imported."""
    sys.modules.pop("pipeline.train.gpu.liger", None)
    vars(gpu).pop("liger", None)


@pytest.fixture
def liger(monkeypatch):
    """The module over functions of that documentation, as if there were a GPU."""
    functions = {
        "rms_norm": ("LigerRMSNormFunction", type("N", (), {"apply": staticmethod(rms_norm)})),
        "rope": ("LigerRopeFunction", type("R", (), {"apply": staticmethod(rotate_halves)})),
        "swiglu": ("swiglu_forward", staticmethod(swiglu_forward)),
    }
    for name in ("liger_kernel", "liger_kernel.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    for name, (attribute, value) in functions.items():
        module = ModuleType(f"liger_kernel.ops.{name}")
        setattr(module, attribute, value)
        module.swiglu_backward = swiglu_backward
        monkeypatch.setitem(sys.modules, module.__name__, module)
    forget_ours()
    from pipeline.train.gpu import liger

    monkeypatch.setattr(layers, "_kernels", lambda tensor: liger)
    CALLS.clear()
    yield liger
    forget_ours()


def step(model):
    ids = torch.arange(5, 25).view(2, 10)
    model.zero_grad()
    loss = model(input_ids=ids, labels=ids, use_cache=False).loss
    loss.backward()
    return loss.detach(), *(part.grad.clone() for part in trainable(model).values())


def prepared(kind, folder, targets="all"):
    model = load_model(make_base(kind, folder).path, dtype=torch.float32)
    settings = resolved(TrainSettings(method="lora", rank=4, targets=targets))
    model = attach_adapter(model, METHODS["lora"], settings)
    torch.manual_seed(0)
    for name, part in trainable(model).items():
        if "lora_B" in name:
            torch.nn.init.normal_(part, std=0.1)
    return model


@pytest.mark.parametrize(
    ("kind", "targets", "used", "rotates"),
    [
        ("llama", "all", {"norm", "gate", "gate backward", "rotation"}, True),
        ("llama", "attention", {"norm", "gate", "gate backward", "rotation"}, True),
        ("qwen3_moe", "attention", {"norm", "rotation"}, True),
        ("phi3", "all", {"norm", "rotation"}, True),
        ("glm4", "all", {"norm"}, False),  # pairs of neighbours are rotated, not halves
    ],
)
def test_a_step_has_the_loss_and_gradients_of_a_family_s_own_functions(
    kind, targets, used, rotates, liger, tmp_path
):
    model = prepared(kind, tmp_path, targets)
    expected = step(model)
    decoder = model.get_base_model().get_decoder()
    # As FSDP2 does: a class of its own before the family's.
    decoder.__class__ = type("Sharded", (type(decoder),), {"__module__": "torch"})
    with fused(model), liger.rotary(model) as rotated:
        CALLS.clear()  # the comparisons of each layer
        found = step(model)
    assert rotated == rotates
    assert used == set(CALLS), "Liger's functions are those that ran"
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    CALLS.clear()
    step(model)
    assert not CALLS, "the family's own are back"


def test_a_kernel_that_computes_something_else_is_left_out(liger, monkeypatch, tmp_path):
    model = prepared("llama", tmp_path)
    with fused(model) as every:
        pass
    monkeypatch.setattr(liger, "normalize", lambda inputs, weight, epsilon: inputs * weight)
    monkeypatch.setattr(
        liger.LigerRopeFunction, "apply", staticmethod(lambda q, k, cos, sin: (k, q))
    )
    with fused(model) as fewer, liger.rotary(model) as rotated:
        assert not rotated
    norms = [part for part in model.modules() if type(part).__name__.endswith("RMSNorm")]
    assert fewer == every - len(norms)


def test_without_triton_or_a_gpu_the_training_goes_on_without_liger(liger, monkeypatch):
    layers.liger_kernels.cache_clear()
    assert layers.liger_kernels() is None, "no GPU"
    monkeypatch.setitem(sys.modules, "liger_kernel.ops.swiglu", None)
    forget_ours()
    layers.liger_kernels.cache_clear()
    assert layers.liger_kernels() is None, "an import fails"
    layers.liger_kernels.cache_clear()
