"""Chat template and loss mask: which tokens of an example are trained.

The mask comes from rendering prefixes with the model's own template, so it needs neither
``{% generation %}`` in the template (SmolLM2's has none) nor a search for strings: the prompt,
rendered with the generation prompt, must be a prefix of the whole conversation, and the tokens
of the two pieces together must be the tokens of the whole. What a model sees in training is then
token by token what it sees when it is served.

Works on the tokenizer object alone; neither torch nor transformers is imported.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypedDict

from pipeline.cache import digest
from pipeline.errors import TrainingError

IGNORED = -100
"""Label of a token without loss: the ``ignore_index`` of torch's cross entropy."""

MIN_PROMPT_TOKENS = 16
"""Tokens of the last prompt message that a cut leaves, if it has so many. The end of a prompt
holds the question; an answer to nothing teaches nothing."""


class Message(TypedDict):
    """One turn: ``role`` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Encoded:
    """An example as tokens; ``labels[i]`` is ``input_ids[i]`` where it is trained, else -100.

    Labels are not shifted: position ``i`` of the model predicts label ``i + 1``.
    """

    input_ids: list[int]
    labels: list[int]
    truncated: bool
    """Whether the prompt was cut from the left."""

    @property
    def supervised(self) -> int:
        """Trained tokens, end-of-turn included."""
        return len(self.labels) - self.labels.count(IGNORED)


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why an example cannot be trained on: a reason of the ledger with what was measured."""

    reason: str
    value: float | None = None
    threshold: float | None = None


EXPLANATIONS = {
    "no_response": "the last message is not a response of the assistant, or it is empty",
    "special_token_in_text": "a message contains a special token of the tokenizer as text",
    "prompt_not_a_prefix": "the prompt with its generation prompt is not a prefix of the whole",
    "no_tokens_supervised": "the template renders no token for the response",
    "segments_differ": "tokens of prompt and response are not the tokens of the whole",
    "response_too_long": "response and template alone exceed the limit of tokens",
}


