"""Decoding for serving: an answer piece by piece, greedy or sampled, with stop texts."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from pipeline.evaluate.scoring import appended, prefill
from pipeline.text.chat import begun_ids
from pipeline.text.chat_template import Message, prompt_ids, stop_ids

LOOP, PERIOD = 64, 16
"""An answer is in a loop once so many tokens repeat those up to PERIOD before them: greedy decoding
does not get out of it (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration")."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an answer is drawn."""

    max_tokens: int
    temperature: float = 0.0  # 0 takes the likeliest token each time, as in evaluation
    top_p: float = 1.0  # share of the probability that the tokens hold of which one is drawn
    stop: tuple[str, ...] = ()  # texts before which the answer ends
    seed: int | None = None


@dataclass(slots=True)
class Ending:
    """What is known of an answer when it ends; filled while it is written."""

    tokens: int = 0
    reason: Literal["stop", "length"] = "length"


@torch.no_grad()  # of a generator: anew in each step, whatever thread it runs in
def write(
    model: Any, tokenizer: Any, prompt: list[int], sampling: Sampling, ending: Ending
) -> Generator[str, None, None]:
    """Yield an answer in pieces, some of them empty: one a token. One in a loop is cut.

    Where nothing is sampled and no text stops it, they are :func:`.answers.reply`: without outer
    white space, special tokens, and thoughts that the template ends with a control token.
    """
    from tokenizers.decoders import DecodeStream

    stops, mark = stop_ids(tokenizer), _mark(tokenizer)
    random = torch.Generator(model.device)
    random.manual_seed(sampling.seed) if sampling.seed is not None else random.seed()
    prefix = prefill(model, [prompt])
    decoder, held, begun = DecodeStream(skip_special_tokens=True), "", False
    tokens: list[int] = []
    while ending.tokens < sampling.max_tokens and not _loops(tokens):
        token = _draw(prefix.next_logits, sampling, random)
        tokens.append(token)
        ending.tokens += 1
        if token in stops:
            ending.reason = "stop"
            break
        held += decoder.step(tokenizer._tokenizer, token) or ""
        if token == mark:
            decoder, held, mark = DecodeStream(skip_special_tokens=True), "", None
        held = held if begun else held.lstrip()
        ends = [held.find(text) for text in sampling.stop if text in held]
        if ends and mark is None:
            held, ending.reason = held[: min(ends)], "stop"
            break
        ready = 0 if mark is not None else _ready(held, sampling.stop)
        begun = begun or ready > 0
        yield held[:ready]
        held = held[ready:]
        prefix = appended(model, prefix, torch.tensor([[token]], device=model.device))
    yield held.rstrip()


def _draw(logits: Tensor, sampling: Sampling, random: torch.Generator) -> int:
    if not sampling.temperature:
        return int(logits.argmax(-1))
    from transformers import TopPLogitsWarper

    scores = logits / sampling.temperature
    if sampling.top_p < 1:
        scores = TopPLogitsWarper(sampling.top_p)(None, scores)
    return int(torch.multinomial(scores.softmax(-1), 1, generator=random))


def _loops(tokens: list[int]) -> bool:
    last = tokens[-LOOP:]
    periods = range(1, min(PERIOD, len(tokens) - LOOP) + 1)
    return any(tokens[-LOOP - period : -period] == last for period in periods)


def _ready(text: str, stop: tuple[str, ...]) -> int:
    """Return how much of a text can go out: no white space at its end, no begun stop text."""
    begun = 0
    for end in stop:
        sizes = range(min(len(end), len(text)), 0, -1)
        begun = max(begun, next((size for size in sizes if text.endswith(end[:size])), 0))
    return len(text[: len(text) - begun].rstrip())


def _mark(tokenizer: Any) -> int | None:
    """Return the control token that the template writes right before a response, if any."""
    question = [Message(role="user", content="one")]
    before = begun_ids(tokenizer, question)[len(prompt_ids(tokenizer, question)) :]
    marks = [token for token in before if token in tokenizer.added_tokens_decoder]
    return marks[-1] if marks else None
