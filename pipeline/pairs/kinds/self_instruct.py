"""Self-Instruct (Wang et al. 2023): new tasks from tasks that people wrote.

A prompt lists tasks, six from people and two that the teacher made earlier (people's only at the
start), and the teacher adds one; then it carries its task out. Documents play no part, so a new
document never changes what is asked here.

A strong teacher goes the whole way of the paper: only a task that is new by ROUGE-L joins the pool;
a classification gets its labels first and an input for each, any other task several inputs. What it
answered it is shown once more, and what it does not stand by goes. A weak one writes an instruction
with its input on a line, and one answer.
"""

import random
import re
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

from pandera.typing.polars import DataFrame
from rapidfuzz import process
from rapidfuzz.distance import Indel

from pipeline.core.cache import digest, short_id
from pipeline.core.outcome import Drop
from pipeline.pairs import prompts
from pipeline.pairs.answer_text import tidy
from pipeline.pairs.harvest import Harvest, pair_row, sampled
from pipeline.pairs.kinds.writing import NONE, Writing
from pipeline.pairs.teachers.teacher import Messages, Reply, Request
from pipeline.pairs.weak_english.questions import LABEL
from pipeline.text.words import same_text, words
from schemas.pairs import SeedTasks

KIND = "self_instruct"
ROUND = 8
"""Tasks asked for at once; the next round may show what this one made."""
OWN_SHARE = 0.25
"""Share of the shown tasks that the teacher made: 2 of 8."""
TASK_TOKENS = 96
"""Room for an instruction and its input."""
MOST_ALIKE = 0.7
"""ROUGE-L F1 with a task of the pool up to which another one is new (Self-Instruct)."""
FEWEST_WORDS, MOST_WORDS = 3, 150
"""Of an instruction (Self-Instruct)."""
WITHOUT_TEXT = re.compile(
    r"\b(?:images?|pictures?|photos?|graphs?|files?|maps?|draw|plot|audio|videos?|music"
    r"|flowcharts?|diagrams?|go to|websites?)\b",
    re.IGNORECASE,
)
"""Tasks that text alone cannot do (Self-Instruct's list)."""
YES = re.compile(r"\W*yes\b", re.IGNORECASE)
NOTHING = re.compile(r"^\W*(?:none|n/?a|no ?input|nothing|empty|)\W*$", re.IGNORECASE)
TASK = re.compile(
    r"^\s*(?P<instruction>[^\n]+?)\s*\n+\s*(?:Input:[ \t]*(?P<given>[^\n]*)(?:\n|$)|Output:)",
    re.IGNORECASE,
)
EXAMPLE = re.compile(r"\s*Label:[ \t]*(?P<label>[^\n]+)\n\s*Input:\s*(?P<given>.+)", re.S | re.I)
BETWEEN = re.compile(r"^[ \t]*-{3,}[ \t]*$", re.MULTILINE)


class _Task(NamedTuple):
    instruction: str
    given: str
    seed_task_ids: str


class _Instance(NamedTuple):
    task: _Task
    label: str
    """The answer of a classification; empty: it is to be asked for."""


def self_instruct(seed_tasks: DataFrame[SeedTasks], writing: Writing) -> Harvest:
    """Make pairs of ``self_instruct_tasks`` tasks without a document; what fails is a drop.

    Args:
        seed_tasks: tasks written by people, in any order.
        writing: teacher, settings (how many tasks, how many are shown), brief, languages.
    """
    harvest = Harvest()
    tasks = _new_tasks(seed_tasks.sort("seed_task_id").to_dicts(), writing, harvest)
    instances = [_Instance(task, "") for task in tasks]
    if writing.teacher.strength == "strong":
        instances = _instances(tasks, writing, harvest)
    open_ = [instance for instance in instances if not instance.label]
    asked = [prompts.task_output(task.instruction, task.given) for task, _ in open_]
    told = writing.brief.told() if writing.teacher.strength == "strong" else ()
    replies = writing.ask(
        [(*told, *messages) for messages in asked], writing.settings.max_answer_tokens
    )
    answered = [instance for instance in instances if instance.label]
    for number, (instance, (request, reply)) in enumerate(zip(open_, replies, strict=True)):
        answer = tidy(reply.texts[0])
        if reply.problem or not answer:
            harvest.drops.append(_drop(number, reply, instance.task.instruction))
            writing.forget(request)
        else:
            answered.append(instance._replace(label=answer))
    if writing.teacher.strength == "strong":
        answered = _stood_by(answered, writing, harvest)
    strong = writing.teacher.strength == "strong"
    version = writing.brief.prompts[KIND].version if strong else prompts.SELF_INSTRUCT
    for task, answer in answered:
        harvest.pairs.append(
            pair_row(
                *(KIND, task.instruction, answer, task.given),
                seed_task_id=task.seed_task_ids,
                kind=KIND,
                generator=writing.teacher.name,
                prompt_version=version,
            )
        )
    return harvest


