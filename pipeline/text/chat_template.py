"""Chat template: a conversation as text and as tokens, the same wherever a model reads one.

Works on the tokenizer alone, to which :func:`train.models.base_model.load_tokenizer` gives
``thinking``, ``stop_ids`` and, where the base has none, a template.
"""

import json
import re
from collections.abc import Sequence
from datetime import date
from typing import Any, TypedDict

from jinja2 import TemplateError

from pipeline.core.cache import digest
from pipeline.core.errors import TrainingError

DAY = date(2024, 7, 26)
"""Date that templates write (Llama 3.2, SmolLM3, Granite, gpt-oss): the one that Llama 3.1's has by
default. Today's would change rows, fingerprints and arms overnight; a server writes its own."""
MARKS = "\U000f0000", "\U000f0001"
"""Around a control token in a message: what transformers' ``sanitize_control_tokens`` reads."""
_NUMBER = re.compile(rf"{MARKS[0]}(\d+){MARKS[1]}")
_NOW = re.compile(r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""")


class Message(TypedDict):
    """One turn: ``role`` is system, user or assistant."""

    role: str
    content: str


def chatml(tokenizer: Any) -> str | None:
    """Return ChatML for a base model without a chat template; None for one without an end token.

    A turn ends with ``<|im_end|>``, or the end token where the vocabulary has no such token.
    """
    end = "<|im_end|>" if "<|im_end|>" in tokenizer.added_tokens_encoder else tokenizer.eos_token
    if not end:
        return None
    begins = tokenizer.bos_token_id in tokenizer("one")["input_ids"][:1]
    return (
        ("{{ bos_token }}" if begins else "")
        + "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
        f"message['content'] + {end!r} + '\n' }}}}{{% endfor %}}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )


def render(tokenizer: Any, messages: Sequence[Message], *, generation_prompt: bool = False) -> str:
    """Return the text of a conversation, by the template of the tokenizer.

    A system prompt that the template adds (SmolLM2's) is kept. Where it has no place for one (Gemma
    2), that begins the user's first turn. Control tokens in a message are marked, for
    :func:`text_ids`. A conversation that the template refuses is a :class:`TrainingError`.
    """
    thinking = getattr(tokenizer, "thinking", False)
    template = tokenizer.get_chat_template()
    try:
        turns = [
            {"role": turn["role"], "content": _in_numbers(tokenizer, turn["content"])}
            for turn in messages
        ]
        text = tokenizer.apply_chat_template(
            turns,
            chat_template=_NOW.sub(lambda now: json.dumps(DAY.strftime(now[2])), template),
            tokenize=False,
            add_generation_prompt=generation_prompt,
            enable_thinking=thinking,  # Qwen3, SmolLM3, GLM, Nemotron, Gemma 4
            thinking=thinking,  # DeepSeek V3.1, Granite
        )
        return _in_words(tokenizer, text)
    except TemplateError as error:
        roles = [turn["role"] for turn in messages]
        if roles[:2] != ["system", "user"]:
            raise TrainingError(
                f"chat template: it refuses the roles {', '.join(roles)} ({error}); expected an "
                "order that it renders; change the messages, or choose another base model"
            ) from error
    first = f"{messages[0]['content']}\n\n{messages[1]['content']}"
    folded = [Message(role="user", content=first), *messages[2:]]
    return render(tokenizer, folded, generation_prompt=generation_prompt)


def text_ids(tokenizer: Any, text: str) -> list[int]:
    """Return the tokens of a rendered text; what :func:`render` marked becomes characters."""
    # The template writes the special tokens itself; the tokenizer does not add them again.
    has_marks = MARKS[0] in text
    encoded = tokenizer(text, add_special_tokens=False, sanitize_control_tokens=has_marks)
    return list(encoded["input_ids"])


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Return the tokens of a prompt that ends where the assistant begins to answer."""
    return text_ids(tokenizer, render(tokenizer, messages, generation_prompt=True))


def stop_ids(tokenizer: Any) -> set[int]:
    """Return the tokens that end a turn, by the tokenizer and the files of its model."""
    return {*getattr(tokenizer, "stop_ids", ()), tokenizer.eos_token_id} - {None}


def special_ids(tokenizer: Any) -> set[int]:
    """Return the special tokens, named or not, but for the one of unknown characters."""
    added = tokenizer.added_tokens_decoder.items()
    return {number for number, token in added if token.special} - {tokenizer.unk_token_id}


def template_digest(tokenizer: Any) -> str:
    """Return the sha256 of the chat template and the special tokens it is read with."""
    tokens = {name: getattr(tokenizer, name) for name in ("bos_token", "eos_token", "unk_token")}
    return digest({"template": tokenizer.chat_template, "tokens": tokens})


def marked(tokenizer: Any, text: str) -> str:
    """Mark control tokens in a text: special ones, those of the template, and of thoughts."""
    return _in_words(tokenizer, _in_numbers(tokenizer, text))


def _in_numbers(tokenizer: Any, text: str) -> str:
    """Put a number for each control token: templates look for some of them in messages."""
    tokens, anyone = _control_tokens(tokenizer)
    plain = text.replace(MARKS[0], "")
    return anyone.sub(lambda one: f"{MARKS[0]}{tokens.index(one[0])}{MARKS[1]}", plain)


def _in_words(tokenizer: Any, text: str) -> str:
    tokens, _ = _control_tokens(tokenizer)
    return _NUMBER.sub(lambda one: f"{MARKS[0]}{tokens[int(one[1])]}{MARKS[1]}", text)


def _control_tokens(tokenizer: Any) -> tuple[list[str], re.Pattern[str]]:
    """Return the control tokens, the longest first, and what finds one of them in a text."""
    template = tokenizer.get_chat_template()
    known: dict[str, tuple[list[str], re.Pattern[str]]]
    known = tokenizer.__dict__.setdefault("control_tokens", {})
    if template not in known:  # it takes a while to list them: Gemma has 6,000
        added = {"<think>", "</think>"} & set(tokenizer.added_tokens_encoder)
        found = added.union(tokenizer._get_control_tokens(template))
        tokens = sorted(found, key=lambda token: (-len(token), token))
        known[template] = tokens, re.compile("|".join(map(re.escape, tokens)) or "(?!)")
    return known[template]
