"""A grading judge: correct, partly, wrong or unsupported, with passage and reference in view.

Each answer is graded by itself, so that no position and no rival sways the judge. It counts only
when it agrees with people on answers that they accepted, rejected or wrote anew, by Cohen's kappa.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.evaluate.measures.llm_judge import Asked
from pipeline.pairs.teachers.replies import ask_judge
from pipeline.pairs.teachers.teacher import Teacher

GRADES = {"correct": 1.0, "partly": 0.5, "wrong": 0.0, "unsupported": 0.0}
"""What a grade is worth."""

_INSTRUCTIONS = (
    "You grade an answer to a question by the passage and the reference, where they are given. "
    "Reply with one word: CORRECT when it says what the reference says, in whatever words, and "
    "nothing wrong; PARTLY when something that was asked for is missing; WRONG when it says what "
    "passage or reference contradict, or does not answer; UNSUPPORTED when it says what neither of "
    "them says. Where the reference declines, only an answer that declines is CORRECT."
)
_REPLY = re.compile(rf"^\W*(?:grade\W+)?({'|'.join(GRADES)})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Graded:
    """An answer to be graded, and what people say of it."""

    asked: Asked
    answer: str
    accepted: bool | None = None
    """By people; None where nobody decided."""


def grade(
    items: Sequence[Graded], judge: Teacher, max_tokens: int, brief: str = ""
) -> list[str | None]:
    """Ask the judge about each answer.

    Args:
        items: answers with what they are judged by.
        judge: who is asked.
        max_tokens: of a reply.
        brief: what the answers are for, in words; empty tells nothing.

    Returns:
        A grade of :data:`GRADES` each, None for a reply that cannot be read; it is not kept.

    Raises:
        TeacherError: the endpoint cannot be reached, refuses, fails too often, or no reply is a
            grade.
    """
    told = f"{_INSTRUCTIONS}\n\n{brief}" if brief else _INSTRUCTIONS
    asked = [
        (("system", told), ("user", f"{item.asked}\n\nAnswer:\n{item.answer}\n\nGrade?"))
        for item in items
    ]
    return ask_judge(judge, asked, max_tokens, _read, f"one of {', '.join(GRADES)}")


def _read(text: str) -> str | None:
    match = _REPLY.match(text)
    return match.group(1).lower() if match else None