def diversity(instructions: Sequence[str]) -> dict[str, float]:
    """Return how unlike instructions are.

    Returns:
        ``distinct_2``: different pairs of neighbouring words over all of them (Li et al. 2016);
        ``nearest``: mean ROUGE-L F1 with the most alike other one. Empty for less than two.
    """
    cut = [words(text) for text in instructions]
    pairs = [pair for text in cut for pair in pairwise(text)]
    if len(cut) < 2 or not pairs:
        return {}
    near = [
        max(Indel.normalized_similarity(text, other) for other in cut[:n] + cut[n + 1 :])
        for n, text in enumerate(cut)
    ]
    return {"distinct_2": len(set(pairs)) / len(pairs), "nearest": sum(near) / len(near)}


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


def _new_tasks(seeds: Sequence[dict[str, Any]], writing: Writing, harvest: Harvest) -> list[_Task]:
    """Ask for tasks round by round; each shows some that the rounds before made."""
    made: list[_Task] = []
    strong = writing.teacher.strength == "strong"
    pool = [words(task["instruction"]) for task in seeds]
    total = writing.settings.self_instruct_tasks if seeds else 0
    while (done := len(made) + len(harvest.drops)) < total:
        numbers = range(done, min(done + ROUND, total))
        shown = [_shown(seeds, made, number, writing) for number in numbers]
        requests = [
            _task_request(tasks, number, writing)
            for number, (tasks, _) in zip(numbers, shown, strict=True)
        ]
        replies = writing.teacher.complete(requests, writing.settings.seed)
        for number, request, reply, (_, ids) in zip(numbers, requests, replies, shown, strict=True):
            harvest.raw.append(reply.shown)
            task = None if reply.problem else parse_task(reply.texts[0])
            reason = ""
            if strong:
                line = LABEL.sub("", tidy(reply.texts[0]).split("\n", 1)[0]).strip()
                reason = reply.problem or _fault(line, pool)
                task = None if reason else (line, "")
            if task is None:
                harvest.drops.append(_drop(number, reply, reason=reason))
                if reason in ("", reply.problem, "unparsable"):  # else it is read, and not wanted
                    writing.forget(request)
            else:
                made.append(_Task(*task, ids))
                pool.append(words(task[0]))
    return made


def _task_request(tasks: Sequence[tuple[str, str]], number: int, writing: Writing) -> Request:
    if writing.teacher.strength != "strong":
        messages = prompts.new_task(tasks)
        stop = (f"\n{len(tasks) + 2}.", "\n\n")
        return sampled(writing.settings, messages, TASK_TOKENS, stop=stop)
    languages = writing.languages or ("en",)
    code = languages[number % len(languages)]
    listed = "\n".join(f"- {' '.join(instruction.split())}" for instruction, _ in tasks)
    language = "" if code == "en" else f"Write it in the language with the ISO 639 code {code}. "
    messages = writing.brief.ask(KIND, "task", tasks=listed, language=language)
    return sampled(writing.settings, messages, TASK_TOKENS)


def _fault(instruction: str, pool: Sequence[Sequence[str]]) -> str:
    """Return why an instruction may not join the pool; '' when it may."""
    said = words(instruction)
    if not FEWEST_WORDS <= len(said) <= MOST_WORDS or instruction.endswith(":"):
        return "unparsable"
    if WITHOUT_TEXT.search(instruction):
        return "not_for_text"
    alike = process.extractOne(
        said, pool, scorer=Indel.normalized_similarity, processor=None, score_cutoff=MOST_ALIKE
    )
    return "like_another_task" if alike and alike[1] > MOST_ALIKE else ""


