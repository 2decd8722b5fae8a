"""Self-Instruct (Wang et al. 2022): new tasks from tasks that people wrote.

A prompt lists tasks, six from people and two that the teacher made earlier (people's only at the
start), and the teacher adds one; then it carries its task out. Documents play no part, so a new
document never changes what is asked here.

One thing is simpler than in the paper: the output is always asked for after the input, for
classification too. The paper asks for the label first so that several instances of one task do
not all get the same label; here a task has one instance.
"""

import random
import re
from collections.abc import Sequence
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.cache import digest, short_id
from pipeline.core.outcome import Drop
from pipeline.pairs import prompts
from pipeline.pairs.answer_text import tidy
from pipeline.pairs.grounded import Harvest
from pipeline.pairs.pair_id import pair_id
from pipeline.pairs.teachers.replies import forget
from pipeline.pairs.teachers.teacher import Reply, Request, Teacher
from pipeline.settings import GenerateSettings
from schemas.pairs import SeedTasks

ROUND = 8
"""Tasks asked for at once; the next round may show what this one made."""
OWN_SHARE = 0.25
"""Share of the shown tasks that the teacher made: 2 of 8."""
TASK_TOKENS = 96
"""Room for an instruction and its input."""
NOTHING = re.compile(r"^\W*(?:none|n/?a|no ?input|nothing|empty|)\W*$", re.IGNORECASE)
TASK = re.compile(
    r"^\s*(?P<instruction>[^\n]+?)\s*\n+\s*(?:Input:[ \t]*(?P<given>[^\n]*)(?:\n|$)|Output:)",
    re.IGNORECASE,
)


def self_instruct(
    seed_tasks: DataFrame[SeedTasks], settings: GenerateSettings, teacher: Teacher
) -> Harvest:
    """Make ``self_instruct_tasks`` pairs without a document; a task that fails is a drop.

    Args:
        seed_tasks: tasks written by people, in any order.
        settings: how many tasks, how many are shown, sampling.
        teacher: asked for the tasks of a round at once, then for all outputs at once.
    """
    harvest = Harvest()
    seeds = seed_tasks.sort("seed_task_id").to_dicts()
    if not seeds:
        return harvest
    made: list[tuple[str, str, str]] = []
    while (done := len(made) + len(harvest.drops)) < settings.self_instruct_tasks:
        numbers = range(done, min(done + ROUND, settings.self_instruct_tasks))
        own = [(instruction, given) for instruction, given, _ in made]
        shown = [_shown(seeds, own, number, settings) for number in numbers]
        requests = [_task_request(tasks, settings) for tasks, _ in shown]
        replies = teacher.complete(requests, settings.seed)
        for number, request, reply, (_, ids) in zip(numbers, requests, replies, shown, strict=True):
            harvest.raw.append(reply.shown)
            task = None if reply.problem else parse_task(reply.texts[0])
            if task is None:
                harvest.drops.append(_drop(number, reply.problem or "unparsable", reply))
                forget(teacher, request, settings.seed)
            else:
                made.append((*task, ids))
    requests = [
        Request(
            prompts.task_output(instruction, given),
            settings.max_answer_tokens,
            settings.temperature,
            settings.top_p,
        )
        for instruction, given, _ in made
    ]
    replies = teacher.complete(requests, settings.seed) if requests else []
    for number, (done_task, request, reply) in enumerate(zip(made, requests, replies, strict=True)):
        if reply.problem or not tidy(reply.texts[0]):
            forget(teacher, request, settings.seed)
        _settle(number, done_task, reply, teacher.name, harvest)
    return harvest


def parse_task(text: str) -> tuple[str, str] | None:
    """Read an instruction and its input ('' for none) out of a reply; None when it is neither.

    Strict: the instruction is the first line, the input stands on the next one behind ``Input:``;
    a teacher that goes straight to ``Output:`` means no input.
    """
    match = TASK.match(tidy(text))
    if not match:
        return None
    instruction, given = match["instruction"].strip(), (match["given"] or "").strip()
    if not re.search(r"[^\W\d_]{2}", instruction) or instruction.endswith(":"):
        return None
    return instruction, "" if NOTHING.match(given) else given


def _shown(
    seeds: Sequence[dict[str, Any]],
    own: Sequence[tuple[str, str]],
    number: int,
    settings: GenerateSettings,
) -> tuple[list[tuple[str, str]], str]:
    """Choose the tasks in the prompt of a new task; return them and the ids of the seed tasks."""
    chance = random.Random(int(digest([settings.seed, number])[:15], 16))
    total = settings.in_context_tasks
    from_own = min(round(total * OWN_SHARE), len(own))
    people = chance.sample(list(seeds), min(total - from_own, len(seeds)))
    tasks = [(task["instruction"], task["input"]) for task in people]
    tasks += chance.sample(list(own), from_own)
    chance.shuffle(tasks)
    return tasks, " ".join(task["seed_task_id"] for task in people)


def _task_request(shown: Sequence[tuple[str, str]], settings: GenerateSettings) -> Request:
    return Request(
        prompts.new_task(shown),
        TASK_TOKENS,
        settings.temperature,
        settings.top_p,
        stop=(f"\n{len(shown) + 2}.", "\n\n"),
    )


def _settle(
    number: int, task: tuple[str, str, str], reply: Reply, generator: str, harvest: Harvest
) -> None:
    instruction, given, ids = task
    response = tidy(reply.texts[0])
    if reply.problem or not response:
        reason = reply.problem or "unparsable"
        harvest.drops.append(_drop(number, reason, reply, instruction))
    else:
        harvest.pairs.append(
            {
                "pair_id": pair_id(instruction, given, response, "", "self_instruct"),
                "instruction": instruction,
                "input": given,
                "response": response,
                "evidence": "",
                "chunk_id": "",
                "doc_id": "",
                "seed_task_id": ids,
                "generator": generator,
                "prompt_version": prompts.SELF_INSTRUCT,
                "origin": "self_instruct",
                "score": None,
            }
        )


def _drop(number: int, reason: str, reply: Reply, instruction: str = "") -> Drop:
    identity = short_id("self_instruct", str(number), instruction)
    excerpt = f"{instruction} | {reply.shown}" if instruction else reply.shown
    return Drop(identity, reason, excerpt)
