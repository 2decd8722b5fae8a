"""Ask a model the test questions and score each answer against its reference."""

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pandera.typing.polars import DataFrame

from pipeline.core.errors import TrainingError
from pipeline.core.outcome import Outcome, drops, table
from pipeline.core.progress import advance
from pipeline.evaluate.answers.prompts import Material, split_thoughts, with_passage, with_thinking
from pipeline.evaluate.measures.correctness import correctness
from pipeline.evaluate.measures.grounding import grounded
from pipeline.evaluate.measures.metrics import METRICS, withholds
from pipeline.evaluate.scoring import Prefix, continuation_log_probs, evaluating, greedy, prefill
from pipeline.settings import EvaluateSettings
from pipeline.text.chat import EXPLANATIONS, IGNORED, Encoded, Rejected, answer_text, encode
from pipeline.text.chat_template import Message, prompt_ids, stop_ids
from pipeline.train.models.check import context_length
from pipeline.train.peak_memory import in_halves
from schemas.evaluation import Answers, AnswerTimings
from schemas.pairs import Examples

Row = Mapping[str, Any]
WRITTEN = 48  # tokens that a timing of :func:`decoding_speed` writes
TIMINGS = 3  # the fastest counts: a disturbance only ever slows


@dataclass(frozen=True, slots=True)
class Request:
    """A test row as the model gets it."""

    row: Row
    prompt: list[int]
    response: list[int]  # reference response, end-of-turn included
    thinks: bool  # whether the prompt asks for thoughts before the answer
    preamble: int = 0  # tokens of the response that the template writes: they have no loss


def answered(rows: Iterable[Row], timings: Iterable[Row]) -> Outcome[Answers]:
    """Return rows of an arm, sorted by pair_id; ``timings`` lie beside, outside the content."""
    kept = cast("DataFrame[Answers]", table(Answers, rows).sort("pair_id"))
    timed = table(AnswerTimings, timings)
    return Outcome(kept, drops([]), rows_in=kept.height, tables={"timings": (AnswerTimings, timed)})


def answer_timed(
    arm: str,
    examples: DataFrame[Examples],
    model: Any,
    tokenizer: Any,
    settings: EvaluateSettings,
    material: Material,
) -> Outcome[Answers]:
    """Answer each row by greedy decoding and measure the loss of its reference response.

    Batches are fixed by content, so the order of the rows does not matter. In bfloat16 a row's loss
    depends a little on its batch (0.03 nats a token on average for 3 to 11 tokens, without a lean);
    in float32 it does not (1e-5). The arm ``chain_of_thought`` asks for thoughts first, may write
    ``thinking_tokens`` more, and has no loss. Timings have one row a batch. Raises TrainingError
    for a row that cannot be rendered within ``max_tokens``.
    """
    thinks = arm == "chain_of_thought"
    assert settings.max_new_tokens is not None, "pipeline.evaluate.test_set.answer_limit"
    most = settings.max_new_tokens + (settings.thinking_tokens if thinks else 0)
    room = (context_length(model) or math.inf) - most
    requests = sorted(
        (
            _request(row, tokenizer, int(min(settings.max_tokens, room)), material, thinks)
            for row in examples.iter_rows(named=True)
        ),
        key=lambda request: (len(request.prompt), request.row["pair_id"]),
    )
    stops = stop_ids(tokenizer)
    rows, timings = list[dict[str, Any]](), list[dict[str, Any]]()

    def ask(batch: Sequence[Request]) -> None:
        started = time.perf_counter()
        prefix = prefill(model, [request.prompt for request in batch])
        first_token = time.perf_counter() - started
        losses: Sequence[float | None] = [None] * len(batch)
        if not thinks:
            losses = _losses(model, prefix, batch)
        started = time.perf_counter()
        written, certainty = greedy(model, prefix, stops, most)
        seconds = first_token + time.perf_counter() - started
        for request, loss, tokens, sure in zip(batch, losses, written, certainty, strict=True):
            scored = scores(request, answer_text(tokenizer, tokens), material)
            count, size = len(request.response) - request.preamble, scored["response_bytes"]
            rows.append(
                {
                    "arm": arm,
                    "prompt_tokens": len(request.prompt),
                    "completion_tokens": len(tokens),
                    "response_tokens": count,
                    "stopped": float(tokens[-1] in stops),
                    "log_prob": min(0.0, float(sure.mean())),
                    "loss": loss,
                    "bits_per_byte": None if loss is None else loss * count / math.log(2) / size,
                }
                | scored
            )
        timings.append(
            {
                "rows": len(batch),
                "prompt_tokens": sum(len(request.prompt) for request in batch),
                "completion_tokens": sum(map(len, written)),
                "first_token_seconds": first_token,
                "seconds": seconds,
            }
        )
        advance(len(rows), len(requests), "answers")

    advance(0, len(requests), "answers")
    _in_batches(ask, requests, model, settings.batch_size)
    return answered(rows, timings)


