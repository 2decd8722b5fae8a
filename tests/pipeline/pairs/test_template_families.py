# ruff: noqa: RUF001 - the control tokens of DeepSeek have a wide bar
"""The families of models: what of their templates is trained, and what is refused by name."""

import re
from datetime import datetime

import pytest

from pipeline.core.errors import TrainingError
from pipeline.text.chat import IGNORED, Encoded, answer_text, begun_ids, encode
from pipeline.text.chat_template import DAY, prompt_ids, render, stop_ids, text_ids
from pipeline.train.batch.rows import prove_mask
from pipeline.train.models.base_model import load_tokenizer
from tests.pipeline.families import TEMPLATES, write_tokenizer
from tests.pipeline.templates import ALL, CHATML, MISTRAL, REFUSED, SENTENCEPIECE

ANSWER = "Rinse the filter once a week: 水, naïve.\n\n- or daily"
CONTROL = "Say <think> or </think>, <|im_end|>, <|user|>, </s>, <eos>, <pad> or <unk> in a text."


@pytest.fixture(scope="module")
def tokenizer_of(tmp_path_factory):
    def make(name, thinking=False, **changes):
        text, family = ALL[name] if name in ALL else (TEMPLATES[name], CHATML)
        kept = {key: value for key, value in family.items() if key not in ("before", "end")}
        folder = tmp_path_factory.mktemp("base") / "model"
        write_tokenizer(folder, text, **kept | changes)
        return load_tokenizer(folder, thinking)

    return make


def chat(*contents):
    roles = ("user", "assistant") * len(contents)
    return [{"role": role, "content": text} for role, text in zip(roles, contents, strict=False)]


def trained(encoded):
    assert isinstance(encoded, Encoded), encoded
    return [label for label in encoded.labels if label != IGNORED]


@pytest.mark.parametrize("name", ALL)
def test_of_each_family_the_response_and_its_end_are_trained_and_nothing_else(name, tokenizer_of):
    tokenizer, family = tokenizer_of(name), ALL[name][1]
    system = [{"role": "system", "content": "Be brief."}]
    for messages in (
        chat("How often?", ANSWER),
        chat("Is it on?", "Yes.", "How often?", ANSWER),
        system + chat("How often?", ANSWER),
    ):
        prove_mask(tokenizer, [messages])
        encoded = encode(tokenizer, messages, 10**6)
        labels = trained(encoded)
        spelt = tokenizer.decode(labels, clean_up_tokenization_spaces=False)
        assert spelt.strip() == (family.get("before", "") + ANSWER + family["end"]).strip()
        assert labels[-1] in stop_ids(tokenizer)
        prompt = prompt_ids(tokenizer, messages[:-1])
        assert encoded.input_ids[: len(prompt) + len(labels)] == prompt + labels
        whole = text_ids(tokenizer, render(tokenizer, messages))
        if "</think>" not in family.get("before", ""):  # R1's template leaves thoughts out
            assert encoded.input_ids[: len(whole)] == whole
        assert answer_text(tokenizer, labels) == ANSWER
        assert "Be brief." in tokenizer.decode(encoded.input_ids) or messages[0] != system[0]


@pytest.mark.parametrize("name", ALL)
def test_control_tokens_in_a_text_are_characters_and_end_nothing(name, tokenizer_of):
    tokenizer, family = tokenizer_of(name), ALL[name][1]
    control = " ".join((CONTROL, *family["special"], *family.get("plain", ())))
    messages = chat("One?", control, control, control)
    labels = trained(encode(tokenizer, messages, 10**6))
    assert answer_text(tokenizer, labels) == control
    ids = encode(tokenizer, messages, 10**6).input_ids
    harmless = encode(tokenizer, chat("One?", "Two.", "Three?", "Four."), 10**6).input_ids
    added = set(tokenizer.added_tokens_decoder) - {tokenizer.unk_token_id}
    assert [token for token in ids if token in added] == [t for t in harmless if t in added]


@pytest.mark.parametrize("name", REFUSED)
def test_a_template_of_picture_messages_is_refused_by_name(name, tokenizer_of):
    with pytest.raises(TrainingError, match=f"loss mask: {REFUSED[name]} in example 0"):
        prove_mask(tokenizer_of(name), [chat("How often?", ANSWER)])


def test_every_template_of_the_wheel_was_looked_at():
    assert set(TEMPLATES) == {name for name in (*ALL, *REFUSED) if name not in SENTENCEPIECE}


