"""Attention of packed rows on a GPU: what we hand to torch's varlen_attn, and what comes back.

The kernel itself runs on CUDA alone: here stands what its documentation says that it computes.
"""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoConfig, AutoModelForCausalLM

from pipeline.settings import TrainSettings
from pipeline.train.batch.batches import collate, pack
from pipeline.train.gpu import varlen
from pipeline.train.loop.attention import attention, packs
from pipeline.train.methods import METHODS, resolved
from pipeline.train.models.adapter import attach_adapter, trainable
from tests.pipeline.train.architectures import ARCHITECTURES, GROUPED

WINDOW = GROUPED | {"sliding_window": 5}
FAMILIES = {
    "llama": GROUPED,
    "mistral": WINDOW,
    "gemma3_text": WINDOW | {"layer_types": ["sliding_attention", "full_attention"]},
    "qwen3": GROUPED,
    "gpt_neox": ARCHITECTURES["gpt_neox"],
    "phi3": GROUPED,
}
ROWS = [
    {"input_ids": list(range(start, start + length)), "labels": list(range(start, start + length))}
    for start, length in ((3, 9), (40, 17), (90, 30))
]
BATCH = {key: [row[key] for row in ROWS] for key in ("input_ids", "labels")}


def documented(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *,
               scale, window_size, enable_gqa):  # fmt: skip
    """varlen_attn as its docstring has it: (tokens, heads, size), rows apart, a window of keys."""
    assert torch.equal(cu_seq_q, cu_seq_k)
    assert cu_seq_q.dtype == torch.int32
    assert max_q == max_k == cu_seq_q.diff().max()
    assert cu_seq_q[-1] == len(query)
    assert enable_gqa == (query.shape[1] != key.shape[1])
    left, right = window_size
    assert right == 0
    found = []
    for start, end in zip(cu_seq_q[:-1].tolist(), cu_seq_q[1:].tolist(), strict=True):
        q, k, v = (part[start:end].transpose(0, 1) for part in (query, key, value))
        apart = torch.arange(end - start)[:, None] - torch.arange(end - start)
        seen = (apart >= 0) & ((apart <= left) | (left < 0))
        output = scaled_dot_product_attention(q, k, v, seen, scale=scale, enable_gqa=enable_gqa)
        found.append(output.transpose(0, 1))
    return torch.cat(found)


@pytest.fixture
def kernel(monkeypatch):
    """The documented kernel; returns how often it was called."""
    calls = []

    def counted(*arguments, **named):
        calls.append(named)
        return documented(*arguments, **named)

    monkeypatch.setattr(varlen, "varlen_attn", counted)
    return calls


def make(kind, **changes):
    more = {"pad_token_id": 256, "eos_token_id": 258, "bos_token_id": None}
    config = AutoConfig.for_model(kind, **FAMILIES.get(kind, ARCHITECTURES.get(kind)) | more)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32, **changes).eval()


def look(model, batch, **more):
    """The logits of a pass, and the gradient of the embedding."""
    model.zero_grad()
    logits = model(input_ids=batch[0], use_cache=False, **more).logits
    logits.logsumexp(-1).sum().backward()
    return logits.detach(), model.get_input_embeddings().weight.grad.clone()


@pytest.mark.parametrize("kind", FAMILIES)
def test_packed_rows_have_the_logits_and_gradients_of_transformers_own_mask(kind, kernel):
    model = make(kind)
    packed = pack(BATCH, "cpu")
    expected = look(model, packed, position_ids=packed[2])
    assert not kernel
    with varlen.varlen_attention(model):
        found = look(model, packed, position_ids=packed[2])
        assert len(kernel) == 2, "each layer"
        padded = look(model, collate(BATCH, "cpu"))
        assert len(kernel) == 2, "rows that are padded keep SDPA"
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    for one, other in zip(padded, look(model, collate(BATCH, "cpu")), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    again = look(model, packed, position_ids=packed[2])
    assert len(kernel) == 2, "transformers' own attention is back"
    torch.testing.assert_close(again, expected, rtol=0, atol=0)


def test_a_checkpointed_layer_is_made_again_with_the_rows_of_its_own_pass(kernel):
    settings = resolved(TrainSettings(method="lora", rank=4, gradient_checkpointing=True))
    model = attach_adapter(make("llama"), METHODS["lora"], settings)
    packed, grown = pack(BATCH, "cpu"), []
    for context in (attention(model, None, packing=True), varlen.varlen_attention(model)):
        with context:
            model.zero_grad()
            found = model(input_ids=packed[0], position_ids=packed[2], use_cache=False).logits
            found.logsumexp(-1).sum().backward()
        grown.append([part.grad.clone() for part in trainable(model).values()])
    assert len(kernel) == 4, "two layers, forward and made again"
    torch.testing.assert_close(*grown, rtol=1e-4, atol=1e-5)


def on_gpu(model, **changes):
    """A model as `takes` looks at it, on a GPU."""
    seen = {"device": torch.device("cuda"), "dtype": torch.bfloat16, "config": model.config}
    return SimpleNamespace(**seen | changes)


def test_it_takes_what_flash_attention_computes_and_nothing_else():
    model = make("llama")
    assert varlen.takes(on_gpu(model))
    assert not varlen.takes(model), "on a CPU"
    assert not varlen.takes(on_gpu(model, dtype=torch.float32))
    assert not varlen.takes(on_gpu(make("gpt_oss", attn_implementation="eager")))
    for changes in ({"head_dim": 512}, {"v_head_dim": 8}):
        for name, value in changes.items():
            other = make("llama")
            setattr(other.config, name, value)
            assert not varlen.takes(on_gpu(other)), name


def test_rows_are_packed_where_nobody_says_so_only_if_they_stay_apart(kernel, monkeypatch):
    model = make("llama")
    assert not packs(model, None, ROWS), "no GPU"
    monkeypatch.setattr(varlen, "takes", lambda model: True)
    assert packs(model, None, ROWS)
    assert packs(model, make("qwen3"), ROWS), "distilled of another"
    state = {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False}
    monkeypatch.setitem(FAMILIES, "lfm2", GROUPED | state)
    assert not packs(make("lfm2"), None, ROWS), "a convolution runs over the end of a row"
    prompted = attach_adapter(
        make("llama"), METHODS["prompt"], resolved(TrainSettings(method="prompt")),
        [row["input_ids"] for row in ROWS],
    )  # fmt: skip
    assert not packs(prompted, None, ROWS), "its own mask has the trained places"

    def leaking(query, key, value, *_, scale, enable_gqa, **more):
        q, k, v = (part.transpose(0, 1) for part in (query, key, value))
        found = scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=scale, enable_gqa=enable_gqa
        )
        return found.transpose(0, 1)

    def refusing(*_, **__):
        raise RuntimeError("FlashAttention only supports Ampere GPUs or newer.")

    monkeypatch.setattr(varlen, "varlen_attn", refusing)
    assert not packs(model, None, ROWS)
    monkeypatch.setattr(varlen, "varlen_attn", leaking)
    assert not packs(model, None, ROWS), "a kernel that joins them is not used"
