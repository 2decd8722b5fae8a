"""Replay: rows that the base model writes itself, mixed in against forgetting.

A model that trains on its own answers to general requests beside the new rows is held where it
was: self-generated replay nearly removes forgetting and needs no stored corpus (arXiv 2605.26097,
see also 2603.04964). The prompts are everyday requests and the seed tasks.
"""

import math
from collections.abc import Iterator, Sequence

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import digest, short_id
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.dedup.decontaminate import example_leaks
from pipeline.pairs.answer_text import CONTROL_TOKEN
from pipeline.pairs.examples import user_message
from pipeline.pairs.prompts import GENERAL_PROMPTS
from pipeline.pairs.teachers.teacher import ENDED, Reply, Request, Teacher
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
    for number, (prompt, reply) in enumerate(_replies(prompts, wanted, seed, teacher)):
        text = reply.texts[0].strip()
        key = short_id(digest([ORIGIN, prompt, text]))
        reason = _problem(reply, text) or ("duplicate_reply" if key in kept else "")
        if reason:
            dropped.append(Drop(short_id(digest([ORIGIN, seed, number])), reason, text or prompt))
            continue
        turns = (("user", prompt), ("assistant", text))
        kept[key] = {
            "pair_id": key,
            "doc_id": "",
            "cluster_id": key,
            "split": "train",
            "origin": ORIGIN,
            "status": "unreviewed",
            "messages": [{"role": role, "content": content} for role, content in turns],
        }
    rows = table(Examples, kept.values())
    leaks = {
        leak.pair_id: leak
        for leak in reversed(example_leaks(pl.concat([rows, held_out])))
        if leak.pair_id in kept
    }
    for key, leak in leaks.items():
        reason = f"leaks_into_{leak.split}"
        dropped.append(Drop(key, reason, leak.kind, leak.value, leak.threshold, leak.test_pair_id))
    clean = table(Examples, [row for key, row in sorted(kept.items()) if key not in leaks])
    return Outcome(clean, drops(dropped), rows_in=wanted)


def _replies(
    prompts: Sequence[str], wanted: int, seed: int, teacher: Teacher
) -> Iterator[tuple[str, Reply]]:
    """Yield each prompt with a reply; every prompt is asked before one is asked again."""
    asked = [
        (turn, prompt)
        for turn in range(math.ceil(wanted / len(prompts)))
        for prompt in prompts[: wanted - turn * len(prompts)]
    ]
    for first in range(0, len(asked), ROUND):
        batch = asked[first : first + ROUND]
        requests = [Request((("user", p),), MAX_TOKENS, TEMPERATURE, TOP_P) for _, p in batch]
        # Another seed each time a prompt comes again, or it would get the same answer.
        replies = teacher.complete(requests, seed + batch[0][0])
        yield from ((prompt, reply) for (_, prompt), reply in zip(batch, replies, strict=True))


def _problem(reply: Reply, text: str) -> str:
    """Return why a reply cannot be trained on, or ''."""
    if reply.failed:
        return "request_failed"
    if reply.finish_reasons[0] != ENDED:
        return "reply_cut"
    if not text:
        return "empty_message"
    return "control_token" if CONTROL_TOKEN.search(text) else ""


REPLAY = Stage(
    "replay",
    replay,
    Examples,
    version=2,
    holds_model=True,
    code=("pipeline.pairs.replay", "pipeline.pairs.teachers.embedded"),
)
