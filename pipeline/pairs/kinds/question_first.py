"""Question-first pairs, from a strong teacher: questions about a chunk, then their answers."""

from collections.abc import Sequence

from pipeline.core.cache import digest
from pipeline.pairs.chunk_order import Part
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.kinds.writing import TOKENS_A_QUESTION, Writing, answer_of
from pipeline.pairs.weak_english import questions
from pipeline.text.words import same_text

STEPS = ("deepen", "constrain", "widen")
"""Of Evol-Instruct, as ``evolve.md`` names them."""


def question_first(
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
    brief, evolved = writing.brief, list(asked)
    steps = brief.prompts["evolve"].parts
    chosen: list[int] = []
    messages = []
    for place, (part, question) in enumerate(asked):
        number = int(digest([part.chunk.text, question])[:12], 16)
        if number % 10_000 < writing.settings.evolve * 10_000:
            step = steps[STEPS[number // 10_000 % len(STEPS)]]
            chosen.append(place)
            messages.append(
                brief.ask("evolve", "question", part.chunk, question=question, step=step)
            )
    known = {same_text(question) for _, question in asked}
    replies = writing.ask(messages, 2 * TOKENS_A_QUESTION)
    for place, (request, reply) in zip(chosen, replies, strict=True):
        lines = [] if reply.problem else questions.lines(reply.texts[0])
        new = questions.parse(lines[0], orders=True).question if lines else ""
        if not new:
            writing.forget(request)
        elif same_text(new) not in known:
            known.add(same_text(new))
            evolved[place] = (asked[place][0], new)
    return evolved
