"""Question-first pairs, from a strong teacher: questions about a chunk, then their answers.

Or a refusal, of questions that no document answers, so that a model learns to abstain; or several
questions that one user asks in a row, a conversation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pipeline.core.cache import digest
from pipeline.pairs.answer_text import tidy
from pipeline.pairs.chunk_order import Part
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.kinds.brief import language_of
from pipeline.pairs.kinds.writing import TOKENS_A_QUESTION, USELESS, Writing, answer_of
from pipeline.pairs.teachers.teacher import Messages
from pipeline.pairs.weak_english import questions
from pipeline.settings import TaskSettings
from pipeline.text.words import same_text

STEPS = ("deepen", "constrain", "widen")  # of Evol-Instruct, as ``evolve.md`` names them
TURNS, LEAST = 3, 2  # questions of a conversation, and how many must be answered
PASSAGES = 3  # the nearest ones of all documents, which must not answer the question either


def answered(
    kind: str,
    parts: Sequence[Part],
    writing: Writing,
    *,
    orders: bool = False,
    with_text: bool = False,
    evolves: bool = False,
) -> Harvest:
    """Make pairs of some chunks: questions, a share of them evolved, then answers.

    A candidate is a question that was asked for; the teacher may give fewer. Of some kinds an
    instruction without a question mark will do (``orders``), the chunk is the input of the task
    (``with_text``), or questions may be made harder by Evol-Instruct (``evolves``).
    """
    harvest, brief = Harvest(), writing.brief
    asked = writing.questions(kind, parts, harvest, orders=orders)
    if evolves:
        asked = _evolved(asked, writing)
    replies = writing.ask(
        [brief.ask(kind, "answer", *part.chunks, question=question) for part, question in asked],
        writing.settings.max_answer_tokens,
    )
    for (part, question), came in zip(asked, replies, strict=True):
        answer, reason = answer_of(came[1])
        if reason:
            harvest.drops.append(writing.lost(kind, part.chunk, question, reason, came))
            continue
        given = {"given": part.chunk.text} if with_text else {}
        other = {"other_chunk_id": part.other.chunk_id} if part.other else {}
        harvest.pairs.append(writing.pair(kind, part.chunk, question, answer, **given, **other))
    return harvest


def _evolved(asked: list[tuple[Part, str]], writing: Writing) -> list[tuple[Part, str]]:
    """Put an evolved question in the place of a share; which, and how, their texts alone decide.

    Eliminated is an evolution that is no question, or one that is asked already: the first stays.
    """
    brief, evolved, messages = writing.brief, list(asked), dict[int, Messages]()
    for place, (part, question) in enumerate(asked):
        number = int(digest([part.chunk.text, question])[:12], 16)
        if number % 10_000 < writing.settings.evolve * 10_000:
            step = brief.prompts["evolve"].parts[STEPS[number // 10_000 % len(STEPS)]]
            told = {"question": question, "step": step}
            messages[place] = brief.ask("evolve", "question", part.chunk, **told)
    known = {same_text(question) for _, question in asked}
    replies = writing.ask([*messages.values()], 2 * TOKENS_A_QUESTION)
    for place, (request, reply) in zip(messages, replies, strict=True):
        lines = [] if reply.problem else questions.lines(reply.texts[0])
        new = questions.parse(lines[0], orders=True).question if lines else ""
        if not new:
            writing.forget(request)
        elif same_text(new) not in known:
            known.add(same_text(new))
            evolved[place] = (asked[place][0], new)
    return evolved


def abstention(kind: str, parts: Sequence[Part], writing: Writing) -> Harvest:
    """Make pairs whose question is near to a chunk and answered by no document.

    That is asked of the teacher, with the chunk and the passages of all documents that are nearest
    to the question.
    """
    harvest, brief, messages = Harvest(), writing.brief, []
    asked = writing.questions(kind, parts, harvest)
    for part, question in asked:
        found = writing.search(question, PASSAGES + 1)
        near = [other for other in found if other.chunk_id != part.chunk.chunk_id][:PASSAGES]
        messages.append(brief.ask(kind, "answer", part.chunk, *near, question=question))
    replies = writing.ask(messages, writing.settings.max_answer_tokens)
    unanswered: list[tuple[Part, str]] = []
    for (part, question), came in zip(asked, replies, strict=True):
        _, reason = answer_of(came[1])
        if reason == "not_answerable":
            unanswered.append((part, question))
        else:
            why = reason or "answered_after_all"
            harvest.drops.append(writing.lost(kind, part.chunk, question, why, came))
    answers = _refusals(kind, unanswered, writing)
    for (part, question), answer in zip(unanswered, answers, strict=True):
        harvest.pairs.append(writing.pair(kind, part.chunk, question, answer, evidence=""))
    return harvest


def _refusals(kind: str, unanswered: Sequence[tuple[Part, str]], writing: Writing) -> list[str]:
    """Return the refusal for each question: as it is set, or in the language of its chunk."""
    refusal = writing.brief.task.refusal
    said = [refusal] * len(unanswered)
    if refusal != TaskSettings.model_fields["refusal"].default:
        return said
    messages = {
        place: writing.brief.ask(kind, "refusal", question=question, refusal=refusal)
        for place, (part, question) in enumerate(unanswered)
        if language_of(part.chunk) != "en"
    }
    replies = writing.ask([*messages.values()], 2 * TOKENS_A_QUESTION)
    for place, (_, reply) in zip(messages, replies, strict=True):
        said[place] = refusal if reply.problem else tidy(reply.texts[0]) or refusal
    return said


@dataclass(slots=True)
class _Talk:
    part: Part
    questions: list[str]
    turns: list[dict[str, str]] = field(default_factory=list)  # of the answered questions
    ended: str = ""  # why no further question is asked
    shown: str = ""


def conversation(kind: str, parts: Sequence[Part], writing: Writing) -> Harvest:
    """Make one conversation of each of some chunks.

    The last answered question and its answer are the pair; the turns before are its ``history``. A
    question that the chunk does not answer ends the conversation before it.
    """
    harvest, brief = Harvest(), writing.brief
    talks: list[_Talk] = []
    asked = [brief.ask(kind, "question", part.chunk) for part in parts]
    replies = writing.ask(asked, TURNS * TOKENS_A_QUESTION)
    for part, came in zip(parts, replies, strict=True):
        lost, wanted = Harvest(), replace(part, wanted=TURNS)
        found = writing.read_questions(kind, wanted, came, lost, orders=True)
        if len(found) >= LEAST:
            talks.append(_Talk(part, found))
            lost.drops.clear()
        del lost.drops[1:]
        harvest.add(lost)
    for turn in range(TURNS):
        going = [talk for talk in talks if not talk.ended and turn < len(talk.questions)]
        asked = []
        for talk in going:
            before = (f"{said['role'].capitalize()}: {said['content']}" for said in talk.turns)
            told = {"question": talk.questions[turn]}
            told["history"] = "\n".join(before) or "(nothing yet)"
            asked.append(brief.ask(kind, "answer", talk.part.chunk, **told))
        replies = writing.ask(asked, writing.settings.max_answer_tokens)
        for talk, (request, reply) in zip(going, replies, strict=True):
            answer, talk.ended = answer_of(reply)
            talk.shown = reply.shown
            if not talk.ended:
                talk.turns.append({"role": "user", "content": talk.questions[turn]})
                talk.turns.append({"role": "assistant", "content": answer})
            elif talk.ended in USELESS:
                writing.forget(request)
    for talk in talks:
        chunk, answered = talk.part.chunk, len(talk.turns) // 2
        if answered < LEAST:
            excerpt = f"{talk.questions[answered]} | {talk.shown}"
            drop = writing.drop(kind, chunk, talk.questions[0], talk.ended, excerpt)
            harvest.drops.append(drop)
            continue
        *history, asking, answering = talk.turns
        said = asking["content"], answering["content"]
        harvest.pairs.append(writing.pair(kind, chunk, *said, history=history))
    return harvest
