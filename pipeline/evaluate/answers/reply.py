"""Answer a conversation: the chat command's one call."""

from collections.abc import Sequence
from typing import Any

from pipeline.evaluate.scoring import evaluating, greedy, prefill
from pipeline.text.chat import answer_text
from pipeline.text.chat_template import Message, prompt_ids, stop_ids


def reply(model: Any, tokenizer: Any, messages: Sequence[Message], max_new_tokens: int) -> str:
    """Return the model's greedy answer to the last message, special tokens removed.

    The prompt is rendered as in training and evaluation: same template, same system message;
    it stops where evaluation stops.
    """
    with evaluating(model):
        prefix = prefill(model, [prompt_ids(tokenizer, list(messages))])
        (tokens,) = greedy(model, prefix, stop_ids(tokenizer), max_new_tokens)
    return answer_text(tokenizer, tokens)
