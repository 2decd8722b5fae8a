"""The forward passes of evaluation: log-probabilities of given tokens, and greedy decoding.

Prompts are padded on the left, so that one pass over them serves both the scoring of references and
the decoding of answers. Decoding is a plain loop rather than ``generate``: models come with
generation settings of their own (sampling, repetition penalties) that would blur a comparison.
"""

import copy
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Tokens = Sequence[int]
FILLER = 0  # token id in padded places: any id will do, since it is masked


class Prefix(NamedTuple):
    """Prompts after their forward pass, with what is needed to go on from them."""

    cache: Any
    mask: Tensor  # (rows, longest prompt), 1 where there is a token
    next_logits: Tensor  # (rows, vocabulary), float32: scores of the first token after each prompt


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode without gradients inside the block; the mode before it comes back.

    Not ``inference_mode``: tensors that layers keep from it could not be used by training.
    """
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def prefill(model: Any, prompts: Sequence[Tokens]) -> Prefix:
    """Run prompts of one token or more through the model, padded on the left."""
    backwards = [prompt[::-1] for prompt in prompts]
    ids, mask = (padded.flip(-1) for padded in _padded(backwards, model.device))
    return _run(model, ids, mask)


def continuation_log_probs(
    model: Any, prefix: Prefix, continuations: Sequence[Sequence[Tokens]]
) -> list[list[NDArray[np.float32]]]:
    """Return the log-probability of each token of continuations; the prefix stays as it was."""
    each = len(continuations[0])
    flat = [list(tokens) for row in continuations for tokens in row]
    cache = copy.deepcopy(prefix.cache)  # the forward pass below appends to it
    mask = prefix.mask
    if each > 1:
        rows = torch.arange(len(mask), device=model.device).repeat_interleave(each)
        cache.reorder_cache(rows)  # which linear attention has, too
        mask = mask.repeat_interleave(each, dim=0)
    first = prefix.next_logits.repeat_interleave(each, dim=0)
    # Row by row, so that only one response's scores are held in float32.
    logits = continuation_logits(model, Prefix(cache, mask, first), flat)
    scored = [_picked(row, tokens) for row, tokens in zip(logits, flat, strict=True)]
    return [scored[start : start + each] for start in range(0, len(scored), each)]


def continuation_logits(
    model: Any, prefix: Prefix, continuations: Sequence[Tokens]
) -> Iterator[Tensor]:
    """Yield the logits (tokens, vocabulary), float32, of one continuation a prompt; uses it up."""
    inputs = [tokens[:-1] for tokens in continuations]  # the last one predicts nothing
    logits = None
    if any(map(len, inputs)):
        ids, mask = _padded(inputs, model.device)
        steps = torch.arange(ids.shape[1], device=model.device)
        logits = model(
            input_ids=ids,
            attention_mask=torch.cat([prefix.mask, mask], dim=1),
            position_ids=prefix.mask.sum(-1, keepdim=True) + steps,
            past_key_values=prefix.cache,
            use_cache=True,
        ).logits
    for row, tokens in enumerate(inputs):
        rest = [] if logits is None else [logits[row, : len(tokens)].float()]
        yield torch.cat([prefix.next_logits[row : row + 1], *rest])


def appended(model: Any, prefix: Prefix, tokens: Tensor) -> Prefix:
    """Run one token (rows, 1) behind each prompt through the model; this uses the prefix up."""
    mask = torch.cat([prefix.mask, torch.ones_like(tokens)], dim=1)
    return _run(model, tokens, mask, prefix.cache)


def _run(model: Any, ids: Tensor, mask: Tensor, cache: Any = None) -> Prefix:
    """Run the last tokens of what a mask shows through the model, behind what is in its cache."""
    output = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :],
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return Prefix(output.past_key_values, mask, output.logits[:, -1].float())


def greedy(
    model: Any, prefix: Prefix, stop_ids: Collection[int], max_new_tokens: int
) -> tuple[list[list[int]], list[NDArray[np.float32]]]:
    """Continue each prompt with its likeliest tokens; this uses the prefix up.

    Returns the tokens, a stop token that was reached included, and their natural log-probabilities.
    """
    stops = torch.tensor(sorted(stop_ids), device=model.device)
    chosen, sure = _likeliest(prefix.next_logits)
    drawn, log_probs = [chosen], [sure]
    stopped = torch.isin(chosen, stops)
    while len(drawn) < max_new_tokens and not bool(stopped.all()):
        prefix = appended(model, prefix, chosen)
        chosen, sure = _likeliest(prefix.next_logits)
        drawn.append(chosen)
        log_probs.append(sure)
        stopped |= torch.isin(chosen, stops)
    tokens = [_until(row, stop_ids) for row in torch.cat(drawn, dim=1).tolist()]
    table = np.asarray(torch.cat(log_probs, dim=1).cpu().numpy(), dtype=np.float32)
    return tokens, [row[: len(kept)] for row, kept in zip(table, tokens, strict=True)]


def text_log_probs(model: Any, texts: Sequence[Tokens]) -> list[NDArray[np.float32]]:
    """Return the log-probability of each token but the first, for texts of two tokens or more."""
    ids, mask = _padded(texts, model.device)
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    return [
        _picked(logits[row, : len(tokens) - 1].float(), tokens[1:])
        for row, tokens in enumerate(texts)
    ]


def _padded(rows: Sequence[Tokens], device: Any) -> tuple[Tensor, Tensor]:
    """Return token ids padded on the right, and the mask that is 1 where there is a token."""
    longest = max(map(len, rows))
    ids = [[*tokens, *[FILLER] * (longest - len(tokens))] for tokens in rows]
    mask = [[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens in rows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _likeliest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return token and log-probability, (rows, 1) each, of the maximum of (rows, vocabulary)."""
    chosen = logits.argmax(-1, keepdim=True)
    return chosen, logits.gather(-1, chosen) - logits.logsumexp(-1, keepdim=True)


def _picked(logits: Tensor, tokens: Tokens) -> NDArray[np.float32]:
    """Return the log-probability (tokens,) of each token under logits (tokens, vocabulary)."""
    wanted = torch.tensor(list(tokens), device=logits.device)
    log_probs = logits.log_softmax(-1).gather(-1, wanted[:, None])[:, 0]
    return np.asarray(log_probs.cpu().numpy(), dtype=np.float32)


def _until(tokens: list[int], stop_ids: Collection[int]) -> list[int]:
    last = next((place for place, token in enumerate(tokens) if token in stop_ids), len(tokens))
    return tokens[: last + 1]  # with the first stop token
