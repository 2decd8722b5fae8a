"""Answers of the real embedded model, checked against transformers' own calls."""

import pytest

from pipeline.core.errors import TrainingError
from pipeline.core.progress import listening
from pipeline.evaluate.test_set import nearest_examples, shots_of
from pipeline.settings import EvaluateSettings
from pipeline.text.chat import IGNORED, encode
from schemas.evaluation import Answers
from tests.pipeline.evaluate.conftest import examples

pytestmark = pytest.mark.model
SETTINGS = EvaluateSettings(max_new_tokens=20, batch_size=4)


@pytest.fixture(scope="module")
def asked(all_examples):
    return all_examples.filter(split="test")


@pytest.fixture(scope="module")
def answers(asked, model, tokenizer):
    from tests.pipeline.evaluate.answering import answer

    return answer("base", asked, model, tokenizer, SETTINGS)


def test_there_is_one_valid_answer_a_row(asked, answers):
    Answers.validate(answers)
    assert answers["pair_id"].to_list() == sorted(asked["pair_id"])
    assert set(answers["arm"]) == {"base"}


def test_the_loss_is_the_mean_that_the_model_itself_reports(asked, answers, model, tokenizer):
    import torch

    for row in asked.iter_rows(named=True):
        encoded = encode(tokenizer, row["messages"], 512)
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([encoded.input_ids])).logits[0, :-1].float()
        expected = torch.nn.functional.cross_entropy(
            logits, torch.tensor(encoded.labels[1:]), ignore_index=IGNORED
        )
        mine = answers.filter(pair_id=row["pair_id"]).row(0, named=True)
        assert mine["loss"] == pytest.approx(float(expected), abs=1e-3)
        assert mine["response_tokens"] == sum(label != IGNORED for label in encoded.labels)


def test_the_answers_are_those_of_greedy_generate(asked, answers, model, tokenizer):
    import torch
    from transformers import GenerationConfig

    greedy = GenerationConfig(
        do_sample=False,
        max_new_tokens=SETTINGS.max_new_tokens,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    for row in asked.iter_rows(named=True):
        encoded = encode(tokenizer, row["messages"], 512)
        start = encoded.labels.index(next(x for x in encoded.labels if x != IGNORED))
        prompt = torch.tensor([encoded.input_ids[:start]])
        mask = torch.ones_like(prompt)
        tokens = model.generate(prompt, attention_mask=mask, generation_config=greedy)[0, start:]
        expected = tokenizer.decode(tokens, skip_special_tokens=True).strip()
        mine = answers.filter(pair_id=row["pair_id"]).row(0, named=True)
        assert mine["answer"] == expected
        assert mine["stopped"] == float(int(tokens[-1]) == tokenizer.eos_token_id)
    assert 0 < answers["stopped"].mean() < 1  # both kinds of ending were seen


def test_answers_are_held_against_their_source_where_there_is_one(asked, answers, model, tokenizer):
    from pipeline.evaluate.answers.answers import answer_timed
    from pipeline.evaluate.answers.prompts import Material

    rows = asked.sort("pair_id")[:3]
    true, false, none = rows["pair_id"]
    sources = {
        true: answers.filter(pair_id=true)["answer"][0],
        false: "Bananas are rich in potassium.",
    }
    found = answer_timed("base", rows, model, tokenizer, SETTINGS, Material(sources=sources))
    grounded = dict(found.kept.select("pair_id", "grounded").iter_rows())
    assert grounded == {true: 1.0, false: 0.0, none: None}
    assert set(answers["grounded"]) == {None}


def test_the_order_of_the_rows_changes_nothing(asked, answers, model, tokenizer):
    from tests.pipeline.evaluate.answering import answer

    shuffled = asked.sample(fraction=1, shuffle=True, seed=7)
    assert answer("base", shuffled, model, tokenizer, SETTINGS).equals(answers)


def test_examples_in_the_prompt_make_the_reference_likelier(
    all_examples, asked, answers, model, tokenizer
):
    from tests.pipeline.evaluate.answering import answer

    shots = shots_of(nearest_examples(all_examples, 3), all_examples)
    seen = []
    with listening(lambda done, total, unit: seen.append((done, total, unit))):
        found = answer("few_shot", asked, model, tokenizer, SETTINGS, shots)
    assert found["response_tokens"].to_list() == answers["response_tokens"].to_list()
    assert found["loss"].mean() < answers["loss"].mean() - 0.2
    assert seen == [(0, 6, "answers"), (4, 6, "answers"), (6, 6, "answers")]


def test_examples_that_do_not_fit_are_left_out_and_never_the_question(asked, model, tokenizer):
    from tests.pipeline.evaluate.answering import answer

    long = [
        {"role": "user", "content": "word " * 300},
        {"role": "assistant", "content": "yes"},
    ]
    settings = SETTINGS.model_copy(update={"max_tokens": 200})
    shots = dict.fromkeys(asked["pair_id"], long)
    crowded = answer("few_shot", asked, model, tokenizer, settings, shots)
    plain = answer("few_shot", asked, model, tokenizer, settings)
    assert crowded.equals(plain)


def test_an_adapter_is_part_of_what_is_measured_and_the_mode_comes_back(
    asked, answers, load, tokenizer
):
    import torch
    from peft import LoraConfig, get_peft_model

    from pipeline.train.methods.lora import quiet_peft
    from tests.pipeline.evaluate.answering import answer

    torch.manual_seed(0)
    with quiet_peft():
        adapted = get_peft_model(
            load(),
            LoraConfig(
                r=4, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
            ),
        )
    adapted.train()
    found = answer("challenger", asked[:2], adapted, tokenizer, SETTINGS)
    assert adapted.training
    first = answers.filter(answers["pair_id"].is_in(found["pair_id"].to_list()))
    assert (found["loss"] - first["loss"]).abs().min() > 0.05


def test_losses_alone_are_those_of_the_answers(asked, answers, model, tokenizer):
    from pipeline.evaluate.answers.answers import response_losses

    losses = response_losses(asked, model, tokenizer, SETTINGS)
    assert losses.keys() == set(answers["pair_id"])
    for key, loss in answers.select("pair_id", "loss").iter_rows():
        assert losses[key][0] == pytest.approx(loss, abs=1e-3)


def test_a_row_that_cannot_be_rendered_has_no_loss(asked, model, tokenizer):
    from pipeline.evaluate.answers.answers import response_losses

    short = SETTINGS.model_copy(update={"max_tokens": 32})
    kept = response_losses(asked, model, tokenizer, short)
    assert len(kept) < asked.height


def test_no_rows_give_no_answers(asked, model, tokenizer):
    from tests.pipeline.evaluate.answering import answer

    assert answer("base", asked[:0], model, tokenizer, SETTINGS).height == 0


def test_a_row_that_cannot_be_rendered_is_named(model, tokenizer):
    from tests.pipeline.evaluate.answering import answer

    faulty = examples([("Say nothing.", " ")], "test")
    with pytest.raises(TrainingError, match=f"test row {faulty['pair_id'][0]}: the last message"):
        answer("base", faulty, model, tokenizer, SETTINGS)
