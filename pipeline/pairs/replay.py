"""Replay: rows that the base model writes itself, mixed in against forgetting.

A model that trains on its own answers to general requests beside the new rows is held where it
was: self-generated replay nearly removes forgetting and needs no stored corpus (arXiv 2605.26097,
see also 2603.04964). The prompts are everyday requests and the seed tasks.
"""

import math
from collections.abc import Sequence

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import digest, short_id
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.dedup.decontaminate import example_leaks
from pipeline.pairs.answer_text import CONTROL_TOKEN
from pipeline.pairs.examples import user_message
from pipeline.pairs.prompts import GENERAL_PROMPTS
from pipeline.pairs.teachers.teacher import Request, Teacher
from schemas.pairs import Examples, SeedTasks

ORIGIN = "replay"
"""Origin of the rows."""
TEMPERATURE, TOP_P = 0.7, 0.9
"""Answers as the model gives them, varied enough to be asked twice."""
MAX_TOKENS = 160
"""Room for an answer; one that does not end in it is not used."""
ROUND = 16
"""Requests asked at once."""


def rows_wanted(share: float, train_rows: int) -> int:
    """Return how many replay rows make ``share`` of all train rows, replay included."""
    return round(share / (1 - share) * train_rows)


def replay(
    seed_tasks: DataFrame[SeedTasks],
    held_out: DataFrame[Examples],
    wanted: int,
    seed: int,
    teacher: Teacher,
) -> Outcome[Examples]:
    """Let the base model answer general prompts.

    Args:
        seed_tasks: further prompts beside the general ones.
        held_out: rows of validation and test, which no replay row may give away.
        wanted: answers to ask for; every prompt is asked before one is asked again.
        seed: of the sampling.
        teacher: the base model itself.

    Returns:
        Train rows sorted by ``pair_id``. Dropped: ``request_failed``, ``reply_cut`` (did not end),
        ``empty_message``, ``control_token``, ``duplicate_reply``, ``leaks_into_test`` and
        ``leaks_into_validation``.
    """
    prompts = list(GENERAL_PROMPTS) + [
        user_message(task["instruction"], task["input"])
        for task in seed_tasks.sort("seed_task_id").iter_rows(named=True)
    ]
    kept: dict[str, dict[str, object]] = {}
    dropped: list[Drop] = []
    for number, prompt, text, reason in _answers(prompts, wanted, seed, teacher):
        key = short_id(digest([ORIGIN, prompt, text]))
        if reason is None and key in kept:
            reason = "duplicate_reply"
        if reason is not None:
            dropped.append(Drop(short_id(digest([ORIGIN, seed, number])), reason, text or prompt))
            continue
        kept[key] = {
            "pair_id": key,
            "doc_id": "",
            "cluster_id": key,
            "split": "train",
            "origin": ORIGIN,
            "status": "unreviewed",
            "messages": [
                {"role": "user", "content": prompt},
                {"role": "assistant", "content": text},
            ],
        }
    rows = table(Examples, kept.values())
    leaks = {
        leak.pair_id: leak
        for leak in reversed(example_leaks(pl.concat([rows, held_out])))
        if leak.pair_id in kept
    }
    dropped += [
        Drop(
            leak.pair_id, f"leaks_into_{leak.split}", leak.kind, leak.value, leak.threshold,
            leak.test_pair_id,
        )
        for leak in leaks.values()
    ]  # fmt: skip
    clean = table(Examples, [row for key, row in sorted(kept.items()) if key not in leaks])
    return Outcome(clean, drops(dropped), rows_in=wanted)


def _answers(
    prompts: Sequence[str], wanted: int, seed: int, teacher: Teacher
) -> list[tuple[int, str, str, str | None]]:
    """Return number, prompt, answer and the reason against it, one for each answer wanted."""
    rounds = math.ceil(wanted / len(prompts))
    asked = [
        (turn, prompt)
        for turn in range(rounds)
        for prompt in prompts[: wanted - turn * len(prompts)]
    ]
    answers: list[tuple[int, str, str, str | None]] = []
    for first in range(0, len(asked), ROUND):
        batch = asked[first : first + ROUND]
        requests = [
            Request((("user", prompt),), MAX_TOKENS, TEMPERATURE, TOP_P) for _, prompt in batch
        ]
        # Another seed each time a prompt comes again, or it would get the same answer.
        replies = teacher.complete(requests, seed + batch[0][0])
        for (_, prompt), reply in zip(batch, replies, strict=True):
            text, reason = reply.texts[0].strip(), None
            if reply.failed:
                reason = "request_failed"
            elif reply.finish_reasons[0] != "stop":
                reason = "reply_cut"
            elif not text:
                reason = "empty_message"
            elif CONTROL_TOKEN.search(text):
                reason = "control_token"
            answers.append((len(answers), prompt, text, reason))
    return answers


REPLAY = Stage(
    "replay",
    replay,
    Examples,
    version=2,
    holds_model=True,
    code=("pipeline.pairs.replay", "pipeline.pairs.teachers.embedded"),
)
