"""Sampling and scoring of a language model in this process, in batches.

On a CPU many short rows that begin alike decide the speed. So the tokens that all prompts of a
batch share are computed once, then what prompts that differ in their last words alone share, then
the rest, each as one left-padded batch; the key-value cache is copied once for each sample.
"""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import takewhile
from typing import Any

import torch

from pipeline.core.cache import digest
from pipeline.pairs.teachers.teacher import Messages, Reply, Request
from pipeline.pairs.teachers.thinking import said
from pipeline.text.chat import begun_ids
from pipeline.text.chat_template import Message, stop_ids

TOP_K = 64  # likeliest tokens among which the nucleus is: sorting all is a good part of a step


def sample(model: Any, tokenizer: Any, requests: Sequence[Request], seed: int) -> list[Reply]:
    """Answer requests as one batch, each from a generator of its own."""
    with torch.inference_mode():
        return _Batch(model, tokenizer, requests, seed).run()


def answer_losses(model: Any, tokenizer: Any, pairs: Sequence[tuple[Messages, str]]) -> list[float]:
    """Return the mean nats a token of each answer; a ValueError where one has no tokens."""
    prompts = [_prompt_ids(tokenizer, messages) for messages, _ in pairs]
    whole = [_prompt_ids(tokenizer, *pair) for pair in pairs]
    answers = [ids[len(prompt) :] for ids, prompt in zip(whole, prompts, strict=True)]
    if not all(answers):
        raise ValueError("answer_losses: an empty answer found; expected text in each pair")
    with torch.inference_mode():
        return _losses(model, prompts, answers)


def _prompt_ids(tokenizer: Any, messages: Messages, answer: str = "") -> list[int]:
    """Render messages with the model's chat template, open for (more of) the assistant's turn."""
    turns = [Message(role=role, content=content) for role, content in messages]
    begun = turns.pop()["content"] if turns and turns[-1]["role"] == "assistant" else ""
    return begun_ids(tokenizer, turns, begun + answer)


def _shared(rows: Sequence[Sequence[int]]) -> int:
    """Return how many first tokens all rows have in common, always leaving one to each row."""
    alike = takewhile(lambda column: len(set(column)) == 1, zip(*rows, strict=False))
    return min(sum(1 for _ in alike), min(map(len, rows)) - 1)


def _prefill_shared(model: Any, ids: Sequence[int], rows: int) -> Any:
    """Return the key-value cache of the shared first tokens, one copy a row."""
    if not ids:
        return None
    tokens = torch.tensor([list(ids)], device=model.device)
    cache = model(input_ids=tokens, use_cache=True, logits_to_keep=1).past_key_values
    cache.reorder_cache(torch.zeros(rows, dtype=torch.long, device=model.device))
    return cache


def _alike(prompts: Sequence[list[int]]) -> list[list[list[int]]]:
    """Group neighbours that have most of their tokens in common: one prompt, begun differently."""
    groups = [[prompts[0]]]
    for prompt in prompts[1:]:
        together = [groups[-1][0], prompt]
        if 2 * _shared(together) > max(map(len, together)):
            groups[-1].append(prompt)
        else:
            groups.append([prompt])
    return groups


