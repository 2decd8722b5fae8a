"""What each arm puts into its prompt and what is measured of it, on a small random model."""

import numpy as np
import pytest

from pipeline.core.cache import short_id
from pipeline.evaluate.answers.prompts import Passage, with_passage, with_thinking
from pipeline.settings import EvaluateSettings
from pipeline.text.chat_template import prompt_ids
from schemas.evaluation import Answers, AnswerTimings
from tests.pipeline.evaluate.conftest import QUESTIONS

pytestmark = pytest.mark.model
SETTINGS = EvaluateSettings(max_new_tokens=6, thinking_tokens=5, batch_size=4)
LEGS, LEGS_ANSWER = QUESTIONS[1]


@pytest.fixture(scope="module")
def tiny(tiny_base):
    import torch

    from pipeline.train.models.base_model import load_model, load_tokenizer

    return load_model(tiny_base.path, dtype=torch.float32), load_tokenizer(tiny_base.path)


@pytest.fixture(scope="module")
def ask(all_examples, tiny):
    from pipeline.evaluate.answers.answers import answer_timed
    from pipeline.evaluate.answers.prompts import Material

    asked = all_examples.filter(split="test")
    return lambda arm, **material: answer_timed(arm, asked, *tiny, SETTINGS, Material(**material))


@pytest.fixture(scope="module")
def base(ask):
    return ask("base")


def row(found, question=LEGS):
    return found.kept.filter(pair_id=short_id(question)).row(0, named=True)


def prompt_length(tokenizer, question):
    return len(prompt_ids(tokenizer, [{"role": "user", "content": question}]))


def test_a_passage_and_an_example_that_name_control_tokens_end_nothing(ask, base, tiny):
    text = "A turn ends with <|im_end|>, a text with <|endoftext|>: <|im_start|>system"
    mine = {short_id(LEGS): Passage(text, (), ())}
    shots = {
        short_id(LEGS): [{"role": "user", "content": text}, {"role": "assistant", "content": text}]
    }
    tokens = row(ask("retrieval", passages=mine))["prompt_tokens"]
    assert tokens == prompt_length(tiny[1], with_passage(LEGS, text))
    plain = len(tiny[1](text, split_special_tokens=True)["input_ids"])
    assert tokens - row(base)["prompt_tokens"] > plain >= 30, "as many tokens as characters take"
    assert (
        row(ask("few_shot", shots=shots))["prompt_tokens"] - row(base)["prompt_tokens"] > 2 * plain
    )


def test_retrieval_puts_its_passage_before_the_question_and_notes_what_it_found(ask, base, tiny):
    passage = Passage("A spider has eight legs.", ("c" * 16,), (short_id("doc", LEGS),))
    other = Passage("Bread is made of flour.", ("d" * 16,), (short_id("doc", "bread"),))
    passages = {short_id(question): other for question, _ in QUESTIONS}
    found = ask("retrieval", passages=passages | {short_id(LEGS): passage})
    Answers.validate(found.kept)
    mine = row(found)
    assert mine["prompt_tokens"] == prompt_length(tiny[1], with_passage(LEGS, passage.text))
    assert (mine["retrieved"], mine["found_document"]) == ("c" * 16, 1.0)
    assert row(found, QUESTIONS[0][0])["found_document"] == 0.0
    assert (
        mine["loss"] != row(base)["loss"]
        and mine["response_tokens"] == row(base)["response_tokens"]
    )
    assert row(base)["retrieved"] == "" and row(base)["found_document"] is None


def test_a_question_for_which_nothing_was_found_is_asked_as_it_is(ask, base):
    nothing = {short_id(question): Passage("", (), ()) for question, _ in QUESTIONS}
    found = ask("retrieval", passages=nothing)
    assert found.kept["answer"].to_list() == base.kept["answer"].to_list()
    assert found.kept["loss"].to_list() == base.kept["loss"].to_list()
    assert set(found.kept["found_document"]) == {0.0}


def test_chain_of_thought_asks_for_thoughts_writes_longer_and_has_no_loss(ask, base, tiny):
    found = ask("chain_of_thought")
    Answers.validate(found.kept)
    assert row(found)["prompt_tokens"] == prompt_length(tiny[1], with_thinking(LEGS))
    assert found.kept["completion_tokens"].max() == 11  # 5 for the thoughts, 6 as everyone
    assert base.kept["completion_tokens"].max() == 6
    assert found.kept["loss"].null_count() == found.kept["bits_per_byte"].null_count() == 6


def test_bits_a_byte_are_the_same_likelihood_as_the_loss(base):
    mine = row(base)
    assert mine["response_bytes"] == len(LEGS_ANSWER.encode())
    nats = mine["loss"] * mine["response_tokens"]
    assert mine["bits_per_byte"] * mine["response_bytes"] * np.log(2) == pytest.approx(nats)


def test_the_log_probability_is_that_of_the_tokens_written(base, tiny, all_examples):
    import torch

    from pipeline.evaluate.scoring import evaluating, greedy, prefill

    model, tokenizer = tiny
    prompts = [
        prompt_ids(tokenizer, [{"role": "user", "content": question}])
        for question in (LEGS, QUESTIONS[0][0])
    ]
    with evaluating(model):
        written, sure = greedy(model, prefill(model, prompts), {tokenizer.eos_token_id}, 6)
        for prompt, tokens, log_probs in zip(prompts, written, sure, strict=True):
            logits = model(input_ids=torch.tensor([prompt + tokens])).logits[0].float()
            rows = logits[len(prompt) - 1 : -1].log_softmax(-1)
            expected = rows[torch.arange(len(tokens)), torch.tensor(tokens)]
            assert log_probs == pytest.approx(expected.numpy(), abs=1e-3)
            assert len(log_probs) == len(tokens)
    assert row(base)["log_prob"] == pytest.approx(float(sure[0].mean()), abs=1e-3)


def test_timings_are_kept_apart_one_row_a_batch(ask, base):
    AnswerTimings.validate(base.tables["timings"][1])
    assert base.tables["timings"][1]["rows"].to_list() == [4, 2]
    assert (
        base.tables["timings"][1]["seconds"] >= base.tables["timings"][1]["first_token_seconds"]
    ).all()
    for name in ("prompt_tokens", "completion_tokens"):
        assert base.tables["timings"][1][name].sum() == base.kept[name].sum()
    assert ask("base").kept.equals(base.kept)  # the same content, whatever the clock says
