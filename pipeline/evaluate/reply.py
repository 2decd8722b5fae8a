"""Answer a conversation: the chat command's one call."""

from collections.abc import Sequence
from typing import Any

from pipeline.dataset.chat import Message, prompt_ids
from pipeline.evaluate.scoring import evaluating, greedy, prefill


def reply(model: Any, tokenizer: Any, messages: Sequence[Message], max_new_tokens: int) -> str:
    """Return the model's greedy answer to the last message, special tokens removed.

    The prompt is rendered as in training and evaluation: same template, same system message.
    """
    with evaluating(model):
        prefix = prefill(model, [prompt_ids(tokenizer, list(messages))])
        (tokens,) = greedy(model, prefix, {tokenizer.eos_token_id}, max_new_tokens)
    return str(tokenizer.decode(tokens, skip_special_tokens=True)).strip()
