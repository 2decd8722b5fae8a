"""Conversations of several turns about a chunk: questions that one user asks in a row."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pipeline.pairs.chunk_order import Part
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.kinds.writing import TOKENS_A_QUESTION, USELESS, Writing, answer_of

TURNS, LEAST = 3, 2
"""Questions of a conversation, and how many must be answered."""


@dataclass(slots=True)
class _Talk:
    part: Part
    questions: list[str]
    turns: list[dict[str, str]] = field(default_factory=list)
    """Messages of the answered questions and their answers."""
    ended: str = ""
    """Why no further question is asked."""
    shown: str = ""

    @property
    def history(self) -> str:
        return "\n".join(f"{turn['role'].capitalize()}: {turn['content']}" for turn in self.turns)


def conversation(parts: Sequence[Part], writing: Writing) -> Harvest:
    """Make one conversation of each of some chunks.

    The last answered question and its answer are the pair; the turns before are its ``history``. A
    question that the chunk does not answer ends the conversation before it.
    """
    harvest, brief = Harvest(), writing.brief
    talks: list[_Talk] = []
    asked = [brief.ask("conversation", "question", part.chunk) for part in parts]
    replies = writing.ask(asked, TURNS * TOKENS_A_QUESTION)
    for part, came in zip(parts, replies, strict=True):
        lost, wanted = Harvest(), replace(part, wanted=TURNS)
        found = writing.read_questions("conversation", wanted, came, lost, orders=True)
        if len(found) >= LEAST:
            talks.append(_Talk(part, found))
            lost.drops.clear()
        del lost.drops[1:]
        harvest.add(lost)
    for turn in range(TURNS):
        going = [talk for talk in talks if not talk.ended and turn < len(talk.questions)]
        asked = []
        for talk in going:
            told = {"question": talk.questions[turn], "history": talk.history or "(nothing yet)"}
            asked.append(brief.ask("conversation", "answer", talk.part.chunk, **told))
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
            drop = writing.drop("conversation", chunk, talk.questions[0], talk.ended, excerpt)
            harvest.drops.append(drop)
            continue
        *history, asking, answering = talk.turns
        said = asking["content"], answering["content"]
        harvest.pairs.append(writing.pair("conversation", chunk, *said, history=history))
    return harvest
