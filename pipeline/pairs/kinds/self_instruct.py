"""Self-Instruct (Wang et al. 2023): new tasks from tasks that people wrote, without documents.

A prompt lists tasks, six from people and two that the teacher made earlier (people's only at the
start), and the teacher adds one; then it carries its task out.

A strong teacher goes the whole way of the paper: only a task that is new by ROUGE-L joins the pool;
a classification gets its labels first and an input for each, any other task several inputs. What it
answered it is shown once more, and what it does not stand by goes. A weak one writes an instruction
with its input on a line, and one answer.
"""

import random
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pandera.typing.polars import DataFrame
from rapidfuzz import process
from rapidfuzz.distance import Indel

from pipeline.core.cache import digest, short_id
from pipeline.core.outcome import Drop
from pipeline.pairs.answer_text import tidy
from pipeline.pairs.examples import user_message
from pipeline.pairs.harvest import WEAK_SELF_INSTRUCT, Harvest, pair_row
from pipeline.pairs.kinds.writing import NONE, USELESS, Came, Writing
from pipeline.pairs.teachers.teacher import Messages, Reply, Request
from pipeline.pairs.weak_english.questions import LABEL
from pipeline.text.words import same_text, words
from schemas.pairs import SeedTasks

KIND = "self_instruct"
ROUND = 8  # tasks asked for at once; the next round may show what this one made
OWN_SHARE = 0.25  # share of the shown tasks that the teacher made: 2 of 8
TASK_TOKENS = 96  # room for an instruction and its input
SERIES = (
    "Come up with a varied series of tasks. Each has an instruction and, where it needs one, an "
    "input; write <none> otherwise."
)  # what a weak teacher is told; it goes on with the list of tasks that it is shown
MOST_ALIKE = 0.7  # ROUGE-L F1 up to which a task is new beside one of the pool (Self-Instruct)
FEWEST_WORDS, MOST_WORDS = 3, 150  # of an instruction (Self-Instruct)
WITHOUT_TEXT = re.compile(
    r"\b(?:images?|pictures?|photos?|graphs?|files?|maps?|draw|plot|audio|videos?|music"
    r"|flowcharts?|diagrams?|go to|websites?)\b",
    re.IGNORECASE,
)  # tasks that text alone cannot do (Self-Instruct's list)
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
    answer: str = ""  # empty: it is to be asked for


def self_instruct(seed_tasks: DataFrame[SeedTasks], writing: Writing) -> Harvest:
    """Make pairs of ``self_instruct_tasks`` tasks without a document; what fails is a drop."""
    harvest, brief = Harvest(), writing.brief
    tasks = _new_tasks(seed_tasks.sort("seed_task_id").to_dicts(), writing, harvest)
    told, version = brief.told(), brief.prompts[KIND].version
    if writing.strong:
        tasks = _instances(tasks, writing, harvest)
    else:
        told, version = (), WEAK_SELF_INSTRUCT
    answered = [task for task in tasks if task.answer]
    unanswered = [task for task in tasks if not task.answer]
    # Asked exactly as a model that is trained on the pair will be.
    asked = [(*told, ("user", user_message(task.instruction, task.given))) for task in unanswered]
    replies = writing.ask(asked, writing.settings.max_answer_tokens)
    for number, (task, came) in enumerate(zip(unanswered, replies, strict=True)):
        answer = tidy(came[1].texts[0])
        if answer and not came[1].problem:
            answered.append(task._replace(answer=answer))
        else:
            _lose(writing, harvest, number, came, task.instruction)
    if writing.strong:
        answered = _stood_by(answered, writing, harvest)
    made = {"kind": KIND, "generator": writing.teacher.name, "prompt_version": version}
    for instruction, given, ids, answer in answered:
        pair = pair_row(KIND, instruction, answer, given, seed_task_id=ids, **made)
        harvest.pairs.append(pair)
    return harvest


def diversity(instructions: Sequence[str]) -> dict[str, float]:
    """Return how unlike instructions are; empty for less than two.

    ``distinct_2``: different pairs of neighbouring words over all of them (Li et al. 2016);
    ``nearest``: mean ROUGE-L F1 with the most alike other one.
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
    """Read an instruction, the first line, and its input behind ``Input:`` on the next one, or ''.

    Behind an instruction alone stands ``Output:``; None for any other text.
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
    pool = [words(task["instruction"]) for task in seeds]
    total = writing.settings.self_instruct_tasks if seeds else 0
    while (done := len(made) + len(harvest.drops)) < total:
        numbers = range(done, min(done + ROUND, total))
        asked = [_task_request(seeds, made, number, writing) for number in numbers]
        replies = writing.teacher.complete([request for request, _ in asked], writing.settings.seed)
        for number, (request, ids), reply in zip(numbers, asked, replies, strict=True):
            harvest.raw.append(reply.shown)
            reason, task = reply.problem, parse_task(reply.texts[0])
            if writing.strong:
                line = LABEL.sub("", tidy(reply.texts[0]).split("\n", 1)[0]).strip()
                reason, task = reason or _fault(line, pool), (line, "")
            if reason or task is None:
                _lose(writing, harvest, number, (request, reply), reason=reason)
            else:
                made.append(_Task(*task, ids))
                pool.append(words(task[0]))
    return made


