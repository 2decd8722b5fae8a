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
MIXED = {"layer_types": ["sliding_attention", "full_attention"]}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48}
FAMILIES = {
    "llama": GROUPED,
    "mistral": WINDOW,
    "gemma3_text": WINDOW | MIXED,
    "qwen3": GROUPED,
    "gpt_neox": ARCHITECTURES["gpt_neox"],
    "phi3": GROUPED,
    # Its layers do not tell their window: it stands in the mask alone.
    "qwen2_moe": WINDOW | MIXED | EXPERTS | {"use_sliding_window": True},
    "llama4_text": GROUPED
    | {
        "attention_chunk_size": 8, "num_local_experts": 2, "intermediate_size_mlp": 96,
        "moe_layers": [1], "layer_types": ["chunked_attention", "full_attention"],
    },
}  # fmt: skip
ROWS = [
    {"input_ids": list(range(start, start + length)), "labels": list(range(start, start + length))}
    for start, length in ((3, 9), (40, 17), (90, 30))
]
BATCH = {key: [row[key] for row in ROWS] for key in ("input_ids", "labels")}


def documented(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *,
               scale, window_size, enable_gqa):  # fmt: skip
    """varlen_attn as its docstring has it: (tokens, heads, size), rows apart."""
    assert torch.equal(cu_seq_q, cu_seq_k)
    assert cu_seq_q.dtype == torch.int32
    assert max_q == max_k == cu_seq_q.diff().max()
    assert cu_seq_q[-1] == len(query)
    assert enable_gqa == (query.shape[1] != key.shape[1])
    assert window_size == (-1, 0), "causal"
    found = []
    for start, end in zip(cu_seq_q[:-1].tolist(), cu_seq_q[1:].tolist(), strict=True):
        q, k, v = (part[start:end].transpose(0, 1) for part in (query, key, value))
        apart = torch.arange(end - start)[:, None] - torch.arange(end - start)
        output = scaled_dot_product_attention(
            q, k, v, apart >= 0, scale=scale, enable_gqa=enable_gqa
        )
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


@pytest.mark.parametrize(
    ("kind", "changes", "layers"),
    [
        ("llama", {}, 2),
        ("qwen3", {}, 2),
        ("gpt_neox", {}, 2),
        ("phi3", {}, 2),
        ("mistral", {"sliding_window": 30}, 2),  # as long as the longest row
        ("mistral", {"sliding_window": 29}, 0),
        ("gemma3_text", {}, 1),
        ("qwen2_moe", {}, 1),
        ("llama4_text", {}, 1),
    ],
)
def test_packed_rows_have_the_logits_and_gradients_of_transformers_own_mask(
    kind, changes, layers, kernel, monkeypatch
):
    monkeypatch.setitem(FAMILIES, kind, FAMILIES[kind] | changes)
    model = make(kind)
    packed = pack(BATCH, "cpu")
    expected = look(model, packed, position_ids=packed[2])
    assert not kernel
    with varlen.varlen_attention(model):
        found = look(model, packed, position_ids=packed[2])
        assert len(kernel) == layers, "each whose window holds every row"
        padded = look(model, collate(BATCH, "cpu"))
        assert len(kernel) == layers, "rows that are padded keep SDPA"
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    for one, other in zip(padded, look(model, collate(BATCH, "cpu")), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    again = look(model, packed, position_ids=packed[2])
    assert len(kernel) == layers, "transformers' own attention is back"
    torch.testing.assert_close(again, expected, rtol=0, atol=0)


def test_a_checkpointed_layer_is_made_again_with_the_rows_of_its_own_pass(kernel):
    settings = resolved(TrainSettings(method="lora", rank=4, gradient_checkpointing=True))
    model = attach_adapter(make("llama"), METHODS["lora"], settings)
    packed, grown = pack(BATCH, "cpu"), []
    for context in (attention(model, None, apart=False), varlen.varlen_attention(model)):
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
    wrong = {"head_dim": 512, "v_head_dim": 8, "attention_dropout": 0.1}
    for name, value in (*wrong.items(), ("head_dim", 20)):
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