def reply(model: Any, tokenizer: Any, messages: Sequence[Message], max_new_tokens: int) -> str:
    """Return the model's greedy answer to the last message, asked and cut as in evaluation."""
    with evaluating(model):
        prefix = prefill(model, [prompt_ids(tokenizer, list(messages))])
        (tokens,), _ = greedy(model, prefix, stop_ids(tokenizer), max_new_tokens)
    return answer_text(tokenizer, tokens)


def decoding_speed(model: Any, tokenizer: Any, question: str) -> float:
    """Return the tokens a second of greedy decoding, one answer at a time (batch 1)."""
    prompt = prompt_ids(tokenizer, [Message(role="user", content=question)])
    rates = []
    with evaluating(model):
        for _ in range(TIMINGS):
            prefix = prefill(model, [prompt])
            began = time.perf_counter()
            (written,), _ = greedy(model, prefix, {-1}, WRITTEN)  # no token ends it early
            rates.append(len(written) / (time.perf_counter() - began))
    return max(rates)


def response_losses(
    examples: DataFrame[Examples], model: Any, tokenizer: Any, settings: EvaluateSettings
) -> dict[str, tuple[float, int]]:
    """Return nats a token and tokens of each reference that fits ``max_tokens``, by pair_id."""
    requests = []
    limit = min(settings.max_tokens, context_length(model) or settings.max_tokens)
    for row in examples.sort("pair_id").iter_rows(named=True):
        with contextlib.suppress(TrainingError):
            requests.append(_request(row, tokenizer, limit, Material()))
    losses: dict[str, tuple[float, int]] = {}

    def score(batch: Sequence[Request]) -> None:
        prefix = prefill(model, [request.prompt for request in batch])
        for request, loss in zip(batch, _losses(model, prefix, batch), strict=True):
            losses[str(request.row["pair_id"])] = loss, len(request.response)

    _in_batches(score, requests, model, settings.batch_size)
    return losses


def _in_batches(
    ask: Callable[[Sequence[Request]], None], requests: Sequence[Request], model: Any, size: int
) -> None:
    with evaluating(model):
        for start in range(0, len(requests), size):
            in_halves(ask, requests[start : start + size])


def _request(
    row: Row, tokenizer: Any, max_tokens: int, material: Material, thinks: bool = False
) -> Request:
    """Render a row; while the prompt is too long, the example farthest from the question goes."""
    own, turns = messages_of(row, material, thinks), list(material.shots.get(row["pair_id"], ()))
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
            "chat template renders; choose the rows with evaluate.test_set.test_set"
        )
    # The response is one run of labels: trained and scored are the same tokens.
    start = next(i for i, label in enumerate(encoded.labels) if label != IGNORED)
    response = [label for label in encoded.labels if label != IGNORED]
    return Request(row, encoded.input_ids[:start], response, thinks, encoded.preamble)


def _losses(model: Any, prefix: Prefix, batch: Sequence[Request]) -> list[float]:
    """Return the mean nats a token of each reference response, its end-of-turn included."""
    scored = continuation_log_probs(model, prefix, [[item.response] for item in batch])
    return [
        max(0.0, -float(log_probs[item.preamble :].mean()))
        for item, (log_probs,) in zip(batch, scored, strict=True)
    ]


def messages_of(row: Row, material: Material, thinks: bool) -> list[Message]:
    """Return the messages of a row with what the arm adds to its question."""
    messages: list[Message] = list(row["messages"])
    if len(messages) < 2:
        return messages
    question = messages[-2]["content"]
    passage = (material.passages or {}).get(row["pair_id"])
    if passage is not None and passage.text:
        question = with_passage(question, passage.text)
    if thinks:
        question = with_thinking(question)
    messages[-2] = Message(role=messages[-2]["role"], content=question)
    return messages


def scores(request: Request, text: str, material: Material) -> dict[str, Any]:
    """Return what is measured on one answer, but for its likelihoods and tokens."""
    row = request.row
    pair, reference = row["pair_id"], row["messages"][-1]["content"]
    thoughts, answer = split_thoughts(text) if request.thinks else ("", text)
    passage = None if material.passages is None else material.passages.get(pair)
    question, source = row["messages"][-2]["content"], material.sources.get(pair, "")
    declined, should = float(withholds(answer)), withholds(reference)
    return {
        "pair_id": pair,
        "doc_id": row["doc_id"],
        "cluster_id": row["cluster_id"],
        "answer": answer,
        "thoughts": thoughts,
        "retrieved": " ".join(passage.chunk_ids) if passage else "",
        "response_bytes": len(reference.encode("utf-8", "surrogatepass")),
        "correct": correctness(answer, reference, question, source, material.screen),
        "grounded": grounded(answer, question, source, material.screen),
        "refusal_right": declined if should else None,
        "refusal_wrong": None if should else declined,
        "found_document": None if passage is None else float(row["doc_id"] in passage.doc_ids),
    } | {
        name: metric.measure(answer, reference)
        for name, metric in METRICS.items()
        if metric.measure is not None
    }
