"""Fused layers: the same loss and gradients as the layers' own, and away when training is over."""

import pytest

from pipeline.settings import TrainSettings
from pipeline.text.chat import IGNORED
from pipeline.train.batch.loss import supervised_loss
from pipeline.train.loop.fused import fused
from pipeline.train.methods import METHODS, resolved
from pipeline.train.models.adapter import attach_adapter, trainable
from pipeline.train.models.base_model import load_model
from tests.pipeline.train.test_loss import tiny

LAYERS = 2  # of the tiny base
PLAIN = [name for name in METHODS if not METHODS[name].quantized]


def prepared(tiny_base, method, dtype, **changes):
    """A model with a method on it, moved away from where it starts: B is no longer zero."""
    import torch

    torch.manual_seed(5)
    settings = resolved(TrainSettings(method=method, **changes))
    model = attach_adapter(
        load_model(tiny_base.path, "cpu", dtype), METHODS[method], settings, [list(range(300))] * 9
    )
    with torch.no_grad():
        for parameter in trainable(model).values():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def loss_and_gradients(model):
    import torch

    ids = torch.arange(2 * 40).reshape(2, 40) * 7 + 100
    labels = ids.clone()
    labels[:, :20] = IGNORED
    loss = supervised_loss(model, ids, labels)
    model.train()
    model.zero_grad(set_to_none=True)
    torch.manual_seed(0)  # the same dropout
    value = loss(ids, labels)
    value.backward()
    found = {
        name: part.grad.clone() for name, part in trainable(model).items() if part.grad is not None
    }
    return value.detach(), found


@pytest.mark.parametrize("method", PLAIN)
def test_loss_and_every_gradient_are_those_of_the_plain_layers(tiny_base, method):
    import torch

    model = prepared(tiny_base, method, torch.float32)
    expected, gradients = loss_and_gradients(model)
    with fused(model) as count:
        found, others = loss_and_gradients(model)
    assert count >= 3 * LAYERS + 1  # the norms and the gates, whatever the method
    torch.testing.assert_close(found, expected)
    assert others.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert (others[name] - gradient).norm() <= 1e-4 * gradient.norm(), name


@pytest.mark.parametrize("method", ["lora", "pissa"])
def test_weights_that_change_while_it_is_fused_are_the_ones_that_count(tiny_base, method):
    import torch

    model = prepared(tiny_base, method, torch.float32)

    def change():
        with torch.no_grad():
            for parameter in trainable(model).values():
                parameter.mul_(1.5)

    with fused(model):
        before, _ = loss_and_gradients(model)
        change()
        found, gradients = loss_and_gradients(model)
    expected, others = loss_and_gradients(model)
    assert abs(found - before) > 1e-4
    torch.testing.assert_close(found, expected)
    for name, gradient in gradients.items():
        assert (others[name] - gradient).norm() <= 1e-4 * gradient.norm(), name


def test_under_gradient_checkpointing_they_are_too(tiny_base):
    import torch

    model = prepared(tiny_base, "lora", torch.float32, gradient_checkpointing=True)
    expected, gradients = loss_and_gradients(model)
    with fused(model):
        found, others = loss_and_gradients(model)
    torch.testing.assert_close(found, expected)
    assert others.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert (others[name] - gradient).norm() <= 1e-4 * gradient.norm(), name


@pytest.mark.parametrize("method", ["lora", "full", "pissa"])
def test_in_bfloat16_they_differ_by_rounding(tiny_base, method):
    import torch

    model = prepared(tiny_base, method, torch.bfloat16)
    expected, gradients = loss_and_gradients(model)
    with fused(model):
        found, others = loss_and_gradients(model)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=0)
    for name, gradient in gradients.items():
        assert others[name].dtype == torch.float32
        cosine = torch.cosine_similarity(others[name].flatten(), gradient.flatten(), dim=0)
        assert cosine > 0.998, name


def test_lora_on_all_layers_is_fused_and_with_dropout_or_dora_it_stays(tiny_base):
    import torch

    def count(method, **changes):
        with fused(prepared(tiny_base, method, torch.float32, **changes)) as found:
            return found

    own = 3 * LAYERS + 1
    assert count("lora") == own + 7 * LAYERS
    assert count("lora", targets="attention") == own + 4 * LAYERS
    assert count("lora", dropout=0.1) == own
    assert count("dora") == own


def test_without_gradients_and_behind_the_block_the_layers_are_their_own(tiny_base):
    import torch

    model = prepared(tiny_base, "lora", torch.bfloat16)
    ids = torch.arange(40)[None] + 100
    with torch.no_grad():
        expected = model(input_ids=ids).logits
        with fused(model):
            assert torch.equal(model(input_ids=ids).logits, expected)
    assert not any("forward" in vars(part) for part in model.modules())
    with pytest.raises(RuntimeError, match="within"), fused(model):
        raise RuntimeError("within")
    assert not any("forward" in vars(part) for part in model.modules())


def test_another_norm_and_another_activation_are_left_alone():
    """Gemma's norm multiplies by 1 + weight, and its gate is a GELU."""
    model = tiny("gemma2")
    for part in model.modules():
        if type(part).__name__.endswith("RMSNorm"):
            part.variance_epsilon = part.eps  # so that it looks like Llama's
    with fused(model) as count:
        assert count == 0