def render(tokenizer: Any, messages: Sequence[Message], *, generation_prompt: bool = False) -> str:
    """Return the text of a conversation, by the template of the tokenizer.

    A template may add a system prompt of its own (SmolLM2's does); it is kept, in training as in
    serving.
    """
    turns = [{"role": turn["role"], "content": turn["content"]} for turn in messages]
    return str(
        tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=generation_prompt
        )
    )


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Return the tokens of a prompt that ends where the assistant begins to answer."""
    return _ids(tokenizer, render(tokenizer, messages, generation_prompt=True))


def encode(tokenizer: Any, messages: Sequence[Message], max_tokens: int) -> Encoded | Rejected:
    """Tokenize an example and mark the tokens of its last response, end-of-turn included.

    What the template writes after the end of the turn (a newline for SmolLM2) is not trained. A
    prompt that is too long loses text from the left, earliest message first, while system message
    and template stay whole; a response is never cut.

    Args:
        tokenizer: a fast transformers tokenizer with a chat template.
        messages: the conversation; the last message is the response.
        max_tokens: limit of prompt and response together.

    Returns:
        The tokens, or the reason why the example cannot be used.
    """
    if len(messages) < 2 or messages[-1]["role"] != "assistant" or not messages[-1]["content"]:
        return Rejected("no_response")
    special = sum(
        turn["content"].count(token) for turn in messages for token in tokenizer.all_special_tokens
    )
    if special:
        return Rejected("special_token_in_text", special, 0)
    segments = _segments(tokenizer, messages)
    if isinstance(segments, Rejected):
        return segments
    truncated = False
    turns = list(messages)
    # Tokens are counted again after each cut: a cut text may tokenize to a few tokens more.
    while (excess := sum(map(len, segments)) - max_tokens) > 0:
        truncated = True
        shorter = _cut_left(tokenizer, turns, excess)
        if shorter is None:
            return Rejected("response_too_long", max_tokens + excess, max_tokens)
        turns = shorter
        segments = _segments(tokenizer, turns)
        if isinstance(segments, Rejected):
            return segments
    prompt, response, tail = segments
    labels = [IGNORED] * len(prompt) + response + [IGNORED] * len(tail)
    return Encoded(prompt + response + tail, labels, truncated)


def prove_mask(tokenizer: Any, examples: Sequence[Sequence[Message]]) -> None:
    """Check on real examples that the loss mask covers the response and its end, and no more.

    Args:
        tokenizer: a fast transformers tokenizer with a chat template.
        examples: conversations that end with a response.

    Raises:
        TrainingError: by name: no tokens supervised, all tokens supervised, end-of-turn not
            trained, segments differ, prompt not a prefix, or the trained tokens do not spell the
            response.
    """
    for number, messages in enumerate(examples):
        encoded = encode(tokenizer, messages, max_tokens=10**9)
        if isinstance(encoded, Rejected):
            _refuse(number, encoded.reason, EXPLANATIONS[encoded.reason])
        trained = [label for label in encoded.labels if label != IGNORED]
        if len(trained) == len(encoded.labels):
            _refuse(number, "all_tokens_supervised", "the prompt would be trained too")
        if trained[-1] not in tokenizer.all_special_ids:
            _refuse(
                number,
                "end_of_turn_not_trained",
                f"the response ends with {tokenizer.decode(trained[-1:])!r} and no special token, "
                "so the model would never learn to stop",
            )
        spelt = tokenizer.decode(trained[:-1], clean_up_tokenization_spaces=False)
        if spelt.strip() != messages[-1]["content"].strip():
            _refuse(
                number,
                "response_not_covered",
                f"the trained tokens spell {spelt[:60]!r} and the response is "
                f"{messages[-1]['content'][:60]!r}",
            )


def template_digest(tokenizer: Any) -> str:
    """Return the sha256 of the chat template and the special tokens it is read with."""
    tokens = {name: getattr(tokenizer, name) for name in ("bos_token", "eos_token", "unk_token")}
    return digest({"template": tokenizer.chat_template, "tokens": tokens})


def _ids(tokenizer: Any, text: str) -> list[int]:
    # The template writes the special tokens itself; the tokenizer must not add them again.
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _segments(
    tokenizer: Any, messages: Sequence[Message]
) -> tuple[list[int], list[int], list[int]] | Rejected:
    """Return the tokens of the prompt, the response with its end-of-turn, and what follows."""
    whole = render(tokenizer, messages)
    prompt = render(tokenizer, messages[:-1], generation_prompt=True)
    if not whole.startswith(prompt):
        return Rejected("prompt_not_a_prefix")
    before, after = _ids(tokenizer, prompt), _ids(tokenizer, whole[len(prompt) :])
    if not after:
        return Rejected("no_tokens_supervised", 0, 1)
    if before + after != _ids(tokenizer, whole):
        return Rejected("segments_differ")
    # The content has no special token (checked before), so the first one ends the turn.
    special = set(tokenizer.all_special_ids)
    end = next((i for i, token in enumerate(after, start=1) if token in special), len(after))
    return before, after[:end], after[end:]


def _cut_left(tokenizer: Any, messages: Sequence[Message], excess: int) -> list[Message] | None:
    """Take ``excess`` tokens off the start of the prompt; None when there is nothing to take."""
    turns = list(messages)
    for position, turn in enumerate(turns[:-1]):
        if turn["role"] == "system":
            continue
        offsets = tokenizer(turn["content"], add_special_tokens=False, return_offsets_mapping=True)[
            "offset_mapping"
        ]
        last = position == len(turns) - 2
        cut = min(excess, len(offsets) - (MIN_PROMPT_TOKENS if last else 0))
        if cut <= 0:
            continue
        end = offsets[cut - 1][1]
        turns[position] = Message(role=turn["role"], content=turn["content"][end:].lstrip())
        excess -= cut
        if excess <= 0:
            return turns
    return None


def _refuse(number: int, name: str, found: str) -> NoReturn:
    raise TrainingError(
        f"loss mask: {name.replace('_', ' ')} in example {number} ({found}); expected the response "
        "and its end-of-turn token to be trained and nothing else; mend the chat template of the "
        "base model, or the example"
    )
