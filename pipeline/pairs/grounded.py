"""Pairs that rest on a chunk, from a strong teacher: questions first, then their answers.

What both ways of making grounded pairs share is here as well; the way for a weak teacher is in
:mod:`pipeline.pairs.answer_first`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.cache import short_id
from pipeline.core.outcome import Drop
from pipeline.pairs import prompts
from pipeline.pairs.answer_text import tidy
from pipeline.pairs.pair_id import pair_id
from pipeline.pairs.teachers.replies import forget
from pipeline.pairs.teachers.teacher import Reply, Request, Teacher
from pipeline.pairs.weak_english import questions
from pipeline.pairs.weak_english.evidence import best_sentence, content_words, sentences
from pipeline.settings import GenerateSettings

TOKENS_A_QUESTION = 48
"""Room for each question of a strong teacher."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What generation needs of a chunk."""

    chunk_id: str
    doc_id: str
    title: str
    section: str
    text: str
    tokens: int

    @property
    def topic(self) -> str:
        """Title and section on one line."""
        return " > ".join(part for part in (self.title, self.section) if part)


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk and how many pairs are wanted of it."""

    chunk: Chunk
    wanted: int


@dataclass(slots=True)
class Harvest:
    """Pairs and drops of some documents; each candidate is in one of the two."""

    pairs: list[dict[str, Any]] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    """First raw replies, to show when nothing comes of them."""
    asked: int = 0
    """Chunks that something was asked about."""

    def add(self, other: "Harvest") -> None:
        """Take over what another harvest holds."""
        self.pairs += other.pairs
        self.drops += other.drops
        self.raw += other.raw
        self.asked += other.asked


def quotas(document: Sequence[Chunk], settings: GenerateSettings) -> list[int]:
    """Return how many pairs each chunk of a document is asked for.

    One for each ``tokens_per_pair`` tokens of the document, so that its tail is covered: what a
    chunk is too short for is carried to the next. At most ``max_pairs_per_chunk`` a chunk, and at
    least one a document.
    """
    wanted, due = [], 0.5
    for chunk in document:
        due += chunk.tokens / settings.tokens_per_pair
        count = min(settings.max_pairs_per_chunk, int(due))
        due = min(due - count, 1.0)
        wanted.append(count)
    if wanted and not any(wanted):
        longest = max(range(len(document)), key=lambda place: document[place].tokens)
        wanted[longest] = 1
    return wanted


def question_first(parts: Sequence[Part], settings: GenerateSettings, teacher: Teacher) -> Harvest:
    """Make pairs of some chunks with a strong teacher: questions, then answers.

    A candidate is a question that was asked for; the teacher may give fewer.
    """
    harvest = Harvest(asked=len(parts))
    first = [_question_request(part.chunk, part.wanted, settings) for part in parts]
    asked: list[tuple[Chunk, str]] = []
    replies = teacher.complete(first, settings.seed) if first else []
    for part, request, reply in zip(parts, first, replies, strict=True):
        found = _questions(part.chunk, part.wanted, reply, harvest)
        asked += [(part.chunk, question) for question in found]
        if not found:
            forget(teacher, request, settings.seed)
    second = [
        Request(
            prompts.answer_of_question(chunk.title, chunk.section, chunk.text, question),
            settings.max_answer_tokens,
            settings.temperature,
            settings.top_p,
        )
        for chunk, question in asked
    ]
    replies = teacher.complete(second, settings.seed) if second else []
    for (chunk, question), request, reply in zip(asked, second, replies, strict=True):
        response = tidy(reply.texts[0])
        reason = _answer_problem(reply, response)
        if reason not in ("", "not_answerable"):
            forget(teacher, request, settings.seed)
        if reason:
            identity = short_id(chunk.chunk_id, question, prompts.CHUNK_QA)
            harvest.drops.append(Drop(identity, reason, f"{question} | {reply.shown}"))
            continue
        rests_on = best_sentence(response, sentences(chunk.text))
        harvest.pairs.append(
            pair(chunk, question, response, rests_on, teacher.name)
            | {"prompt_version": prompts.CHUNK_QA, "score": None}
        )
    return harvest


def _question_request(chunk: Chunk, count: int, settings: GenerateSettings) -> Request:
    return Request(
        prompts.questions_of_chunk(chunk.title, chunk.section, chunk.text, count),
        TOKENS_A_QUESTION * count,
        settings.temperature,
        settings.top_p,
    )


def _questions(chunk: Chunk, count: int, reply: Reply, harvest: Harvest) -> list[str]:
    """Read the questions of a chunk; each one that is missing or bad is a drop."""
    harvest.raw.append(reply.shown)
    lines = [] if reply.failed else questions.lines(reply.texts[0])
    whole = lines[:-1] if reply.problem else lines  # of a reply that was cut, the last line is
    parsed = [questions.parse(line) for line in whole]
    good = list(dict.fromkeys(item.question for item in parsed if item.question))[:count]
    # A line without a question mark is a greeting or a fence: it takes no question's place.
    bad = [item for item in parsed if item.reason not in ("", "unparsable")]
    bad += [questions.Parsed("", reply.problem or "unparsable")] * count
    for number, item in enumerate(bad[: count - len(good)]):
        identity = short_id(chunk.chunk_id, str(number), prompts.CHUNK_QA)
        harvest.drops.append(Drop(identity, item.reason, reply.shown, item.value, item.threshold))
    return good


def _answer_problem(reply: Reply, text: str) -> str:
    if not reply.failed and prompts.NOT_ANSWERABLE.lower() in text.lower():
        return "not_answerable"
    return reply.problem or ("" if content_words(text) else "unparsable")


def pair(
    chunk: Chunk, question: str, response: str, rests_on: str, generator: str
) -> dict[str, Any]:
    """Return the columns of Pairs that both ways share; prompt_version and score are missing."""
    return {
        "pair_id": pair_id(question, "", response, chunk.doc_id, "grounded"),
        "instruction": question,
        "input": "",
        "response": response,
        "evidence": rests_on,
        "chunk_id": chunk.chunk_id,
        "doc_id": chunk.doc_id,
        "seed_task_id": "",
        "generator": generator,
        "origin": "grounded",
    }
