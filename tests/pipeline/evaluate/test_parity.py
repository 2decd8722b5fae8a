"""Parity: the same model is the same, another one is told, in tokens and in numbers."""

import copy
import math

import pytest

from pipeline.evaluate.measures.parity import answer_logits, compare, predict
from pipeline.text.chat_template import stop_ids
from pipeline.train.models.base_model import load_model, load_tokenizer

PROMPTS = [[1, 4093, 198], [1, 260, 9576, 25, 1812, 436, 357], [1, 2683], [1] * 11]


@pytest.fixture(scope="module")
def model(tiny_base):
    import torch

    return load_model(tiny_base.path, dtype=torch.float32)


@pytest.fixture(scope="module")
def reference(model):
    return predict(model, PROMPTS, {2}, 6)


def test_a_model_is_equal_to_itself(model, reference):
    found = compare(reference, model)
    assert (found.prompts, found.equal_prompts) == (4, 4)
    assert found.tokens == sum(map(len, reference.answers))
    assert found.max_logit_difference == found.max_kl == found.mean_kl == found.widest_flip == 0


def test_logits_are_those_that_each_token_was_chosen_by(model, reference):
    import torch

    for prompt, answer, logits in zip(
        reference.prompts, reference.answers, reference.logits, strict=True
    ):
        assert logits.argmax(-1).tolist() == answer
        with torch.no_grad():
            alone = model(torch.tensor([prompt + answer[:-1]])).logits[0, len(prompt) - 1 :]
        assert torch.allclose(logits, alone, atol=1e-5), "a batch changes nothing in float32"


def test_an_overflow_is_as_far_off_as_can_be(model):
    """Activations beyond 65504 that bfloat16 holds are no numbers in float16."""
    import torch

    large = copy.deepcopy(model)
    with torch.no_grad():
        for part in (large.model.layers[0].mlp.up_proj, large.model.layers[0].mlp.gate_proj):
            part.weight *= 2e4
    said = predict(large, PROMPTS, {2}, 6)
    assert compare(said, copy.deepcopy(large).bfloat16()).max_logit_difference < math.inf
    found = compare(said, large.half())
    assert found.max_logit_difference == found.max_kl == math.inf


def test_a_changed_model_is_told_in_tokens_and_numbers(model, reference):
    import torch

    other = copy.deepcopy(model)
    with torch.no_grad():
        other.model.norm.weight[:8] *= 4
    found = compare(reference, other)
    assert found.equal_prompts < found.prompts
    assert found.widest_flip > 0
    expected, differences, divergences = reference.logits, [], []
    with torch.no_grad():
        logits = [
            one
            for prompt, answer in zip(reference.prompts, reference.answers, strict=True)
            for one in answer_logits(other, [prompt], [answer])
        ]
    for wanted, given in zip(expected, logits, strict=True):
        differences.append((wanted - given).abs().max().item())
        p, q = wanted.softmax(-1), given.softmax(-1)
        divergences += (p * (p / q).log()).sum(-1).tolist()
    assert found.max_logit_difference == pytest.approx(max(differences), rel=1e-4)
    assert found.max_kl == pytest.approx(max(divergences), rel=1e-2)
    assert found.mean_kl == pytest.approx(sum(divergences) / len(divergences), rel=1e-2)


def test_answers_end_where_tokenizer_or_generation_settings_say(model, tiny_base):
    tokenizer = load_tokenizer(tiny_base.path)
    stops = stop_ids(tokenizer)
    assert tokenizer.eos_token_id in stops
    (first,) = predict(model, PROMPTS[:1], stops, 1).answers
    assert predict(model, PROMPTS[:1], {first[0]}, 6).answers == [first]
