"""Questions that the documents do not answer, with a refusal: so that a model learns to abstain."""

from collections.abc import Sequence

from pipeline.pairs.answer_text import tidy
from pipeline.pairs.chunk_order import Chunk, Part
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.kinds.brief import language_of
from pipeline.pairs.kinds.question_first import counted
from pipeline.pairs.kinds.writing import (
    TOKENS_A_QUESTION,
    Writing,
    answer_of,
    asked_of,
    read_questions,
)
from pipeline.settings import TaskSettings

KIND = "not_in_documents"
PASSAGES = 3
"""Passages, of all documents, that must not answer a question beside its own chunk: the nearest."""


def abstention(parts: Sequence[Part], writing: Writing) -> Harvest:
    """Make pairs whose question is near to a chunk and answered by no document.

    That no document answers is asked of the teacher, with the chunk and the passages of all
    documents that are nearest to the question. A document that is added later may answer it: then
    the passages are others, and it is asked again.
    """
    harvest, brief = Harvest(asked=asked_of(parts)), writing.brief
    asked: list[tuple[Part, str]] = []
    replies = writing.ask(
        [brief.ask(KIND, "question", part.chunk, questions=counted(part.wanted)) for part in parts],
        [TOKENS_A_QUESTION * part.wanted for part in parts],
    )
    for part, came in zip(parts, replies, strict=True):
        found = read_questions(writing, KIND, part, came, harvest)
        asked += [(part, question) for question in found]
    replies = writing.ask(
        [
            brief.ask(KIND, "answer", *_passages(part.chunk, question, writing), question=question)
            for part, question in asked
        ],
        writing.settings.max_answer_tokens,
    )
    unanswered: list[tuple[Part, str]] = []
    for (part, question), (request, reply) in zip(asked, replies, strict=True):
        _, reason = answer_of(reply)
        if reason == "not_answerable":
            unanswered.append((part, question))
            continue
        if reason:
            writing.forget(request)
        excerpt = f"{question} | {reply.shown}"
        harvest.drops.append(
            writing.drop(KIND, part.chunk, question, reason or "answered_after_all", excerpt)
        )
    for (part, question), answer in zip(unanswered, _refusals(unanswered, writing), strict=True):
        harvest.pairs.append(writing.pair(KIND, part.chunk, question, answer, evidence=""))
    return harvest


def _passages(chunk: Chunk, question: str, writing: Writing) -> list[Chunk]:
    near = [
        other
        for other in writing.search(question, PASSAGES + 1)
        if other.chunk_id != chunk.chunk_id
    ]
    return [chunk, *near[:PASSAGES]]


def _refusals(unanswered: Sequence[tuple[Part, str]], writing: Writing) -> list[str]:
    """Return the refusal for each question: as it is set, or in the language of its chunk."""
    refusal = writing.brief.task.refusal
    ours = refusal == TaskSettings.model_fields["refusal"].default
    foreign = [
        place
        for place, (part, _) in enumerate(unanswered)
        if ours and language_of(part.chunk) != "en"
    ]
    replies = writing.ask(
        [
            writing.brief.ask(KIND, "refusal", question=unanswered[place][1], refusal=refusal)
            for place in foreign
        ],
        2 * TOKENS_A_QUESTION,
    )
    said = [refusal] * len(unanswered)
    for place, (_, reply) in zip(foreign, replies, strict=True):
        said[place] = refusal if reply.problem else tidy(reply.texts[0]) or refusal
    return said
