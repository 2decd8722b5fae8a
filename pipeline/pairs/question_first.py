"""Question-first pairs, from a strong teacher: questions about a chunk, then their answers."""

from collections.abc import Sequence

from pipeline.core.cache import short_id
from pipeline.core.outcome import Drop
from pipeline.pairs import prompts
from pipeline.pairs.answer_text import tidy
from pipeline.pairs.chunk_order import Chunk, Part
from pipeline.pairs.harvest import Harvest, pair_row, sampled
from pipeline.pairs.teachers.replies import forget
from pipeline.pairs.teachers.teacher import Reply, Teacher
from pipeline.pairs.weak_english import questions
from pipeline.pairs.weak_english.evidence import best_sentence, content_words, sentences
from pipeline.settings import GenerateSettings

TOKENS_A_QUESTION = 48
"""Room for each question of a strong teacher."""


def parts_of(document: Sequence[Chunk], wanted: Sequence[int]) -> list[Part]:
    """Return the chunks of a document of which pairs are wanted."""
    return [Part(chunk, count) for chunk, count in zip(document, wanted, strict=True) if count]


def question_first(parts: Sequence[Part], settings: GenerateSettings, teacher: Teacher) -> Harvest:
    """Make pairs of some chunks with a strong teacher: questions, then answers.

    A candidate is a question that was asked for; the teacher may give fewer.
    """
    harvest = Harvest(asked=len(parts))
    requests = [
        sampled(
            settings,
            prompts.questions_of_chunk(part.chunk, part.wanted),
            TOKENS_A_QUESTION * part.wanted,
        )
        for part in parts
    ]
    asked: list[tuple[Chunk, str]] = []
    replies = teacher.complete(requests, settings.seed)
    for part, request, reply in zip(parts, requests, replies, strict=True):
        found = _questions(part, reply, harvest)
        asked += [(part.chunk, question) for question in found]
        if not found:
            forget(teacher, request, settings.seed)
    requests = [
        sampled(settings, prompts.answer_of_question(*each), settings.max_answer_tokens)
        for each in asked
    ]
    replies = teacher.complete(requests, settings.seed)
    for (chunk, question), request, reply in zip(asked, requests, replies, strict=True):
        response = tidy(reply.texts[0])
        reason = _answer_problem(reply, response)
        if reason not in ("", "not_answerable"):
            forget(teacher, request, settings.seed)
        if reason:
            identity = short_id(chunk.chunk_id, question, prompts.CHUNK_QA)
            harvest.drops.append(Drop(identity, reason, f"{question} | {reply.shown}"))
            continue
        harvest.pairs.append(
            pair_row(
                "grounded",
                question,
                response,
                doc_id=chunk.doc_id,
                chunk_id=chunk.chunk_id,
                evidence=best_sentence(response, sentences(chunk.text)),
                generator=teacher.name,
                prompt_version=prompts.CHUNK_QA,
            )
        )
    return harvest


def _questions(part: Part, reply: Reply, harvest: Harvest) -> list[str]:
    """Read the questions of a chunk; each one that is missing or bad is a drop."""
    harvest.raw.append(reply.shown)
    lines = [] if reply.failed else questions.lines(reply.texts[0])
    whole = lines[:-1] if reply.problem else lines  # of a reply that was cut, the last line is
    parsed = [questions.parse(line) for line in whole]
    good = list(dict.fromkeys(item.question for item in parsed if item.question))[: part.wanted]
    # A line without a question mark is a greeting or a fence: it takes no question's place.
    bad = [item for item in parsed if item.reason not in ("", "unparsable")]
    bad += [questions.Parsed("", reply.problem or "unparsable")] * part.wanted
    for number, item in enumerate(bad[: part.wanted - len(good)]):
        identity = short_id(part.chunk.chunk_id, str(number), prompts.CHUNK_QA)
        harvest.drops.append(Drop(identity, item.reason, reply.shown, item.value, item.threshold))
    return good


def _answer_problem(reply: Reply, text: str) -> str:
    if not reply.failed and prompts.NOT_ANSWERABLE.lower() in text.lower():
        return "not_answerable"
    return reply.problem or ("" if content_words(text) else "unparsable")