class _Batch:
    def __init__(self, model: Any, tokenizer: Any, requests: Sequence[Request], seed: int) -> None:
        self.model, self.tokenizer, self.requests = model, tokenizer, requests
        self.ends = stop_ids(tokenizer)
        rows = [(n, at) for n, request in enumerate(requests) for at in range(request.samples)]
        self.owner = [number for number, _ in rows]
        seeds = [digest([seed, asdict(requests[number]), sample])[:15] for number, sample in rows]
        self.generators = [torch.Generator(model.device).manual_seed(int(s, 16)) for s in seeds]
        self.tokens: list[list[int]] = [[] for _ in self.owner]
        self.texts, self.reasons = [""] * len(self.owner), [""] * len(self.owner)

    def run(self) -> list[Reply]:
        """Sample until each row has ended, and hand the rows back to their requests."""
        prompts = [_prompt_ids(self.tokenizer, request.messages) for request in self.requests]
        groups = _alike(prompts)
        starts = [_shared(group) if len(group) > 1 else len(group[0]) - 1 for group in groups]
        shared = min(_shared(prompts), *starts)
        self.cache = _prefill_shared(self.model, prompts[0][:shared], len(groups))
        self.mask = torch.ones(len(groups), shared, dtype=torch.long, device=self.model.device)
        done = [shared] * len(groups)
        if len(groups) < len(prompts) and max(starts) > shared:
            self._extend([g[0][shared:start] for g, start in zip(groups, starts, strict=True)])
            done = starts
        owner = [number for number, group in enumerate(groups) for _ in group]
        self._select(owner)
        rests = [prompt[done[group] :] for prompt, group in zip(prompts, owner, strict=True)]
        logits = self._extend(rests)[self.owner]
        self._select(self.owner)
        live = list(range(len(self.owner)))
        while live:
            chosen = self._sample(logits, live)
            going = [place for place, row in enumerate(live) if self._append(row, chosen[place])]
            if not going:
                break
            if len(going) < len(live):
                self._select(going)
            live = [live[place] for place in going]
            logits = self._extend([[chosen[place]] for place in going])
        return [self._reply(number, len(prompt)) for number, prompt in enumerate(prompts)]

    def _extend(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        """Run tokens behind what is in the cache, padded on the left; return the last logits."""
        device = self.model.device
        width = max(map(len, rows))
        padded = [[0] * (width - len(row)) + list(row) for row in rows]
        fresh = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
        self.mask = torch.cat([self.mask, torch.tensor(fresh, device=device)], dim=1)
        output = self.model(
            input_ids=torch.tensor(padded, device=device),
            attention_mask=self.mask,
            position_ids=(self.mask.cumsum(1) - 1).clamp(min=0)[:, -width:],
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.cache = output.past_key_values
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _select(self, rows: Sequence[int]) -> None:
        """Keep the rows of the cache that are named, as often as they are."""
        if list(rows) == list(range(len(self.mask))):
            return
        chosen = torch.tensor(rows, device=self.model.device)
        if self.cache is not None:
            self.cache.reorder_cache(chosen)  # which layers of linear attention have, too
        self.mask = self.mask[chosen]

    def _sample(self, logits: torch.Tensor, live: Sequence[int]) -> list[int]:
        """Draw one token a row by temperature and nucleus (Holtzman et al. 2020)."""
        requests = [self.requests[self.owner[row]] for row in live]
        heat = torch.tensor([max(r.temperature, 1e-4) for r in requests], device=logits.device)
        nucleus = torch.tensor([r.top_p for r in requests], device=logits.device)
        values, tokens = torch.topk(logits.float(), min(TOP_K, logits.shape[-1]), dim=-1)
        shares = torch.softmax(values / heat[:, None], dim=-1)
        before = shares.cumsum(-1) - shares
        shares = shares.masked_fill(before >= nucleus[:, None], 0.0)
        drawn = [
            torch.multinomial(share, 1, generator=self.generators[row])
            for share, row in zip(shares, live, strict=True)
        ]
        return [int(token) for token in tokens.gather(1, torch.stack(drawn))[:, 0]]

    def _append(self, row: int, token: int) -> bool:
        """Add a token to a row; return whether the row goes on."""
        request = self.requests[self.owner[row]]
        self.tokens[row].append(token)
        if token in self.ends:
            self.reasons[row] = "stop"
            return False
        text = self.tokenizer.decode(self.tokens[row], skip_special_tokens=True)
        ends = [end for stop in request.stop if (end := text.find(stop)) >= 0]
        self.texts[row] = text[: min(ends, default=None)]
        full = len(self.tokens[row]) >= request.max_tokens
        self.reasons[row] = "stop" if ends else "length" if full else ""
        return not self.reasons[row]

    def _reply(self, number: int, prompt_tokens: int) -> Reply:
        rows = [row for row, owner in enumerate(self.owner) if owner == number]
        texts = tuple(said(self.texts[row]).text for row in rows)
        tokens = sum(len(self.tokens[row]) for row in rows)
        return Reply(texts, prompt_tokens, tokens, tuple(self.reasons[row] for row in rows))


def _losses(
    model: Any, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]
) -> list[float]:
    """Return mean nats a token of each answer; rows are padded on the right, where no row looks."""
    device = model.device
    rows = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
    shared = min(_shared(rows), min(map(len, prompts)) - 1)
    cache = _prefill_shared(model, rows[0][:shared], len(rows))
    width = max(map(len, rows))
    ids = torch.tensor([row[shared:] + [0] * (width - len(row)) for row in rows], device=device)
    # The head is a fifth of the model's work: it runs only where an answer token is predicted. The
    # model's own, since Gemma caps its logits and Granite scales them.
    ends = [len(row) - shared - 1 for row in rows]
    spans = [range(end - len(answer), end) for end, answer in zip(ends, answers, strict=True)]
    kept = sorted(set().union(*spans))
    own = model(
        input_ids=ids,
        past_key_values=cache,
        use_cache=cache is not None,
        logits_to_keep=torch.tensor(kept, device=device),
    ).logits
    first = [kept.index(span[0]) for span in spans]
    of_answers = [row[at : at + len(span)] for row, at, span in zip(own, first, spans, strict=True)]
    logits = torch.cat(of_answers).float()
    targets = torch.tensor([token for answer in answers for token in answer], device=device)
    nats = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    return [float(part.mean()) for part in torch.split(nats, [len(answer) for answer in answers])]
