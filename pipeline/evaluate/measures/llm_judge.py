"""A judge that grades answers one by one, and compares them two by two.

Judges prefer what they see first and what is longer (Zheng et al. 2023; Dubois et al. 2024): each
comparison is asked twice with the answers swapped, a tie on disagreement, and the win rate is what
a logistic regression says at equal length. It counts only when its grades agree with people.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, NamedTuple

import numpy as np
from pandera.typing.polars import DataFrame

from pipeline.evaluate.results import Interval, WinRate
from pipeline.evaluate.statistics.intervals import Floats, resamples
from pipeline.pairs.teachers.replies import ask_judge
from pipeline.pairs.teachers.teacher import Teacher
from pipeline.text.terms import word_count
from schemas.pairs import Examples

Winner = Literal["first", "second", "tie"]

PROMPT_VERSION = "2"
RIDGE = 0.01  # penalty of the length coefficient: finite also where length decides every win
STEPS = 25  # of Newton's method; it converges within ten
GRADES = {"correct": 1.0, "partly": 0.5, "wrong": 0.0, "unsupported": 0.0}  # what a grade is worth

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
    reference: str = ""  # the right answer; empty where none is known
    passage: str = ""  # what the documents say of it; empty where they say nothing

    def __str__(self) -> str:
        """Return it as a judge reads it."""
        parts = {"Passage": self.passage, "Question": self.question, "Reference": self.reference}
        return "\n\n".join(f"{name}:\n{text}" for name, text in parts.items() if text)


def asked_of(test: DataFrame[Examples], sources: Mapping[str, str]) -> dict[str, Asked]:
    """Return what each test row asks, by pair_id; ``sources`` are the passages behind rows."""
    known = {}
    for pair, turns in test.select("pair_id", "messages").iter_rows():
        question, reference = (turn["content"] for turn in turns[-2:])
        known[pair] = Asked(question, reference, sources.get(pair, ""))
    return known


@dataclass(frozen=True, slots=True)
class Graded:
    """An answer to be graded, and what people say of it."""

    asked: Asked
    answer: str
    accepted: bool | None = None  # by people; None where nobody decided


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answers to one question, to be compared."""

    asked: Asked
    first: str
    second: str
    cluster: str  # resampling unit of the bootstrap


class Judgement(NamedTuple):
    """A comparison, and which answer the judge prefers; None for a reply that cannot be read."""

    comparison: Comparison
    straight: Winner | None
    swapped: Winner | None  # asked with the second answer shown first


def grade(
    items: Sequence[Graded], judge: Teacher, max_tokens: int, brief: str = ""
) -> list[str | None]:
    """Ask the judge about each answer, ``brief`` telling in words what the answers are for.

    Returns a grade of :data:`GRADES` each, None for a reply that cannot be read; it is not kept.
    TeacherError: the endpoint cannot be reached, refuses, fails too often, or no reply can be read.
    """
    texts = [f"{item.asked}\n\nAnswer:\n{item.answer}\n\nGrade?" for item in items]
    expected = f"one of {', '.join(GRADES)}"
    return _ask(judge, [_GRADE, brief], texts, max_tokens, _GRADED, expected)


def judge(
    comparisons: Sequence[Comparison], judge: Teacher, max_tokens: int, brief: str = ""
) -> list[Judgement]:
    """Ask the judge about each comparison in both orders; otherwise as :func:`grade`."""
    texts = [
        f"{item.asked}\n\nAnswer A:\n{a}\n\nAnswer B:\n{b}\n\nWhich is better: A, B or TIE?"
        for item in comparisons
        for a, b in ((item.first, item.second), (item.second, item.first))
    ]
    said = _ask(judge, [_COMPARE, brief], texts, max_tokens, _COMPARED, "A, B or TIE")
    names: dict[str | None, Winner] = {"a": "first", "b": "second", "tie": "tie"}
    turned: dict[str | None, Winner] = {"a": "second", "b": "first", "tie": "tie"}
    return [
        Judgement(item, names.get(straight), turned.get(swapped))
        for item, straight, swapped in zip(comparisons, said[::2], said[1::2], strict=True)
    ]


def _ask(
    judge: Teacher,
    told: Sequence[str],
    texts: Sequence[str],
    max_tokens: int,
    reply: re.Pattern[str],
    expected: str,
) -> list[str | None]:
    """Return the first group of each reply, in small letters; None for one that does not match."""

    def read(text: str) -> str | None:
        found = reply.match(text)
        return found.group(1).lower() if found else None

    system = "\n\n".join(filter(None, told))
    asked = [(("system", system), ("user", text)) for text in texts]
    return ask_judge(judge, asked, max_tokens, read, expected)


def win_rate(
    judgements: Sequence[Judgement], *, seed: int, draws: int, confidence: float
) -> WinRate:
    """Sum up one judgement or more; the interval resamples clusters.

    The length-controlled rate is AlpacaEval's (Dubois et al. 2024): a win is regressed on ``tanh``
    of the difference in words over its standard deviation, and read off at a difference of 0.
    """
    worth: dict[Winner | None, float] = {"first": 1.0, "tie": 0.5, "second": 0.0, None: 0.5}
    both = [(item.straight, item.swapped) for item in judgements]
    agreed = [one if one == other else None for one, other in both]
    shown_first = [(worth[one] + 1 - worth[other]) / 2 for one, other in both]
    won = np.array([worth[winner] for winner in agreed])
    pairs = [item.comparison for item in judgements]
    longer = np.array([float(word_count(x.first) - word_count(x.second)) for x in pairs])
    spread = float(longer.std())
    lean = np.tanh(longer / spread) if spread > 0 else np.zeros_like(longer)
    value = float(_at_equal_length(won, lean, np.ones((1, len(won))))[0])
    controlled = Interval(value, -inf, inf)
    names, index = np.unique([pair.cluster for pair in pairs], return_inverse=True)
    if len(names) > 1:
        rates = _at_equal_length(won, lean, resamples(len(names), draws, seed)[:, index])
        tail = (1 - confidence) / 2
        low, high = np.quantile(rates, [tail, 1 - tail])
        controlled = Interval(value, float(low), float(high))
    return WinRate(
        comparisons=len(judgements),
        wins=int((won == 1).sum()),
        ties=int((won == 0.5).sum()),
        consistency=float(np.mean([winner is not None for winner in agreed])),
        for_shown_first=float(np.mean(shown_first)),
        unreadable=sum(None in orders for orders in both),
        plain=float(won.mean()),
        controlled=controlled,
    )


def _at_equal_length(won: Floats, lean: Floats, weights: Floats) -> Floats:
    """Fit ``logit P(win) = a + b lean`` for each row of weights (Newton), return P at lean 0."""
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
