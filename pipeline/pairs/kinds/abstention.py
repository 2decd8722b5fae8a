"""Questions that the documents do not answer, with a refusal: so that a model learns to abstain."""

from collections.abc import Sequence

from pipeline.pairs.answer_text import tidy
from pipeline.pairs.chunk_order import Part
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.kinds.brief import language_of
from pipeline.pairs.kinds.writing import TOKENS_A_QUESTION, Writing, answer_of
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
    harvest = Harvest()
    asked, messages = writing.questions(KIND, parts, harvest), []
    for part, question in asked:
        found = writing.search(question, PASSAGES + 1)
        near = [other for other in found if other.chunk_id != part.chunk.chunk_id][:PASSAGES]
        messages.append(writing.brief.ask(KIND, "answer", part.chunk, *near, question=question))
    replies = writing.ask(messages, writing.settings.max_answer_tokens)
    unanswered: list[tuple[Part, str]] = []
    for (part, question), came in zip(asked, replies, strict=True):
        _, reason = answer_of(came[1])
        if reason == "not_answerable":
            unanswered.append((part, question))
        else:
            why = reason or "answered_after_all"
            harvest.drops.append(writing.lost(KIND, part.chunk, question, why, came))
    for (part, question), answer in zip(unanswered, _refusals(unanswered, writing), strict=True):
        harvest.pairs.append(writing.pair(KIND, part.chunk, question, answer, evidence=""))
    return harvest


def _refusals(unanswered: Sequence[tuple[Part, str]], writing: Writing) -> list[str]:
    """Return the refusal for each question: as it is set, or in the language of its chunk."""
    refusal = writing.brief.task.refusal
    said = [refusal] * len(unanswered)
    if refusal != TaskSettings.model_fields["refusal"].default:
        return said
    foreign = [n for n, (part, _) in enumerate(unanswered) if language_of(part.chunk) != "en"]
    asked = [
        writing.brief.ask(KIND, "refusal", question=unanswered[place][1], refusal=refusal)
        for place in foreign
    ]
    replies = writing.ask(asked, 2 * TOKENS_A_QUESTION)
    for place, (_, reply) in zip(foreign, replies, strict=True):
        said[place] = refusal if reply.problem else tidy(reply.texts[0]) or refusal
    return said
