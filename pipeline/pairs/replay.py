"""Replay: rows that the base model writes itself, mixed in against forgetting.

A model that trains on its own answers to general requests beside the new rows is held where it
was: self-generated replay nearly removes forgetting and needs no stored corpus (arXiv 2605.26097,
see also 2603.04964). The prompts are everyday requests and the seed tasks.
"""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import digest, short_id
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.dedup.decontaminate import example_leaks
from pipeline.pairs.answer_text import CONTROL_TOKEN
from pipeline.pairs.examples import user_message
from pipeline.pairs.teachers.teacher import ENDED, Reply, Request, Teacher
from schemas.pairs import Examples, SeedTasks

_FILE = Path(__file__).with_suffix(".toml")
GENERAL_PROMPTS: list[str] = tomllib.loads(_FILE.read_text("utf-8"))["prompts"]
ORIGIN = "replay"
TEMPERATURE, TOP_P = 0.7, 0.9  # answers as the model gives them, varied enough to be asked twice
MAX_TOKENS = 160  # room for an answer; one that does not end in it is not used
ROUND = 16  # requests asked at once


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
    """Let the base model (``teacher``) answer general prompts and those of the seed tasks.

    ``wanted`` answers are asked for; ``held_out`` rows, of validation and test, are given away by
    none of them.

    Returns:
        Train rows sorted by ``pair_id``. Dropped: ``request_failed``, ``reply_cut``,
        ``empty_message``, ``control_token``, ``duplicate_reply``, ``leaks_into_test`` and
        ``leaks_into_validation``.
    """
    prompts = GENERAL_PROMPTS + [
        user_message(task["instruction"], task["input"])
        for task in seed_tasks.sort("seed_task_id").iter_rows(named=True)
    ]
    kept: dict[str, dict[str, object]] = {}
    dropped: list[Drop] = []
    for number, (prompt, reply) in enumerate(_replies(prompts, wanted, seed, teacher)):
        text = reply.texts[0].strip()
        key = short_id(digest([ORIGIN, prompt, text]))
        problems = {
            "request_failed": reply.failed,
            "reply_cut": reply.finish_reasons[0] != ENDED,
            "empty_message": not text,
            "control_token": CONTROL_TOKEN.search(text),
            "duplicate_reply": key in kept,
        }
        if reason := next((name for name, found in problems.items() if found), ""):
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
    for leak in example_leaks(pl.concat([rows, held_out])):
        if kept.pop(leak.pair_id, None):
            why = (f"leaks_into_{leak.split}", leak.kind, leak.value, leak.threshold)
            dropped.append(Drop(leak.pair_id, *why, leak.test_pair_id))
    clean = table(Examples, [row for _, row in sorted(kept.items())])
    return Outcome(clean, drops(dropped), rows_in=wanted)


def _replies(
    prompts: Sequence[str], wanted: int, seed: int, teacher: Teacher
) -> Iterator[tuple[str, Reply]]:
    """Yield each prompt with a reply; every prompt is asked before one is asked again."""
    for first in range(0, wanted, ROUND):
        numbers = range(first, min(first + ROUND, wanted))
        asked = [prompts[number % len(prompts)] for number in numbers]
        requests = [Request((("user", p),), MAX_TOKENS, TEMPERATURE, TOP_P) for p in asked]
        # Another seed each time a prompt comes again, or it would get the same answer.
        yield from zip(asked, teacher.complete(requests, seed + first // len(prompts)), strict=True)


REPLAY = Stage(
    "replay",
    replay,
    Examples,
    version=2,
    holds_model=True,
    code=("pipeline.pairs.replay", "pipeline.pairs.teachers.embedded"),
)
