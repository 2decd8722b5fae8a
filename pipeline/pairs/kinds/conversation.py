"""Conversations of several turns about a chunk: questions that one user asks in a row."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pipeline.pairs.chunk_order import Part
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.kinds.writing import (
    TOKENS_A_QUESTION,
    Writing,
    answer_of,
    asked_of,
    read_questions,
)

TURNS, LEAST = 3, 2
"""Questions of a conversation, and how many must be answered."""


@dataclass(slots=True)
class _Talk:
    part: Part
    questions: list[str]
    answers: list[str] = field(default_factory=list)
    ended: str = ""
    """Why no further question is asked."""
    shown: str = ""


def conversation(parts: Sequence[Part], writing: Writing) -> Harvest:
    """Make one conversation of each of some chunks.

    The last answered question and its answer are the pair; the turns before are its ``history``. A
    question that the chunk does not answer ends the conversation before it.
    """
    harvest, brief = Harvest(asked=asked_of(parts)), writing.brief
    talks: list[_Talk] = []
    asked = [brief.ask("conversation", "question", part.chunk) for part in parts]
    replies = writing.ask(asked, TURNS * TOKENS_A_QUESTION)
    for part, came in zip(parts, replies, strict=True):
        lost = Harvest()
        wanted = replace(part, wanted=TURNS)
        found = read_questions(writing, "conversation", wanted, came, lost, orders=True)
        harvest.raw += lost.raw
        if len(found) >= LEAST:
            talks.append(_Talk(part, found))
        else:
            harvest.drops += lost.drops[:1]
    for turn in range(TURNS):
        going = [talk for talk in talks if not talk.ended and turn < len(talk.questions)]
        asked = [
            brief.ask(
                "conversation",
                "answer",
                talk.part.chunk,
                question=talk.questions[turn],
                history=_told(talk) or "(nothing yet)",
            )
            for talk in going
        ]
        replies = writing.ask(asked, writing.settings.max_answer_tokens)
        for talk, (request, reply) in zip(going, replies, strict=True):
            answer, talk.ended = answer_of(reply)
            talk.shown = reply.shown
            if not talk.ended:
                talk.answers.append(answer)
            elif talk.ended != "not_answerable":
                writing.forget(request)
    for talk in talks:
        chunk, turns = talk.part.chunk, len(talk.answers)
        if turns < LEAST:
            excerpt = f"{talk.questions[turns]} | {talk.shown}"
            drop = writing.drop("conversation", chunk, talk.questions[0], talk.ended, excerpt)
            harvest.drops.append(drop)
            continue
        history = [
            {"role": role, "content": content}
            for question, answer in zip(talk.questions, talk.answers[:-1], strict=False)
            for role, content in (("user", question), ("assistant", answer))
        ]
        question, answer = talk.questions[turns - 1], talk.answers[-1]
        harvest.pairs.append(writing.pair("conversation", chunk, question, answer, history=history))
    return harvest


def _told(talk: _Talk) -> str:
    said = zip(talk.questions, talk.answers, strict=False)
    return "\n".join(f"User: {question}\nAssistant: {answer}" for question, answer in said)
