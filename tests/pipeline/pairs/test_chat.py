"""The loss mask is derived from the model's own template, and proven before it is used."""

import copy
import json
from pathlib import Path

import pytest

from pipeline.core.errors import TrainingError
from pipeline.text.chat import IGNORED, Encoded, Rejected, encode
from pipeline.text.chat_template import prompt_ids, render, template_digest
from pipeline.train.batch.rows import prove_mask
from pipeline.train.models.base_model import load_tokenizer
from tests.pipeline.families import TEMPLATES

SEEDS = Path(__file__).parents[3] / "data" / "seeds" / "seed_tasks.jsonl"
LIMIT = 512


@pytest.fixture(scope="module")
def tokenizer(embedded_model):
    return load_tokenizer(embedded_model)


def pair(question, answer):
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


QUESTION = "How often should the filter be rinsed?"
ANSWER = "Rinse the filter once a week, or daily in dusty weather."


@pytest.fixture(scope="module")
def conversations():
    tasks = [json.loads(line) for line in SEEDS.read_text("utf-8").splitlines()]
    return [
        pair(f"{task['instruction']}\n\n{task['input']}".strip(), task["output"]) for task in tasks
    ]


def test_the_response_and_its_end_are_trained_and_nothing_else(tokenizer):
    encoded = encode(tokenizer, pair(QUESTION, ANSWER), LIMIT)
    assert isinstance(encoded, Encoded)
    trained = [label for label in encoded.labels if label != IGNORED]
    assert tokenizer.decode(trained) == ANSWER + "<|im_end|>"
    assert encoded.labels[-1] == IGNORED, "the newline after the turn is not trained"
    assert encoded.labels[-2] == tokenizer.eos_token_id
    assert not encoded.truncated


def test_all_seed_tasks_pass_the_proof_and_keep_their_tokens(tokenizer, conversations):
    prove_mask(tokenizer, conversations)
    for messages in conversations:
        encoded = encode(tokenizer, messages, LIMIT)
        assert isinstance(encoded, Encoded)
        whole = tokenizer(render(tokenizer, messages), add_special_tokens=False)["input_ids"]
        assert encoded.input_ids == whole
        for token, label in zip(encoded.input_ids, encoded.labels, strict=True):
            assert label in (token, IGNORED)


def test_the_prompt_in_training_is_the_prompt_in_serving(tokenizer):
    encoded = encode(tokenizer, pair(QUESTION, ANSWER), LIMIT)
    assert isinstance(encoded, Encoded)
    prompt = prompt_ids(tokenizer, pair(QUESTION, ANSWER)[:1])
    assert encoded.input_ids[: len(prompt)] == prompt
    assert set(encoded.labels[: len(prompt)]) == {IGNORED}
    assert encoded.labels[len(prompt)] != IGNORED
    assert "named SmolLM" in tokenizer.decode(prompt), "the template's own system prompt is kept"


def test_a_prompt_whose_end_has_other_tokens_alone_is_the_one_that_is_served(tokenizer):
    """Qwen3's template ends a prompt with an empty line, here one token, but two before a word."""
    other = copy.deepcopy(tokenizer)
    other.chat_template = TEMPLATES["qwen3"]
    prompt = prompt_ids(other, pair(QUESTION, ANSWER)[:1])
    assert other.decode(prompt).endswith("</think>\n\n")
    whole = other(render(other, pair(QUESTION, ANSWER)), add_special_tokens=False)["input_ids"]
    assert whole[: len(prompt)] != prompt
    encoded = encode(other, pair(QUESTION, ANSWER), LIMIT)
    assert isinstance(encoded, Encoded)
    assert encoded.input_ids[: len(prompt)] == prompt
    trained = [label for label in encoded.labels if label != IGNORED]
    assert other.decode(trained) == ANSWER + "<|im_end|>"
    assert encoded.labels[len(prompt) : len(prompt) + len(trained)] == trained


