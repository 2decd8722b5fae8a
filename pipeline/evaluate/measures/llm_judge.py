"""A judge that grades answers one by one, and compares them two by two.

Judges prefer what they see first and what is longer (Zheng et al. 2023; Dubois et al. 2024). So
each comparison is asked twice with the answers swapped, a tie on disagreement, and the win rate is
what a logistic regression says at equal length. A judge counts only when its grades agree with
people, by Cohen's kappa.
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
from pipeline.pairs.teachers.teacher import Teacher
from pipeline.text.terms import word_count

Winner = Literal["first", "second", "tie"]

PROMPT_VERSION = "2"
RIDGE = 0.01
"""Penalty of the length coefficient, so that it stays finite when length decides every win."""
STEPS = 25
"""Of Newton's method; it converges within ten."""
GRADES = {"correct": 1.0, "partly": 0.5, "wrong": 0.0, "unsupported": 0.0}
"""What a grade is worth."""

_GRADE = (
    "You grade an answer to a question by the passage and the reference, where they are given. "
    "Reply with one word: CORRECT when it says what the reference says, in whatever words, and "
    "nothing wrong; PARTLY when something that was asked for is missing; WRONG when it says what "
    "passage or reference contradict, or does not answer; UNSUPPORTED when it says what neither of "
    "them says. Where the reference declines, only an answer that declines is CORRECT."
)
_GRADED = re.compile(rf"^\W*(?:grade\W+)?({'|'.join(GRADES)})\b", re.IGNORECASE)
_COMPARE = (
    "You compare two answers to a question. Judge by the passage and the reference, where they are "
    "given, whether each is correct, complete and to the point. Length is no merit. Reply with one "
    "word: A when answer A is better, B when answer B is better, TIE when neither is."
)
_COMPARED = re.compile(r"^\W*(?:answer\W+)?(a|b|tie)\b", re.IGNORECASE)


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
class Graded:
    """An answer to be graded, and what people say of it."""

    asked: Asked
    answer: str
    accepted: bool | None = None
    """By people; None where nobody decided."""


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


def grade(
    items: Sequence[Graded], judge: Teacher, max_tokens: int, brief: str = ""
) -> list[str | None]:
    """Ask the judge about each answer, ``brief`` telling in words what the answers are for.

    Returns a grade of :data:`GRADES` each, None for a reply that cannot be read; it is not kept.

    Raises:
        TeacherError: the endpoint cannot be reached or refuses, or no reply is a grade.
    """
    texts = [f"{item.asked}\n\nAnswer:\n{item.answer}\n\nGrade?" for item in items]
    told = _told(_GRADE, brief)
    return _ask(judge, told, texts, max_tokens, _GRADED, f"one of {', '.join(GRADES)}")


def judge(
    comparisons: Sequence[Comparison], judge: Teacher, max_tokens: int, brief: str = ""
) -> list[Judgement]:
    """Ask the judge about each comparison in both orders; otherwise as :func:`grade`.

    Raises:
        TeacherError: the endpoint cannot be reached, refuses, fails too often, or no reply names a
            winner.
    """
    texts = [
        f"{item.asked}\n\nAnswer A:\n{a}\n\nAnswer B:\n{b}\n\nWhich is better: A, B or TIE?"
        for item in comparisons
        for a, b in ((item.first, item.second), (item.second, item.first))
    ]
    said = _ask(judge, _told(_COMPARE, brief), texts, max_tokens, _COMPARED, "A, B or TIE")
    return [
        _judgement(item, straight, swapped)
        for item, straight, swapped in zip(comparisons, said[::2], said[1::2], strict=True)
    ]


def _told(instructions: str, brief: str) -> str:
    return f"{instructions}\n\n{brief}" if brief else instructions


def _ask(
    judge: Teacher,
    told: str,
    texts: Sequence[str],
    max_tokens: int,
    reply: re.Pattern[str],
    expected: str,
) -> list[str | None]:
    """Return the first group of each reply, in small letters; None for one that does not match."""

    def read(text: str) -> str | None:
        found = reply.match(text)
        return found.group(1).lower() if found else None

    asked = [(("system", told), ("user", text)) for text in texts]
    return ask_judge(judge, asked, max_tokens, read, expected)


def win_rate(
    judgements: Sequence[Judgement], *, seed: int, draws: int, confidence: float
) -> WinRate:
    """Sum up one judgement or more; the interval resamples clusters.

    The length-controlled rate is AlpacaEval's (Dubois et al. 2024): a win is regressed on ``tanh``
    of the difference in words over its standard deviation, and read off at a difference of 0.

    Raises:
        ValueError: there are no judgements.
    """
    worth = {"first": 1.0, "tie": 0.5, "second": 0.0}
    won = np.array([worth[item.winner] for item in judgements])
    longer = np.array(
        [
            float(word_count(item.comparison.first) - word_count(item.comparison.second))
            for item in judgements
        ]
    )
    spread = float(longer.std())
    lean = np.tanh(longer / spread) if spread > 0 else np.zeros_like(longer)
    value = float(_at_equal_length(won, lean, np.ones((1, len(won))))[0])
    controlled = Interval(value, -inf, inf)
    clusters = np.array([item.comparison.cluster for item in judgements], dtype=np.str_)
    names, index = np.unique(clusters, return_inverse=True)
    if len(names) > 1:
        rates = _at_equal_length(won, lean, resamples(len(names), draws, seed)[:, index])
        tail = (1 - confidence) / 2
        low, high = np.quantile(rates, [tail, 1 - tail])
        controlled = Interval(value, float(low), float(high))
    return WinRate(
        comparisons=len(judgements),
        wins=int((won == 1).sum()),
        ties=int((won == 0.5).sum()),
        consistency=float(np.mean([item.consistent for item in judgements])),
        for_shown_first=float(np.mean([item.for_shown_first for item in judgements])),
        unreadable=sum(not item.readable for item in judgements),
        plain=float(won.mean()),
        controlled=controlled,
    )


def _at_equal_length(won: Floats, lean: Floats, weights: Floats) -> Floats:
    """Return the fitted win rate at a length difference of 0, for each row of weights.

    Newton's method on the penalized likelihood of ``logit P(win) = a + b lean``.
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


def _judgement(item: Comparison, straight: str | None, swapped: str | None) -> Judgement:
    names: dict[str | None, Winner] = {"a": "first", "b": "second", "tie": "tie"}
    turned: dict[str | None, Winner] = {"a": "second", "b": "first", "tie": "tie"}
    one, other = names.get(straight), turned.get(swapped)
    same = one is not None and one == other
    shown = [{"a": 1.0, "b": 0.0}.get(reply or "", 0.5) for reply in (straight, swapped)]
    return Judgement(
        comparison=item,
        winner=one if one is not None and one == other else "tie",
        consistent=same,
        readable=one is not None and other is not None,
        for_shown_first=sum(shown) / 2,
    )
