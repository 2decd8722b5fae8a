"""Ask a model the test questions and score each answer against its reference."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pandera.typing.polars import DataFrame

from pipeline.dataset.chat import EXPLANATIONS, IGNORED, Encoded, Message, Rejected, encode
from pipeline.errors import TrainingError
from pipeline.evaluate.metrics import exact_match, rouge_l, token_f1
from pipeline.evaluate.scoring import continuation_log_probs, evaluating, greedy, prefill
from pipeline.outcome import table
from pipeline.progress import advance
from pipeline.settings import EvaluateSettings
from schemas.evaluation import Answers
from schemas.pairs import Examples


@dataclass(frozen=True, slots=True)
class Request:
    """A test row as the model gets it."""

    row: Mapping[str, Any]
    prompt: list[int]
    response: list[int]
    """Reference response, end-of-turn included."""


def answer(
    arm: str,
    examples: DataFrame[Examples],
    model: Any,
    tokenizer: Any,
    settings: EvaluateSettings,
    shots: Mapping[str, Sequence[Message]] | None = None,
) -> DataFrame[Answers]:
    """Answer each row by greedy decoding and measure the loss of its reference response.

    Batches are fixed by content (prompt length, then pair_id), so the order of the rows does not
    matter. In bfloat16 the loss of a single row depends a little on the rows it shares a batch
    with (0.03 nats a token on average for 3 to 11 tokens, without a lean to one side); in float32
    it does not (1e-5).

    Args:
        arm: name of the arm, one of :data:`schemas.evaluation.ARMS`.
        examples: the rows to answer.
        model: a causal language model, base or with an adapter.
        tokenizer: its tokenizer, with the chat template of the training.
        settings: batch_size, max_new_tokens and max_tokens.
        shots: for each pair_id, example messages shown as earlier turns (few-shot); the first
            of them go when the prompt would be longer than ``max_tokens``.

    Returns:
        One row an example, sorted by pair_id.

    Raises:
        TrainingError: a row cannot be rendered within ``max_tokens``.
    """
    requests = sorted(
        (
            _request(row, (shots or {}).get(row["pair_id"], ()), tokenizer, settings.max_tokens)
            for row in examples.iter_rows(named=True)
        ),
        key=lambda request: (len(request.prompt), request.row["pair_id"]),
    )
    stops = _stop_ids(tokenizer, model, requests)
    rows: list[dict[str, Any]] = []
    advance(0, len(requests), "answers")
    with evaluating(model):
        for start in range(0, len(requests), settings.batch_size):
            batch = requests[start : start + settings.batch_size]
            prefix = prefill(model, [request.prompt for request in batch])
            scored = continuation_log_probs(model, prefix, [[item.response] for item in batch])
            written = greedy(model, prefix, stops, settings.max_new_tokens)
            for request, (log_probs,), tokens in zip(batch, scored, written, strict=True):
                text = tokenizer.decode(tokens, skip_special_tokens=True).strip()
                rows.append(
                    {
                        "arm": arm,
                        "loss": max(0.0, -float(log_probs.mean())),
                        "stopped": float(tokens[-1] in stops),
                        **_scores(request, text),
                    }
                )
            advance(len(rows), len(requests), "answers")
    return cast("DataFrame[Answers]", table(Answers, rows).sort("pair_id"))


def response_losses(
    examples: DataFrame[Examples], model: Any, tokenizer: Any, settings: EvaluateSettings
) -> dict[str, float]:
    """Return the nats a token of each reference response, by pair_id; nothing is decoded.

    Args:
        examples: the rows to score; one that does not fit into ``max_tokens`` is left out.
        model: a causal language model, base or with an adapter.
        tokenizer: its tokenizer.
        settings: batch_size and max_tokens.
    """
    requests = []
    for row in examples.sort("pair_id").iter_rows(named=True):
        with contextlib.suppress(TrainingError):
            requests.append(_request(row, (), tokenizer, settings.max_tokens))
    losses = {}
    with evaluating(model):
        for start in range(0, len(requests), settings.batch_size):
            batch = requests[start : start + settings.batch_size]
            prefix = prefill(model, [request.prompt for request in batch])
            scored = continuation_log_probs(model, prefix, [[item.response] for item in batch])
            for request, (log_probs,) in zip(batch, scored, strict=True):
                losses[str(request.row["pair_id"])] = max(0.0, -float(log_probs.mean()))
    return losses


def _stop_ids(tokenizer: Any, model: Any, requests: Sequence[Request]) -> set[int]:
    """Return the tokens that end an answer: of tokenizer, generation settings and template."""
    ends = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    found = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}
    found |= {request.response[-1] for request in requests} & set(tokenizer.all_special_ids)
    return {token for token in found if token is not None}


def _request(
    row: Mapping[str, Any], shots: Sequence[Message], tokenizer: Any, max_tokens: int
) -> Request:
    """Render a row with its examples between the system message and the question.

    The first example, farthest from the question, goes for as long as the prompt is too long.
    """
    own, turns = row["messages"], list(shots)
    head = 1 if own[0]["role"] == "system" else 0
    while True:
        encoded = encode(tokenizer, [*own[:head], *turns, *own[head:]], max_tokens)
        fits = isinstance(encoded, Encoded) and not encoded.truncated
        if fits or not turns:
            break
        turns = turns[2:]
    if isinstance(encoded, Rejected):
        raise TrainingError(
            f"test row {row['pair_id']}: {EXPLANATIONS[encoded.reason]}; expected a row that the "
            "chat template renders; choose the rows with pipeline.evaluate.selection.test_set"
        )
    # The response is one run of labels: trained and scored are the same tokens.
    start = next(i for i, label in enumerate(encoded.labels) if label != IGNORED)
    response = [label for label in encoded.labels if label != IGNORED]
    return Request(row, encoded.input_ids[:start], response)


def _scores(request: Request, text: str) -> dict[str, Any]:
    reference = request.row["messages"][-1]["content"]
    return {
        "pair_id": request.row["pair_id"],
        "doc_id": request.row["doc_id"],
        "cluster_id": request.row["cluster_id"],
        "answer": text,
        "response_tokens": len(request.response),
        "rouge_l": rouge_l(text, reference),
        "token_f1": token_f1(text, reference),
        "exact_match": exact_match(text, reference),
    }
