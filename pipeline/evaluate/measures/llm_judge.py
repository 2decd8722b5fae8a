"""A pairwise judge: asked in both orders, a tie on disagreement, controlled for length.

Judges prefer what they see first and what is longer (Zheng et al. 2023; Dubois et al. 2024). So
each comparison is asked twice with the answers swapped, and the win rate is what a logistic
regression says at equal length. It sees the passage and the reference: what it does not know it
would guess. A judge counts only when it agrees with people: see
:mod:`pipeline.evaluate.measures.graded`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np

from pipeline.evaluate.judged import WinRate
from pipeline.evaluate.results import Interval
from pipeline.evaluate.statistics.intervals import Floats, resamples
from pipeline.pairs.teachers.replies import ask_judge
from pipeline.pairs.teachers.teacher import Messages, Teacher
from pipeline.text.terms import word_count

Winner = Literal["first", "second", "tie"]

PROMPT_VERSION = "2"
RIDGE = 0.01
"""Penalty of the length coefficient, so that it stays finite when length decides every win."""
STEPS = 25
"""Of Newton's method; it converges within ten."""

_INSTRUCTIONS = (
    "You compare two answers to a question. Judge by the passage and the reference, where they are "
    "given, whether each is correct, complete and to the point. Length is no merit. Reply with one "
    "word: A when answer A is better, B when answer B is better, TIE when neither is."
)
_REPLY = re.compile(r"^\W*(?:answer\W+)?(a|b|tie)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what an answer to it is judged by."""

    question: str
    reference: str = ""
    """The right answer; empty where none is known."""
    passage: str = ""
    """What the documents say of it; empty where they say nothing."""

    def __str__(self) -> str:
        """Return it as a judge reads it."""
        parts = {"Passage": self.passage, "Question": self.question, "Reference": self.reference}
        return "\n\n".join(f"{name}:\n{text}" for name, text in parts.items() if text)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answers to one question, to be compared."""

    id: str
    asked: Asked
    first: str
    second: str
    cluster: str
    """Resampling unit of the bootstrap."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the judge said of a comparison."""

    comparison: Comparison
    winner: Winner
    """A tie when the two orders disagree, or a reply cannot be read."""
    consistent: bool
    """Both orders were read and named the same winner."""
    readable: bool
    for_shown_first: float
    """Share of the two orders that the answer shown first won; 0.5 for a judge without a lean."""


def judge(
    comparisons: Sequence[Comparison], judge: Teacher, max_tokens: int, brief: str = ""
) -> list[Judgement]:
    """Ask the judge about each comparison in both orders.

    Args:
        comparisons: answers, two by two.
        judge: who is asked.
        max_tokens: of a reply.
        brief: what the answers are for, in words; empty tells nothing.

    Raises:
        TeacherError: the endpoint cannot be reached, refuses, fails too often, or no reply names a
            winner.
    """
    asked = [
        _prompt(item.asked, *order, brief)
        for item in comparisons
        for order in ((item.first, item.second), (item.second, item.first))
    ]
    said = ask_judge(judge, asked, max_tokens, _read, "A, B or TIE")
    return [
        _judgement(item, *said[2 * place : 2 * place + 2]) for place, item in enumerate(comparisons)
    ]


def win_rate(
    judgements: Sequence[Judgement], *, seed: int, draws: int, confidence: float
) -> WinRate:
    """Sum up judgements; the interval resamples clusters.

    The length-controlled rate is AlpacaEval's (Dubois et al. 2024) for one pair of models: a win
    is regressed on ``tanh`` of the difference in words over its standard deviation, and the rate
    is read off at a difference of 0.

    Raises:
        ValueError: there are no judgements.
    """
    if not judgements:
        raise ValueError("win rate: no judgements; expected at least one")
    value = {"first": 1.0, "tie": 0.5, "second": 0.0}
    won = np.array([value[item.winner] for item in judgements])
    longer = np.array([_length_difference(item.comparison) for item in judgements])
    spread = float(longer.std())
    lean = np.tanh(longer / spread) if spread > 0 else np.zeros_like(longer)
    clusters = [item.comparison.cluster for item in judgements]
    return WinRate(
        comparisons=len(judgements),
        wins=int((won == 1).sum()),
        ties=int((won == 0.5).sum()),
        consistency=float(np.mean([item.consistent for item in judgements])),
        for_shown_first=float(np.mean([item.for_shown_first for item in judgements])),
        unreadable=sum(not item.readable for item in judgements),
        plain=float(won.mean()),
        controlled=_controlled(won, lean, clusters, seed, draws, confidence),
    )


def _controlled(
    won: Floats, lean: Floats, clusters: Sequence[str], seed: int, draws: int, confidence: float
) -> Interval:
    value = float(_at_equal_length(won, lean, np.ones((1, len(won))))[0])
    _, index = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    size = int(index.max()) + 1
    if size < 2:
        return Interval(value, -inf, inf)
    rates = _at_equal_length(won, lean, resamples(size, draws, seed)[:, index])
    tail = (1 - confidence) / 2
    low, high = np.quantile(rates, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def _at_equal_length(won: Floats, lean: Floats, weights: Floats) -> Floats:
    """Return the fitted win rate at a length difference of 0, for each row of weights.

    Newton's method on the penalized likelihood of ``logit P(win) = a + b lean``; both penalties
    are weak, and keep a and b finite when one side wins everything.
    """
    a, b = np.zeros(len(weights)), np.zeros(len(weights))
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(a[:, None] + b[:, None] * lean, -30, 30)))
        error, curve = weights * (won - p), weights * p * (1 - p)
        gradient_a, gradient_b = error.sum(1) - RIDGE * a, error @ lean - RIDGE * b
        aa, ab, bb = curve.sum(1) + RIDGE, curve @ lean, curve @ lean**2 + RIDGE
        determinant = aa * bb - ab**2
        step_a = (bb * gradient_a - ab * gradient_b) / determinant
        step_b = (aa * gradient_b - ab * gradient_a) / determinant
        a, b = a + np.clip(step_a, -2, 2), b + np.clip(step_b, -2, 2)
    return np.asarray(1 / (1 + np.exp(-a)), dtype=np.float64)


def _length_difference(item: Comparison) -> float:
    return float(word_count(item.first) - word_count(item.second))


def _prompt(asked: Asked, a: str, b: str, brief: str) -> Messages:
    told = f"{_INSTRUCTIONS}\n\n{brief}" if brief else _INSTRUCTIONS
    text = f"{asked}\n\nAnswer A:\n{a}\n\nAnswer B:\n{b}\n\nWhich is better: A, B or TIE?"
    return (("system", told), ("user", text))


def _read(text: str) -> str | None:
    """Return ``a``, ``b`` or ``tie``; None for anything else."""
    found = _REPLY.match(text)
    return found.group(1).lower() if found else None


def _judgement(item: Comparison, straight: str | None, swapped: str | None) -> Judgement:
    names: dict[str | None, Winner] = {"a": "first", "b": "second", "tie": "tie"}
    turned: dict[str | None, Winner] = {"a": "second", "b": "first", "tie": "tie"}
    one, other = names.get(straight), turned.get(swapped)
    same = one is not None and one == other
    shown = [{"a": 1.0, "b": 0.0}.get(reply or "", 0.5) for reply in (straight, swapped)]
    return Judgement(
        comparison=item,
        winner=one if same and one is not None else "tie",
        consistent=same,
        readable=one is not None and other is not None,
        for_shown_first=sum(shown) / 2,
    )
