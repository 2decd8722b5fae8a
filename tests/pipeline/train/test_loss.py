"""The loss counts supervised tokens alone, and the size of a micro batch does not change it."""

import pytest

from pipeline.dataset.chat import IGNORED
from pipeline.train.batches import collate
from pipeline.train.loss import supervised_loss

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
    batch = collate(ROWS, pad=2, device="cpu")
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
    batch = collate(ROWS, pad=2, device="cpu")
    loss = supervised_loss(model, *batch)
    seen = []
    model.lm_head.register_forward_hook(lambda _, inputs, __: seen.append(tuple(inputs[0].shape)))
    loss(*batch)
    assert seen == [(10, 32)]


def test_the_check_leaves_the_mode_as_it_was():
    model = tiny("llama").train()
    supervised_loss(model, *collate(ROWS, pad=2, device="cpu"))
    assert model.training
