"""A grading judge: correct, partly, wrong or unsupported, with passage and reference in view.

Each answer is graded by itself, so that no position and no rival sways the judge. It counts only
when it agrees with people on answers that they accepted, rejected or wrote anew, by Cohen's kappa.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.core.errors import TeacherError
from pipeline.evaluate.judged import Calibration
from pipeline.evaluate.measures.llm_judge import Asked
from pipeline.pairs.teachers.replies import forget
from pipeline.pairs.teachers.teacher import Request, Teacher

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
    requests = [
        Request(
            (("system", told), ("user", f"{item.asked}\n\nAnswer:\n{item.answer}\n\nGrade?")),
            max_tokens,
            temperature=0.0,
            top_p=1.0,
        )
        for item in items
    ]
    replies = judge.complete(requests, seed=0)
    matches = [None if reply.failed else _REPLY.match(reply.texts[0]) for reply in replies]
    for request, match in zip(requests, matches, strict=True):
        if match is None:
            forget(judge, request, seed=0)
    if matches and not any(matches):
        raise TeacherError(
            f"judge {judge.name}: none of {len(matches)} replies is a grade (first: "
            f"{' '.join(replies[0].shown.split())!r}); expected one of {', '.join(GRADES)}; raise "
            "judge.max_tokens or judge.thinking_tokens, or choose another judge"
        )
    return [match.group(1).lower() if match else None for match in matches]


def calibrate(
    items: Sequence[Graded], grades: Sequence[str | None], least: int, min_kappa: float
) -> Calibration:
    """Compare the judge with people: is an answer correct that they accepted, and no other?

    Args:
        items: with decisions of people.
        grades: of the judge; one that could not be read says that the answer is not correct.
        least: decisions that are needed.
        min_kappa: from which the judge counts.
    """
    from sklearn.metrics import cohen_kappa_score

    count = len(items)
    if count < least:
        text = f"not calibrated: {count} decisions of people, needed {least}; shown, does not gate"
        return Calibration(count, 0.0, 0.0, False, text)
    people, judged = [bool(item.accepted) for item in items], [mark == "correct" for mark in grades]
    agreement = sum(one == other for one, other in zip(people, judged, strict=True)) / count
    one_sided = len(set(people) | set(judged)) < 2
    kappa = 0.0 if one_sided else float(cohen_kappa_score(people, judged))
    calibrated = kappa >= min_kappa
    text = f"calibrated: kappa {kappa:.2f} on {count} decisions of people, needed {min_kappa:g}"
    text = text if calibrated else f"not {text}; shown, does not gate"
    return Calibration(count, agreement, kappa, calibrated, text)
