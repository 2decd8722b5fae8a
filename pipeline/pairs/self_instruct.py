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
from typing import Any, NamedTuple

from pandera.typing.polars import DataFrame

from pipeline.core.cache import digest, short_id
from pipeline.core.outcome import Drop
from pipeline.pairs import prompts
from pipeline.pairs.answer_text import tidy
from pipeline.pairs.harvest import Harvest, pair_row, sampled
from pipeline.pairs.teachers.replies import forget
from pipeline.pairs.teachers.teacher import Reply, Teacher
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


class _Task(NamedTuple):
    instruction: str
    given: str
    seed_task_ids: str


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
    made: list[_Task] = []
    total = settings.self_instruct_tasks if seeds else 0
    while (done := len(made) + len(harvest.drops)) < total:
        numbers = range(done, min(done + ROUND, total))
        shown = [_shown(seeds, made, number, settings) for number in numbers]
        requests = [
            sampled(
                *(settings, prompts.new_task(tasks), TASK_TOKENS),
                stop=(f"\n{len(tasks) + 2}.", "\n\n"),
            )
            for tasks, _ in shown
        ]
        replies = teacher.complete(requests, settings.seed)
        for number, request, reply, (_, ids) in zip(numbers, requests, replies, shown, strict=True):
            harvest.raw.append(reply.shown)
            task = None if reply.problem else parse_task(reply.texts[0])
            if task is None:
                harvest.drops.append(_drop(number, reply))
                forget(teacher, request, settings.seed)
            else:
                made.append(_Task(*task, ids))
    requests = [
        sampled(
            settings,
            prompts.task_output(task.instruction, task.given),
            settings.max_answer_tokens,
        )
        for task in made
    ]
    replies = teacher.complete(requests, settings.seed)
    for number, (new, request, reply) in enumerate(zip(made, requests, replies, strict=True)):
        response = tidy(reply.texts[0])
        if reply.problem or not response:
            harvest.drops.append(_drop(number, reply, new.instruction))
            forget(teacher, request, settings.seed)
            continue
        harvest.pairs.append(
            pair_row(
                *("self_instruct", new.instruction, response, new.given),
                seed_task_id=new.seed_task_ids,
                kind="self_instruct",
                generator=teacher.name,
                prompt_version=prompts.SELF_INSTRUCT,
            )
        )
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
    made: Sequence[_Task],
    number: int,
    settings: GenerateSettings,
) -> tuple[list[tuple[str, str]], str]:
    """Choose the tasks in the prompt of a new task; return them and the ids of the seed tasks."""
    chance = random.Random(int(digest([settings.seed, number])[:15], 16))
    total = settings.in_context_tasks
    from_own = min(round(total * OWN_SHARE), len(made))
    people = chance.sample(list(seeds), min(total - from_own, len(seeds)))
    tasks = [(task["instruction"], task["input"]) for task in people]
    tasks += [(task.instruction, task.given) for task in chance.sample(made, from_own)]
    chance.shuffle(tasks)
    return tasks, " ".join(task["seed_task_id"] for task in people)


def _drop(number: int, reply: Reply, instruction: str = "") -> Drop:
    identity = short_id("self_instruct", str(number), instruction)
    excerpt = f"{instruction} | {reply.shown}" if instruction else reply.shown
    return Drop(identity, reply.problem or "unparsable", excerpt)
