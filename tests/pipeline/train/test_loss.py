"""The loss counts supervised tokens alone, and the size of a micro batch does not change it."""

import pytest

from pipeline.text.chat import IGNORED
from pipeline.train.batch.batches import collate
from pipeline.train.batch.loss import common_prefix, supervised_loss

SHAPE = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0,
}  # fmt: skip
ROWS = {
    "input_ids": [[5, 6, 7, 8, 9, 2], [11, 12, 13, 2], [21, 22, 23, 24, 25, 26, 27, 2]],
    "labels": [
        [IGNORED, IGNORED, IGNORED, 8, 9, 2],
        [IGNORED, IGNORED, IGNORED, 2],
        [IGNORED, IGNORED, 23, 24, 25, 26, 27, 2],
    ],
}


def tiny(kind):
    """A small model with random weights in float32."""
    import torch
    from transformers import Gemma2Config, Gemma2ForCausalLM, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    if kind == "llama":
        return LlamaForCausalLM(LlamaConfig(**SHAPE))
    # A cap so low that leaving it out could not go unnoticed.
    return Gemma2ForCausalLM(Gemma2Config(**SHAPE, final_logit_softcapping=0.05))


def by_transformers(model, row):
    """Summed loss of one row, by the model's own forward pass and loss."""
    import torch

    ids, labels = (torch.tensor([ROWS[key][row]]) for key in ("input_ids", "labels"))
    trained = sum(label != IGNORED for label in ROWS["labels"][row])
    return model(input_ids=ids, labels=labels, use_cache=False).loss * trained


@pytest.mark.parametrize("kind", ["llama", "gemma2"])
def test_a_padded_batch_has_the_loss_and_gradient_of_its_rows_one_by_one(kind):
    import torch

    model = tiny(kind)
    batch = collate(ROWS, device="cpu")
    found = supervised_loss(model, *batch)(*batch)
    found.backward()
    gradient = model.get_input_embeddings().weight.grad.clone()
    model.zero_grad()
    expected = sum(by_transformers(model, row) for row in range(3))
    expected.backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient, model.get_input_embeddings().weight.grad)


def test_the_head_runs_on_supervised_positions_only():
    model = tiny("llama")
    batch = collate(ROWS, device="cpu")
    loss = supervised_loss(model, *batch)
    seen = []
    model.lm_head.register_forward_hook(lambda _, inputs, __: seen.append(tuple(inputs[0].shape)))
    loss(*batch)
    assert seen == [(10, 32)]


@pytest.mark.parametrize("kind", ["llama", "gemma2"])
def test_the_check_asks_for_logits_of_a_few_positions_and_not_of_whole_rows(kind, monkeypatch):
    monkeypatch.setattr("pipeline.train.batch.loss.PIECE", 6)  # 2 of each of 3 rows
    model, seen = tiny(kind), []
    model.lm_head.register_forward_hook(lambda *call: seen.append(call[2].shape[:-1].numel()))
    supervised_loss(model, *collate(ROWS, device="cpu"))
    assert seen == [9, 5], "3 places of 3 rows of 8 tokens, and the 5 that are supervised of them"


def test_behind_a_frozen_head_the_loss_is_made_in_pieces(monkeypatch):
    import torch

    model = tiny("llama")
    model.lm_head.requires_grad_(False)
    batch = collate(ROWS, device="cpu")
    monkeypatch.setattr("pipeline.train.batch.loss.PIECE", 4)  # 10 trained tokens: 4, 4 and 2
    loss = supervised_loss(model, *batch)
    found = loss(*batch)
    (found / 10).backward()
    gradient = model.get_input_embeddings().weight.grad.clone()
    model.zero_grad()
    expected = sum(by_transformers(model, row) for row in range(3))
    (expected / 10).backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient, model.get_input_embeddings().weight.grad)
    with torch.no_grad():
        torch.testing.assert_close(loss(*batch), expected)


def test_the_check_leaves_the_mode_as_it_was():
    model = tiny("llama").train()
    supervised_loss(model, *collate(ROWS, device="cpu"))
    assert model.training


BEGIN = [31, 32, 33, 34]
SHARED = {
    "input_ids": [BEGIN + row for row in ROWS["input_ids"]],
    "labels": [[IGNORED] * 4 + row for row in ROWS["labels"]],
}


def test_what_all_rows_begin_with_is_computed_once_with_the_same_loss_and_gradient():
    import torch

    model = tiny("llama").train()
    batch = collate(SHARED, device="cpu")
    seen = []
    model.get_input_embeddings().register_forward_hook(
        lambda _, inputs, __: seen.append(tuple(inputs[0].shape))
    )
    loss = supervised_loss(model, *batch, share_prefix=True)
    seen.clear()
    found = loss(*batch)
    assert seen == [(1, 4), (3, 8)]
    found.backward()
    gradients = {name: value.grad.clone() for name, value in model.named_parameters()}
    model.zero_grad()
    expected = supervised_loss(model, *batch)(*batch)
    expected.backward()
    torch.testing.assert_close(found, expected)
    for name, value in model.named_parameters():
        torch.testing.assert_close(gradients[name], value.grad, msg=name)


def test_a_beginning_is_shared_only_where_it_pays_and_nothing_of_it_is_trained():
    import torch

    ids = torch.tensor([[1, 2, 3, 4, 5, 6], [1, 2, 3, 9, 8, 7]])
    nothing = torch.zeros(2, 5, dtype=torch.bool)
    assert common_prefix(ids, nothing) == 3
    trained = nothing.clone()
    trained[1, 1] = True  # the token behind it is trained, so its logits are wanted
    assert common_prefix(ids, trained) == 0  # 1 of 12 tokens is too little
    assert common_prefix(ids[:1], nothing[:1]) == 0
    assert common_prefix(torch.cat([ids, ids], 1)[:, :11], torch.zeros(2, 10, dtype=bool)) == 0
    assert common_prefix(ids[:1].repeat(4, 1), nothing[:1].repeat(4, 1)) == 5


def test_a_model_whose_cache_says_something_else_is_found_out():
    """What the check is for: here the cache is thrown away between the two passes."""
    model = tiny("llama")
    batch = collate(SHARED, device="cpu")
    plain = supervised_loss(model, *batch)(*batch)
    forward = model.model.forward

    def forgetful(*args, past_key_values=None, **kwargs):
        return forward(*args, past_key_values=None, **kwargs)

    model.model.forward = forgetful
    assert supervised_loss(model, *batch, share_prefix=True)(*batch).item() == plain.item()
