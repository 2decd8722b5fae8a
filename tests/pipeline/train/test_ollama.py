"""The Modelfile: Ollama's text of a conversation is the text of the training."""

import re

import pytest

from pipeline.core.errors import TrainingError
from pipeline.text.chat_template import render
from pipeline.train.export.gguf_file import ChatML, chatml, modelfile
from pipeline.train.models.base_model import load_tokenizer


@pytest.fixture
def tokenizer(tiny_base):
    return load_tokenizer(tiny_base.path)


def as_ollama(text, messages):
    """What Ollama sends: SYSTEM goes before messages without one, then the template is filled in.

    Of Go's template language only what the Modelfile uses: a range with two fields.
    """
    system = re.search(r'^SYSTEM """(.*?)"""$', text, re.M | re.S)
    if system and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": system[1]}, *messages]
    template = re.search(r'^TEMPLATE """(.*?)"""$', text, re.M | re.S)[1]
    body, rest = re.fullmatch(
        r"\{\{- range \.Messages \}\}(.*)\{\{ end \}\}(.*)", template, re.S
    ).groups()
    said = [
        body.replace("{{ .Role }}", turn["role"]).replace("{{ .Content }}", turn["content"])
        for turn in messages
    ]
    found = "".join(said) + rest
    assert "{{" not in found
    return found


def test_the_template_says_what_the_training_said(tokenizer):
    text = modelfile(chatml(tokenizer), "model.gguf", 8192)
    conversations = [
        [{"role": "user", "content": "Why does the pump stop?\n\nBe brief."}],
        [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}],
        [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ],
    ]
    for messages in conversations:
        expected = render(tokenizer, messages, generation_prompt=True)
        assert as_ollama(text, messages) == expected
    assert 'PARAMETER stop "<|im_end|>"' in text
    assert "PARAMETER repeat_penalty 1\n" in text, "Ollama's own 1.1 changes greedy answers"


def test_a_template_without_a_system_message_of_its_own_gets_none(tokenizer):
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    pieces = chatml(tokenizer)
    assert pieces == ChatML("<|im_start|>", "<|im_end|>", None)
    assert "SYSTEM" not in modelfile(pieces, "model.gguf", 8192)


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}",
        # trims what is said, which only a conversation with spaces around it would show
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | replace('  ', ' ') }}"
        "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    ],
)
def test_a_template_that_it_cannot_say_is_refused(tokenizer, template):
    tokenizer.chat_template = template
    with pytest.raises(TrainingError, match="not ChatML"):
        chatml(tokenizer)
