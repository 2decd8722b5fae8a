"""Attention in blocks: the results of SDPA, for every mask that it takes over, and no other."""

import pytest

from pipeline.train.cpu.attention import CausalAttention, blocked_attention
from pipeline.train.models.base_model import load_model


def random_inputs(rows, heads, key_heads, queries, keys, dtype):
    import torch

    torch.manual_seed(2)

    def draw(of_heads, length):
        tensor = torch.randn(rows, length, of_heads, 16).to(dtype)
        return tensor.transpose(1, 2).detach().requires_grad_()

    return draw(heads, queries), draw(key_heads, keys), draw(key_heads, keys)


def results(function, inputs):
    """The output, shape (rows, heads, queries, size), and the gradients of the inputs."""
    import torch

    output = function(*inputs)
    torch.manual_seed(3)
    above = torch.randn(output.shape).to(output.dtype)
    return [output.detach(), *torch.autograd.grad(output, inputs, above)]


def ours(q, k, v):
    return CausalAttention.apply(q, k, v, 0.25).transpose(1, 2)


def reference(q, k, v):
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril(k.shape[2] - q.shape[2])
    return scaled_dot_product_attention(q, k, v, mask, scale=0.25, enable_gqa=True)


@pytest.mark.parametrize("queries", [1, 5, 64, 65, 257, 300])
@pytest.mark.parametrize(("heads", "key_heads", "older"), [(4, 4, 0), (6, 2, 0), (6, 2, 9)])
def test_output_and_gradients_are_those_of_sdpa(queries, heads, key_heads, older):
    import torch

    inputs = random_inputs(2, heads, key_heads, queries, queries + older, torch.float32)
    for found, expected in zip(results(ours, inputs), results(reference, inputs), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_in_bfloat16_they_differ_by_rounding():
    import torch

    inputs = random_inputs(2, 6, 2, 300, 309, torch.bfloat16)
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    for found, expected in zip(results(ours, inputs), results(reference, exact), strict=True):
        assert (found.double() - expected).norm() <= 0.01 * expected.norm()


@pytest.fixture
def model(tiny_base):
    import torch

    return load_model(tiny_base.path, "cpu", torch.float32)


def calls(monkeypatch):
    """How often each of the two is asked."""
    from transformers.integrations import sdpa_attention
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    from pipeline.train.cpu import attention

    counts = {"sdpa": 0, "blocks": 0}
    sdpa = sdpa_attention.sdpa_attention_forward

    def counted(*arguments, **named):
        counts["sdpa"] += 1
        return sdpa(*arguments, **named)

    class Counted(CausalAttention):
        @staticmethod
        def forward(ctx, *arguments):
            counts["blocks"] += 1
            return CausalAttention.forward(ctx, *arguments)

    monkeypatch.setitem(type(ALL_ATTENTION_FUNCTIONS)._global_mapping, "sdpa", counted)
    monkeypatch.setattr(attention, "CausalAttention", Counted)
    monkeypatch.setattr(attention, "_is_faster_for", lambda model: True)
    return counts


LAYERS = 2  # of the tiny base
IDS = [[5, 6, 7, 8, 9, 10, 11, 12], [6, 5, 7, 9, 8, 12, 11, 10]]


def test_it_takes_over_while_a_model_trains_and_not_without_gradients(model, monkeypatch):
    import torch

    counts = calls(monkeypatch)
    ids = torch.tensor(IDS)
    with blocked_attention(model):
        model(input_ids=ids)
        assert counts == {"sdpa": 0, "blocks": LAYERS}
        with torch.no_grad():
            model(input_ids=ids)
        assert counts == {"sdpa": LAYERS, "blocks": LAYERS}
        cache = model(input_ids=ids[:, :3], use_cache=True).past_key_values
        model(input_ids=ids[:, 3:], past_key_values=cache)
        assert counts == {"sdpa": LAYERS, "blocks": 3 * LAYERS}
    model(input_ids=ids)
    assert counts == {"sdpa": 2 * LAYERS, "blocks": 3 * LAYERS}


def test_packed_and_masked_rows_keep_sdpa(model, monkeypatch):
    import torch

    counts = calls(monkeypatch)
    ids = torch.tensor(IDS)
    packed = torch.tensor([[0, 1, 2, 0, 1, 2, 3, 4]])
    holes = torch.tensor([[0, 0, 1, 1, 1, 1, 1, 1]] * 2)
    with blocked_attention(model):
        found = model(input_ids=ids[:1], position_ids=packed, use_cache=False).logits
        model(input_ids=ids, attention_mask=holes)
    assert counts == {"sdpa": 2 * LAYERS, "blocks": 0}
    alone = model(input_ids=ids[:1, :3], use_cache=False).logits
    torch.testing.assert_close(found[:, :3], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("weights", "processor"), [("float32", "bfloat16"), ("bfloat16", "float32")]
)
def test_sdpa_is_kept_unless_weights_and_processor_are_of_bfloat16(
    tiny_base, monkeypatch, weights, processor
):
    import torch

    from pipeline.train.cpu import attention

    monkeypatch.setattr(attention, "compute_dtype", lambda device: getattr(torch, processor))
    model = load_model(tiny_base.path, "cpu", getattr(torch, weights))
    assert not attention._is_faster_for(model)
    monkeypatch.setattr(attention, "compute_dtype", lambda device: torch.bfloat16)
    assert attention._is_faster_for(model.to(torch.bfloat16))
