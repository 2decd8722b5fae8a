"""Do two forms of one model say the same? Greedy tokens and logits, compared in one type."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pipeline.core.progress import advance
from pipeline.evaluate.scoring import Tokens, continuation_logits, evaluating, greedy, prefill

ROWS = 8  # prompts in one forward pass


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model says after each prompt."""

    prompts: list[list[int]]
    answers: list[list[int]]  # greedy tokens, the stop token included when it was reached
    logits: list[Tensor]  # (answer tokens, vocabulary), float32: what each token was chosen by


@dataclass(frozen=True, slots=True)
class Parity:
    """How far a candidate is from its reference."""

    prompts: int
    tokens: int  # answer tokens of the reference that logits were compared on
    equal_prompts: int  # prompts that both answer with the same greedy tokens
    max_logit_difference: float
    mean_kl: float  # Kullback-Leibler divergence of the candidate from the reference, nats a token
    max_kl: float
    widest_flip: float  # most that the reference prefers its own token by where the two first part


def predict(
    model: Any, prompts: Sequence[Tokens], stops: Collection[int], new_tokens: int
) -> Predictions:
    """Answer prompts greedily and keep the logits: 4 bytes x vocabulary a token."""
    order = [list(prompt) for prompt in prompts]
    answers, logits = [], []
    with evaluating(model):
        for start in range(0, len(order), ROWS):
            batch = order[start : start + ROWS]
            written, _ = greedy(model, prefill(model, batch), stops, new_tokens)
            answers += written
            logits += answer_logits(model, batch, written)
            advance(len(answers), len(order), "prompts")
    return Predictions(order, answers, logits)


def compare(reference: Predictions, model: Any) -> Parity:
    """Compare the tokens and logits of a candidate with a reference's, on the tokens of that."""
    flips, differences, divergences = list[float](), list[float](), list[float]()
    prompts, equal = reference.prompts, 0
    with evaluating(model):
        for start in range(0, len(prompts), ROWS):
            rows = slice(start, start + ROWS)
            logits = answer_logits(model, prompts[rows], reference.answers[rows])
            pairs = zip(logits, reference.answers[rows], reference.logits[rows], strict=True)
            for found, wanted, expected in pairs:
                said = found.argmax(-1).tolist()
                equal += said == wanted
                flips.append(_flip(said, wanted, expected))
                # What is no number (an overflow) is as far off as can be: max() would pass it by.
                found = found.nan_to_num(nan=math.inf, posinf=math.inf, neginf=math.inf)
                differences.append(float((found - expected).abs().max()))
                ours, theirs = (each.double().log_softmax(-1) for each in (expected, found))
                kl = (ours.exp() * (ours - theirs)).sum(-1).clamp(min=0)
                divergences += kl.nan_to_num(nan=math.inf).tolist()
            advance(min(start + ROWS, len(prompts)), len(prompts), "prompts")
    return Parity(
        prompts=len(prompts),
        tokens=len(divergences),
        equal_prompts=equal,
        max_logit_difference=max(differences, default=0.0),
        mean_kl=sum(divergences) / max(1, len(divergences)),
        max_kl=max(divergences, default=0.0),
        widest_flip=max(flips, default=0.0),
    )


def answer_logits(model: Any, prompts: Sequence[Tokens], answers: Sequence[Tokens]) -> list[Tensor]:
    """Return the logits (answer tokens, vocabulary), float32, that predict each answer."""
    logits = continuation_logits(model, prefill(model, prompts), answers)
    return [row.cpu() for row in logits]


def _flip(said: Tokens, wanted: Tokens, logits: Tensor) -> float:
    """Return how much the reference prefers its own token where the two first part, else 0."""
    for place, (one, other) in enumerate(zip(said, wanted, strict=False)):
        if one != other:
            return float(logits[place, other] - logits[place, one])
    return 0.0