def test_only_the_last_response_of_a_conversation_is_trained(tokenizer):
    messages = pair("Is it on?", "Yes, since noon.") + pair(QUESTION, ANSWER)
    encoded = encode(tokenizer, messages, LIMIT)
    assert isinstance(encoded, Encoded)
    trained = [label for label in encoded.labels if label != IGNORED]
    assert tokenizer.decode(trained) == ANSWER + "<|im_end|>"


def test_a_long_prompt_loses_its_start_and_keeps_frame_question_and_response(tokenizer):
    context = " ".join(f"Zone {number} is dry." for number in range(300))
    messages = [
        {"role": "system", "content": "Answer from the log."},
        *pair(f"{context}\n\n{QUESTION}", ANSWER),
    ]
    for limit in (80, 128, 511):
        encoded = encode(tokenizer, messages, limit)
        assert isinstance(encoded, Encoded)
        assert encoded.truncated
        assert limit - 6 <= len(encoded.input_ids) <= limit
        text = tokenizer.decode(encoded.input_ids)
        assert text.startswith(
            "<|im_start|>system\nAnswer from the log.<|im_end|>\n<|im_start|>user"
        )
        assert text.endswith(f"{QUESTION}<|im_end|>\n<|im_start|>assistant\n{ANSWER}<|im_end|>\n")
        assert "Zone 0 is dry" not in text


def test_a_response_is_never_cut(tokenizer):
    answer = "The soil was dry. " * 60
    rejected = encode(tokenizer, pair("Why?", answer), 128)
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.threshold) == ("response_too_long", 128)
    whole = tokenizer(render(tokenizer, pair("Why?", answer)))["input_ids"]
    assert rejected.value == len(whole)
    fits = encode(tokenizer, pair("Why?", answer), len(whole))
    assert isinstance(fits, Encoded)
    assert not fits.truncated


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (pair(QUESTION, ""), "no_response"),
        (pair(QUESTION, ANSWER)[:1], "no_response"),
        (pair(QUESTION, ANSWER)[1:], "no_response"),
        (pair(QUESTION, " \n"), "no_response"),
        (pair(QUESTION, "\n\nRinse it."), "segments_differ"),
    ],
)
def test_what_cannot_be_masked_is_rejected_by_name(tokenizer, messages, reason):
    rejected = encode(tokenizer, messages, LIMIT)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason


TURN = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
OPEN = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (TURN + "\n{% endfor %}" + OPEN, "end of turn not trained"),
        (
            "{% for m in messages %}{% if m.role == 'user' %}<|im_start|>{{ m.content }}<|im_end|>"
            "{% endif %}{% endfor %}",
            "no tokens supervised",
        ),
        (
            "{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}<|im_end|>"
            "{% endif %}{% endfor %}",
            "all tokens supervised",
        ),
        (
            "{% for m in messages %}{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}"
            "{% if add_generation_prompt %}assistant: {% endif %}",
            "segments differ",
        ),
        (
            TURN + "<|im_end|>{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>model\n{% endif %}",
            "prompt not a prefix",
        ),
        (
            "{% for m in messages %}<|im_start|>{{ m.role }}\n"
            "{{ m.content | upper if m.role == 'assistant' else m.content }}<|im_end|>"
            "{% endfor %}" + OPEN,
            "response not covered",
        ),
    ],
)
def test_a_template_that_breaks_the_mask_is_refused_by_name(tokenizer, template, name):
    broken = copy.deepcopy(tokenizer)
    broken.chat_template = template
    with pytest.raises(TrainingError, match=f"loss mask: {name} in example 0"):
        prove_mask(broken, [pair(QUESTION, ANSWER)])


def test_the_template_digest_follows_the_template(tokenizer):
    other = copy.deepcopy(tokenizer)
    assert template_digest(other) == template_digest(tokenizer)
    other.chat_template = tokenizer.chat_template.replace("helpful", "curt")
    assert template_digest(other) != template_digest(tokenizer)
