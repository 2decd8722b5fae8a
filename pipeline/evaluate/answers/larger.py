"""A larger model on the test set: does the small tuned one beat it, and at what price?

It is asked behind an endpoint or from a folder, as one would use it: with the passages that
retrieval finds, where the retrieval arm is on. Nothing is scored by its likelihoods.
"""

import time
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.errors import TeacherError
from pipeline.core.outcome import table
from pipeline.evaluate.answers.answers import Answered, Request, messages_of, scores
from pipeline.evaluate.answers.prompts import Material
from pipeline.pairs.teachers import teacher as teachers
from pipeline.pairs.teachers.replies import forget
from pipeline.pairs.teachers.teacher import Teacher
from schemas.evaluation import Answers, AnswerTimings
from schemas.pairs import Examples


def ask_larger(
    asked: DataFrame[Examples],
    base: DataFrame[Answers],
    teacher: Teacher,
    material: Material,
    max_new_tokens: int,
) -> Answered:
    """Let a larger model answer the test set at temperature 0.

    Args:
        asked: the test rows.
        base: the base model's answers: how long the references are in its tokens.
        teacher: the larger model.
        material: passages to put before the questions, and what answers are held against.
        max_new_tokens: of an answer.

    Returns:
        Answers without a loss and a log-probability, sorted by pair_id; prompt and written tokens
        are those that the model counts itself. One row of timings.

    Raises:
        TeacherError: it cannot be reached, or a question got no answer.
    """
    rows = asked.sort("pair_id").to_dicts()
    requests = [
        teachers.Request(
            tuple(
                (turn["role"], turn["content"]) for turn in messages_of(row, material, False)[:-1]
            ),
            max_new_tokens,
            temperature=0.0,
            top_p=1.0,
        )
        for row in rows
    ]
    started = time.perf_counter()
    replies = teacher.complete(requests, seed=0)
    seconds = time.perf_counter() - started
    failed = [place for place, reply in enumerate(replies) if reply.failed]
    for place in failed:
        forget(teacher, requests[place], seed=0)
    if failed:
        raise TeacherError(
            f"larger model {teacher.name}: {len(failed)} of {len(replies)} questions got no answer "
            f"(first: {replies[failed[0]].shown}); expected one each; run again, or leave "
            "larger.model empty"
        )
    known = {row["pair_id"]: row for row in base.iter_rows(named=True)}
    answers = [
        known[row["pair_id"]]
        | {
            "arm": "larger",
            "prompt_tokens": max(1, reply.prompt_tokens),
            "completion_tokens": max(1, reply.completion_tokens),
            "loss": None,
            "bits_per_byte": None,
            "log_prob": None,
            "stopped": float(reply.finish_reasons[0] == teachers.ENDED),
        }
        | scores(Request(row, [], [], False), reply.texts[0].strip(), material)
        for row, reply in zip(rows, replies, strict=True)
    ]
    total: dict[str, Any] = {
        "rows": len(rows),
        "prompt_tokens": sum(row["prompt_tokens"] for row in answers),
        "completion_tokens": sum(row["completion_tokens"] for row in answers),
        "first_token_seconds": 0.0,
        "seconds": seconds,
    }
    return Answered(table(Answers, answers), table(AnswerTimings, [total]))
