"""A language model in this process, sampled and scored in batches.

One shape of work decides the speed on a CPU: many short rows that begin alike. So the tokens
that all prompts of a batch share are computed once, the rest as one left-padded batch, and the
key-value cache is copied once for each sample. Measured with the embedded model on 2 cores
(bfloat16, AVX512-BF16): a step of 12 or 16 rows takes 63 ms, one of 4 rows 43 ms; prompts run at
900 to 1,000 tokens/s.
"""

from collections.abc import Sequence
from typing import Any

import torch

from pipeline.generate.teacher import Messages, OnReply, Reply, Request, Strength
from pipeline.settings import ModelSettings
from pipeline.train.base_model import (
    BaseModel,
    choose_device,
    configure_torch,
    load_model,
    load_tokenizer,
)

TOP_K = 64
"""The nucleus is sought among so many likeliest tokens: a sort of all 49,152 takes 24 ms a step,
a third of the step itself, topk 1.5 ms."""


class EmbeddedTeacher:
    """Teacher over a local transformers model; loaded at the first request."""

    def __init__(
        self,
        base: BaseModel,
        settings: ModelSettings,
        batch_size: int,
        strength: Strength = "weak",
    ) -> None:
        """Name the model; nothing is loaded yet.

        Args:
            base: folder, name and digest of the model.
            settings: device and threads.
            batch_size: rows (replies) in one forward pass.
            strength: ``strong`` for a local model that writes answers itself.
        """
        self.name = f"{base.name}@{base.digest[:16]}"
        self.strength: Strength = strength
        self.batch_size = batch_size
        self._base = base
        self._settings = settings
        self._loaded: tuple[Any, Any] | None = None

    @property
    def loaded(self) -> bool:
        """Whether the weights are in memory."""
        return self._loaded is not None

    def complete(
        self, requests: Sequence[Request], seed: int, on_reply: OnReply | None = None
    ) -> list[Reply]:
        """Answer all requests as one batch.

        The random numbers come from a generator of their own, so the replies depend on the
        requests and the seed alone: not on what was asked before, nor on the process.
        """
        if not requests:
            return []
        model, tokenizer = self._model()
        with torch.inference_mode():
            replies = _Batch(model, tokenizer, requests, seed).run()
        if on_reply is not None:
            for number, reply in enumerate(replies):
                on_reply(number, reply)
        return replies

    def answer_losses(self, pairs: Sequence[tuple[Messages, str]]) -> list[float]:
        """Return the mean nats a token of each answer after its messages as a chat prompt.

        The end of the turn is not counted: the question is how well the words are predicted.

        Raises:
            ValueError: an answer has no tokens.
        """
        if not pairs:
            return []
        model, tokenizer = self._model()
        prompts = [_prompt_ids(tokenizer, messages) for messages, _ in pairs]
        answers = [tokenizer.encode(answer, add_special_tokens=False) for _, answer in pairs]
        if not all(answers):
            raise ValueError("answer_losses: an empty answer found; expected text in each pair")
        with torch.inference_mode():
            return _losses(model, prompts, answers)

    def _model(self) -> tuple[Any, Any]:
        if self._loaded is None:
            configure_torch(self._settings)
            device = choose_device(self._settings)
            self._loaded = load_model(self._base.path, device), load_tokenizer(self._base.path)
        return self._loaded


def _prompt_ids(tokenizer: Any, messages: Messages) -> list[int]:
    """Render messages with the model's chat template, open for (more of) the assistant's turn."""
    turns = [{"role": role, "content": content} for role, content in messages]
    begun = turns.pop()["content"] if turns and turns[-1]["role"] == "assistant" else ""
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    ids: list[int] = tokenizer.encode(text + begun, add_special_tokens=False)
    return ids


def _shared(rows: Sequence[Sequence[int]]) -> int:
    """Return how many first tokens all rows have in common, always leaving one to each row."""
    shared = 0
    for column in zip(*rows, strict=False):
        if len(set(column)) > 1:
            break
        shared += 1
    return min(shared, min(len(row) for row in rows) - 1)


def _prefill_shared(model: Any, ids: Sequence[int], rows: int) -> Any:
    """Return the key-value cache of the shared first tokens, one copy a row."""
    if not ids:
        return None
    tokens = torch.tensor([list(ids)], device=model.device)
    cache = model(input_ids=tokens, use_cache=True, logits_to_keep=1).past_key_values
    cache.batch_select_indices(torch.zeros(rows, dtype=torch.long, device=model.device))
    return cache