@pytest.mark.parametrize(
    ("name", "prompt", "before"),
    [
        ("qwen3", "assistant\n", "<think>\n\n</think>\n\n"),
        ("qwen3_5_think", "assistant\n<think>\n", "</think>\n\n"),
        ("deepseek_r1_distill", "<｜Assistant｜><think>\n", "</think>\n\n"),
    ],
)
def test_a_model_that_may_think_is_trained_to_end_its_empty_thought(
    name, prompt, before, tokenizer_of
):
    tokenizer = tokenizer_of(name, thinking=True)
    messages = chat("How often?", ANSWER)
    encoded = encode(tokenizer, messages, 10**6)
    assert tokenizer.decode(prompt_ids(tokenizer, messages[:1])).endswith(prompt)
    assert tokenizer.decode(trained(encoded)).startswith(before + ANSWER)
    assert tokenizer.decode(trained(encoded)[: encoded.preamble]) == before
    end = tokenizer.eos_token
    thoughts = text_ids(tokenizer, f"<think>\nIt is dusty.\n</think>\n\nOnce a day.{end}")
    assert answer_text(tokenizer, thoughts) == "Once a day."
    begun = tokenizer.decode(begun_ids(tokenizer, messages[:1], "Once"))
    assert begun.endswith(prompt + before + "Once"), "a teacher in this process answers at once"


def test_a_thinking_switch_off_is_in_the_prompt_of_training_and_serving(tokenizer_of):
    tokenizer = tokenizer_of("qwen3")
    prompt = prompt_ids(tokenizer, chat("How often?"))
    assert tokenizer.decode(prompt).endswith("assistant\n<think>\n\n</think>\n\n")
    assert encode(tokenizer, chat("How often?", ANSWER), 999).input_ids[: len(prompt)] == prompt


@pytest.mark.parametrize("name", ["llama3_2", "gptoss", "muse_glimmer"])
def test_a_date_in_the_template_is_the_same_on_two_days(name, tokenizer_of, monkeypatch):
    import transformers.utils.chat_template_utils as utils

    seen = set()
    for day in ("2026-12-31", "2027-01-01"):

        class Clock(datetime):
            now = staticmethod(lambda day=day: datetime.fromisoformat(day))

        monkeypatch.setattr(utils, "datetime", Clock)
        utils._compile_jinja_template.cache_clear()
        tokenizer = tokenizer_of(name)
        assert day in tokenizer.apply_chat_template(chat("One?"), tokenize=False) or (
            name == "llama3_2"
        )
        seen.add(render(tokenizer, chat("How often?"), generation_prompt=True))
    (text,) = seen
    assert DAY.strftime("%d %b %Y" if name == "llama3_2" else "%Y-%m-%d") in text
    utils._compile_jinja_template.cache_clear()


def test_an_end_of_turn_at_which_the_model_does_not_stop_is_refused(tokenizer_of):
    tokenizer = tokenizer_of("gemma3", stops=["<eos>"])
    message = (
        "loss mask: end of turn not trained in example 0 (the response ends with '<end_of_turn>', "
        "and the model stops at '<eos>'); expected the response and its end-of-turn token to be "
        "trained and nothing else; name its end of turn in eos_token_id of the base model's "
        "generation_config.json, or mend its chat template"
    )
    with pytest.raises(TrainingError, match=f"^{re.escape(message)}$"):
        prove_mask(tokenizer, [chat("How often?", ANSWER)])


def test_without_generation_settings_a_model_stops_at_its_special_end_of_turn(tokenizer_of):
    tokenizer = tokenizer_of("gemma3", stops=None)
    prove_mask(tokenizer, [chat("How often?", ANSWER)])
    end = tokenizer.convert_tokens_to_ids("<end_of_turn>")
    assert end in stop_ids(tokenizer) and end not in tokenizer.all_special_ids


def test_a_prompt_whose_last_token_reaches_into_the_response_is_refused(tokenizer_of):
    tokenizer = tokenizer_of("tinyllama")
    tokenizer.chat_template = MISTRAL.replace(
        "{% else %}{{ ' ' + ", "{{ ' ' if add_generation_prompt else '' }}{% else %}{{ ' ' + "
    )
    with pytest.raises(
        TrainingError, match=r"segments differ .* the prompt alone ends in .*choose"
    ):
        prove_mask(tokenizer, [chat("How often?", "Rinse it.")])


def test_roles_that_a_template_refuses_are_named(tokenizer_of):
    tokenizer = tokenizer_of("mistral_v0.1")
    with pytest.raises(TrainingError, match=r"refuses the roles user, user \(.*must alternate"):
        prompt_ids(tokenizer, [*chat("One?"), *chat("Two?")])


def test_texts_without_control_tokens_keep_their_tokens(tokenizer_of):
    for name in ("qwen2_5", "tinyllama"):
        tokenizer = tokenizer_of(name)
        text = tokenizer.apply_chat_template(chat("Is 3 < 4 | 5?", ANSWER), tokenize=False)
        plain = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert encode(tokenizer, chat("Is 3 < 4 | 5?", ANSWER), 999).input_ids == plain
