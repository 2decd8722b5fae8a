"""Question-first pairs, from a strong teacher: questions about a chunk, then their answers."""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.core.cache import digest
from pipeline.pairs.chunk_order import Chunk, Part
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.kinds.writing import (
    TOKENS_A_QUESTION,
    Writing,
    answer_of,
    asked_of,
    read_questions,
)
from pipeline.pairs.weak_english import questions
from pipeline.text.words import same_text

STEPS = ("deepen", "constrain", "widen")
"""Of Evol-Instruct, as ``evolve.md`` names them."""


class Form(NamedTuple):
    """What sets one kind of question-first pair apart."""

    orders: bool = False
    """Whether an instruction without a question mark will do."""
    with_text: bool = False
    """Whether the chunk is the input of the task."""
    evolves: bool = False
    """Whether questions may be made harder by Evol-Instruct."""


FORMS = {
    "fact": Form(evolves=True),
    "how_to": Form(orders=True, evolves=True),
    "comparison": Form(orders=True),
    "summary": Form(orders=True, with_text=True),
}


class _Asked(NamedTuple):
    part: Part
    question: str


def question_first(kind: str, parts: Sequence[Part], writing: Writing) -> Harvest:
    """Make pairs of some chunks: questions, a share of them evolved, then answers.

    A candidate is a question that was asked for; the teacher may give fewer.

    Args:
        kind: of task, one of :data:`FORMS`.
        parts: chunks, and how many pairs are wanted of each.
        writing: teacher, settings, brief.
    """
    form, brief = FORMS[kind], writing.brief
    harvest = Harvest(asked=asked_of(parts))
    asked: list[_Asked] = []
    replies = writing.ask(
        [
            brief.ask(kind, "question", *shown(part), questions=counted(part.wanted))
            for part in parts
        ],
        [TOKENS_A_QUESTION * part.wanted for part in parts],
    )
    for part, came in zip(parts, replies, strict=True):
        found = read_questions(writing, kind, part, came, harvest, orders=form.orders)
        asked += [_Asked(part, question) for question in found]
    if form.evolves:
        asked = _evolved(asked, writing)
    replies = writing.ask(
        [brief.ask(kind, "answer", *shown(part), question=question) for part, question in asked],
        writing.settings.max_answer_tokens,
    )
    for (part, question), (request, reply) in zip(asked, replies, strict=True):
        answer, reason = answer_of(reply)
        if reason not in ("", "not_answerable"):
            writing.forget(request)
        if reason:
            excerpt = f"{question} | {reply.shown}"
            harvest.drops.append(writing.drop(kind, part.chunk, question, reason, excerpt))
            continue
        given = {"given": part.chunk.text} if form.with_text else {}
        other = {"other_chunk_id": part.other.chunk_id} if part.other else {}
        harvest.pairs.append(writing.pair(kind, part.chunk, question, answer, **given, **other))
    return harvest


def shown(part: Part) -> tuple[Chunk, ...]:
    """Return the chunks that the teacher is shown for a part."""
    return (part.chunk, part.other) if part.other else (part.chunk,)


def counted(count: int) -> str:
    """Return how many questions a prompt asks for, in words."""
    return "one question" if count == 1 else f"{count} different questions"


def _evolved(asked: list[_Asked], writing: Writing) -> list[_Asked]:
    """Put an evolved question in the place of a share of the questions.

    Which ones, and the step, depend on the question and its chunk alone. Eliminated is an
    evolution that is no question, the same one, or one that is asked already: the first stays.
    """
    share = writing.settings.evolve
    chosen: list[tuple[int, str]] = []
    for place, (part, question) in enumerate(asked):
        number = int(digest([part.chunk.text, question])[:12], 16)
        if number % 10_000 < share * 10_000:
            chosen.append((place, STEPS[number // 10_000 % len(STEPS)]))
    prompt = writing.brief.prompts["evolve"]
    replies = writing.ask(
        [
            writing.brief.ask(
                "evolve",
                "question",
                asked[place].part.chunk,
                question=asked[place].question,
                step=prompt.parts[step],
            )
            for place, step in chosen
        ],
        2 * TOKENS_A_QUESTION,
    )
    evolved = list(asked)
    known = {same_text(question) for _, question in asked}
    for (place, _), (request, reply) in zip(chosen, replies, strict=True):
        lines = [] if reply.problem else questions.lines(reply.texts[0])
        new = questions.parse(lines[0], orders=True).question if lines else ""
        if not new:
            writing.forget(request)
        elif same_text(new) not in known:
            known.add(same_text(new))
            evolved[place] = _Asked(asked[place].part, new)
    return evolved