class _Batch:
    """One batch of requests on its way through the model."""

    def __init__(self, model: Any, tokenizer: Any, requests: Sequence[Request], seed: int) -> None:
        self.model, self.tokenizer, self.requests = model, tokenizer, requests
        self.generator = torch.Generator(model.device).manual_seed(seed)
        ends = model.generation_config.eos_token_id
        self.ends = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}
        self.owner = [i for i, request in enumerate(requests) for _ in range(request.samples)]
        self.tokens: list[list[int]] = [[] for _ in self.owner]
        self.texts = ["" for _ in self.owner]
        self.reasons = ["" for _ in self.owner]

    def run(self) -> list[Reply]:
        """Sample until each row has ended, and hand the rows back to their requests."""
        device = self.model.device
        prompts = [_prompt_ids(self.tokenizer, request.messages) for request in self.requests]
        shared = _shared(prompts)
        cache = _prefill_shared(self.model, prompts[0][:shared], len(prompts))
        rests = [prompt[shared:] for prompt in prompts]
        width = max(len(rest) for rest in rests)
        ids = torch.tensor([[0] * (width - len(rest)) + rest for rest in rests], device=device)
        mask = torch.tensor(
            [[1] * shared + [0] * (width - len(rest)) + [1] * len(rest) for rest in rests],
            device=device,
        )
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions[:, shared:],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache, logits = output.past_key_values, output.logits[:, -1]
        expand = torch.tensor(self.owner, device=device)
        cache.batch_select_indices(expand)
        logits, mask = logits[expand], mask[expand]
        last = positions[expand, -1:]
        live = list(range(len(self.owner)))
        while live:
            chosen = self._sample(logits, live)
            going = [place for place, row in enumerate(live) if self._append(row, chosen[place])]
            if not going:
                break
            if len(going) < len(live):
                keep = torch.tensor(going, device=device)
                live = [live[place] for place in going]
                chosen = [chosen[place] for place in going]
                cache.batch_select_indices(keep)
                mask, last = mask[keep], last[keep]
            mask = torch.cat([mask, mask.new_ones(len(live), 1)], dim=1)
            last = last + 1
            output = self.model(
                input_ids=torch.tensor(chosen, device=device)[:, None],
                attention_mask=mask,
                position_ids=last,
                past_key_values=cache,
                use_cache=True,
            )
            logits = output.logits[:, -1]
        return [self._reply(number, len(prompt)) for number, prompt in enumerate(prompts)]

    def _sample(self, logits: torch.Tensor, live: Sequence[int]) -> list[int]:
        """Draw one token a row by temperature and nucleus (Holtzman et al. 2020)."""
        requests = [self.requests[self.owner[row]] for row in live]
        heat = torch.tensor([max(r.temperature, 1e-4) for r in requests], device=logits.device)
        nucleus = torch.tensor([r.top_p for r in requests], device=logits.device)
        values, tokens = torch.topk(logits.float(), min(TOP_K, logits.shape[-1]), dim=-1)
        shares = torch.softmax(values / heat[:, None], dim=-1)
        before = shares.cumsum(-1) - shares
        shares = shares.masked_fill(before >= nucleus[:, None], 0.0)
        drawn = torch.multinomial(shares, 1, generator=self.generator)
        return [int(token) for token in tokens.gather(1, drawn)[:, 0]]

    def _append(self, row: int, token: int) -> bool:
        """Add a token to a row; return whether the row goes on."""
        request = self.requests[self.owner[row]]
        if token in self.ends:
            self.tokens[row].append(token)
            self.reasons[row] = "stop"
            return False
        self.tokens[row].append(token)
        text = self.tokenizer.decode(self.tokens[row], skip_special_tokens=True)
        found = [place for stop in request.stop if (place := text.find(stop)) >= 0]
        self.texts[row] = text[: min(found)] if found else text
        if found:
            self.reasons[row] = "stop"
        elif len(self.tokens[row]) >= request.max_tokens:
            self.reasons[row] = "length"
        return not self.reasons[row]

    def _reply(self, number: int, prompt_tokens: int) -> Reply:
        rows = [row for row, owner in enumerate(self.owner) if owner == number]
        return Reply(
            texts=tuple(self.texts[row] for row in rows),
            prompt_tokens=prompt_tokens,
            completion_tokens=sum(len(self.tokens[row]) for row in rows),
            finish_reasons=tuple(self.reasons[row] for row in rows),
        )


def _losses(
    model: Any, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]
) -> list[float]:
    """Return mean nats a token of each answer; rows are padded on the right, where no row looks."""
    device = model.device
    rows = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
    shared = min(_shared(rows), min(len(prompt) for prompt in prompts) - 1)
    cache = _prefill_shared(model, rows[0][:shared], len(rows))
    width = max(len(row) for row in rows) - shared
    ids = torch.tensor([row[shared:] + [0] * (width - len(row) + shared) for row in rows])
    hidden = model.get_decoder()(
        input_ids=ids.to(device), past_key_values=cache, use_cache=cache is not None
    ).last_hidden_state
    # The head is a fifth of the model's work: it runs only where an answer token is predicted.
    starts = [len(prompt) - shared - 1 for prompt in prompts]
    spans = [
        hidden[row, start : start + len(answer)]
        for row, (start, answer) in enumerate(zip(starts, answers, strict=True))
    ]
    logits = model.get_output_embeddings()(torch.cat(spans)).float()
    targets = torch.tensor([token for answer in answers for token in answer], device=device)
    nats = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    return [float(part.mean()) for part in torch.split(nats, [len(answer) for answer in answers])]