def _instances(tasks: Sequence[_Task], writing: Writing, harvest: Harvest) -> list[_Instance]:
    """Return several instances of each task: label first for a classification."""
    brief, count = writing.brief, str(writing.settings.instances)

    def about(part: str, some: Sequence[_Task]) -> list[Messages]:
        return [brief.ask(KIND, part, task=task.instruction, count=count) for task in some]

    kinds = writing.ask(about("kind", tasks), 8)
    labelled = [bool(YES.match(tidy(reply.texts[0]))) for _, reply in kinds]
    room = writing.settings.instances * writing.settings.max_answer_tokens
    parts = ["labels" if label else "inputs" for label in labelled]
    asked = list(
        chain.from_iterable(about(part, [task]) for part, task in zip(parts, tasks, strict=True))
    )
    found: list[_Instance] = []
    for number, (task, label, (request, reply)) in enumerate(
        zip(tasks, labelled, writing.ask(asked, room), strict=True)
    ):
        text = tidy(reply.texts[0])
        pieces = [piece.strip() for piece in BETWEEN.split(text) if piece.strip()]
        if reply.problem == "cut_short":
            pieces = pieces[:-1]
        if label:
            matches = filter(None, map(EXAMPLE.fullmatch, pieces))
            some = [(match["given"].strip(), match["label"].strip()) for match in matches]
        elif NONE.fullmatch(text):
            some = [("", "")]
        else:
            some = [(re.sub(r"\A(?i:input\s*\d*:)\s*", "", piece), "") for piece in pieces]
        # One input with two labels is wrong at least once: neither is kept (Self-Instruct).
        labels: dict[str, set[str]] = {}
        for given, answer in some:
            labels.setdefault(same_text(given), set()).add(same_text(answer))
        some = [pair for pair in dict.fromkeys(some) if len(labels[same_text(pair[0])]) == 1]
        if reply.failed or not some:
            harvest.drops.append(_drop(number, reply, task.instruction))
            writing.forget(request)
        found += [
            _Instance(task._replace(given=given), answer)
            for given, answer in some[: writing.settings.instances]
        ]
    return found


def _stood_by(answered: Sequence[_Instance], writing: Writing, harvest: Harvest) -> list[_Instance]:
    """Return the instances whose answer the teacher finds right when it is shown it again."""
    asked = []
    for task, answer in answered:
        ((_, told),) = prompts.task_output(task.instruction, task.given)
        asked.append(writing.brief.ask(KIND, "check", task=told, answer=answer))
    kept = []
    for number, (instance, (_, reply)) in enumerate(
        zip(answered, writing.ask(asked, 8), strict=True)
    ):
        if not reply.problem and YES.match(tidy(reply.texts[0])):
            kept.append(instance)
            continue
        shown = f"{instance.task.instruction} | {instance.label}"
        reason = "request_failed" if reply.failed else "judged_wrong"
        identity = short_id(KIND, "check", str(number), shown)
        harvest.drops.append(Drop(identity, reason, shown))
    return kept


def _shown(
    seeds: Sequence[dict[str, Any]], made: Sequence[_Task], number: int, writing: Writing
) -> tuple[list[tuple[str, str]], str]:
    """Choose the tasks in the prompt of a new task; return them and the ids of the seed tasks."""
    settings = writing.settings
    chance = random.Random(int(digest([settings.seed, number])[:15], 16))
    total = settings.in_context_tasks
    from_own = min(round(total * OWN_SHARE), len(made))
    people = chance.sample(list(seeds), min(total - from_own, len(seeds)))
    tasks = [(task["instruction"], task["input"]) for task in people]
    tasks += [(task.instruction, task.given) for task in chance.sample(made, from_own)]
    chance.shuffle(tasks)
    return tasks, " ".join(task["seed_task_id"] for task in people)


def _drop(number: int, reply: Reply, instruction: str = "", reason: str = "") -> Drop:
    identity = short_id(KIND, str(number), instruction)
    excerpt = f"{instruction} | {reply.shown}" if instruction else reply.shown
    return Drop(identity, reply.problem or reason or "unparsable", excerpt)