def _task_request(
    seeds: Sequence[dict[str, Any]], made: Sequence[_Task], number: int, writing: Writing
) -> tuple[Request, str]:
    """Choose the tasks to show and ask for one more; return also the ids of the seed tasks."""
    settings = writing.settings
    chance = random.Random(int(digest([settings.seed, number])[:15], 16))
    from_own = min(round(settings.in_context_tasks * OWN_SHARE), len(made))
    people = chance.sample(list(seeds), min(settings.in_context_tasks - from_own, len(seeds)))
    tasks = [(task["instruction"], task["input"]) for task in people]
    tasks += [(task.instruction, task.given) for task in chance.sample(made, from_own)]
    chance.shuffle(tasks)
    ids = " ".join(task["seed_task_id"] for task in people)
    shown = [(" ".join(asked.split()), " ".join(given.split())) for asked, given in tasks]
    if not writing.strong:
        begun = "".join(
            f"{place}. Task: {asked}\nInput: {given or '<none>'}\n"
            for place, (asked, given) in enumerate(shown, start=1)
        )
        series = (("user", SERIES), ("assistant", f"{begun}{len(shown) + 1}. Task:"))
        stop = (f"\n{len(shown) + 2}.", "\n\n")
        return writing.request(series, TASK_TOKENS, stop=stop), ids
    languages = writing.languages or ("en",)
    code = languages[number % len(languages)]
    language = "" if code == "en" else f"Write it in the language with the ISO 639 code {code}. "
    listed = "\n".join(f"- {asked}" for asked, _ in shown)
    messages = writing.brief.ask(KIND, "task", tasks=listed, language=language)
    return writing.request(messages, TASK_TOKENS), ids


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


def _instances(tasks: Sequence[_Task], writing: Writing, harvest: Harvest) -> list[_Task]:
    """Return several instances of each task: label first for a classification."""
    count = writing.settings.instances

    def about(part: str, task: _Task) -> Messages:
        return writing.brief.ask(KIND, part, task=task.instruction, count=str(count))

    kinds = writing.ask([about("kind", task) for task in tasks], 8)
    labelled = [bool(YES.match(tidy(reply.texts[0]))) for _, reply in kinds]
    parts = ["labels" if label else "inputs" for label in labelled]
    asked = [about(part, task) for part, task in zip(parts, tasks, strict=True)]
    replies = writing.ask(asked, count * writing.settings.max_answer_tokens)
    found: list[_Task] = []
    for number, (task, label, came) in enumerate(zip(tasks, labelled, replies, strict=True)):
        some = _read_instances(came[1], label)[:count]
        if not some:
            _lose(writing, harvest, number, came, task.instruction)
        found += [task._replace(given=given, answer=answer) for given, answer in some]
    return found


def _read_instances(reply: Reply, labelled: bool) -> list[tuple[str, str]]:
    """Return the inputs in a reply, each with its label or ''; none of a failure or a refusal."""
    if reply.problem not in ("", "cut_short"):
        return []
    text = tidy(reply.texts[0])
    pieces = [piece.strip() for piece in BETWEEN.split(text) if piece.strip()]
    if reply.problem == "cut_short":
        pieces = pieces[:-1]
    if labelled:
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
    return [pair for pair in dict.fromkeys(some) if len(labels[same_text(pair[0])]) == 1]


def _stood_by(answered: Sequence[_Task], writing: Writing, harvest: Harvest) -> list[_Task]:
    """Return the tasks whose answer the teacher finds right when it is shown it again."""
    asked = []
    for task in answered:
        told = {"task": user_message(task.instruction, task.given), "answer": task.answer}
        asked.append(writing.brief.ask(KIND, "check", **told))
    kept, replies = [], writing.ask(asked, 8)
    for number, (task, (_, reply)) in enumerate(zip(answered, replies, strict=True)):
        if not reply.problem and YES.match(tidy(reply.texts[0])):
            kept.append(task)
            continue
        shown = f"{task.instruction} | {task.answer}"
        reason = "request_failed" if reply.failed else "judged_wrong"
        identity = short_id(KIND, "check", str(number), shown)
        harvest.drops.append(Drop(identity, reason, shown))
    return kept


def _lose(
    writing: Writing, harvest: Harvest, number: int, came: Came, task: str = "", reason: str = ""
) -> None:
    """Note the drop of a task or an instance of it; a useless reply is asked for again."""
    request, reply = came
    reason = reply.problem or reason or "unparsable"
    excerpt = f"{task} | {reply.shown}" if task else reply.shown
    harvest.drops.append(Drop(short_id(KIND, str(number), task), reason, excerpt))
    if reason in USELESS:
        writing.forget(request)
