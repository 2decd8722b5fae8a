"""What the writers of all kinds of tasks share: what they are given, and how replies are read."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain
from typing import Any

from pipeline.core.cache import short_id
from pipeline.core.outcome import Drop
from pipeline.pairs.answer_text import tidy
from pipeline.pairs.chunk_order import Chunk, Part
from pipeline.pairs.harvest import Harvest, pair_row
from pipeline.pairs.kinds.brief import Brief
from pipeline.pairs.teachers.replies import forget
from pipeline.pairs.teachers.teacher import NO_ROOM, Messages, Reply, Request, Teacher
from pipeline.pairs.weak_english import questions
from pipeline.pairs.weak_english.evidence import best_sentence, content_words, sentences
from pipeline.settings import GenerateSettings
from pipeline.text.bm25 import Scores, bm25
from pipeline.text.words import words

USELESS = ("request_failed", "cut_short", "refused", "unparsable")  # reasons that lie in the reply
NOT_ANSWERABLE = "NOT ANSWERABLE"  # what a strong teacher says when the text has no answer
NONE = re.compile(r"\W*none\W*", re.IGNORECASE)  # said of a text with nothing of the kind
TOKENS_A_QUESTION = 48  # room for each question of a strong teacher
Came = tuple[Request, Reply]  # what was asked, and what came of it
Search = Callable[[str, int], Sequence[Chunk]]  # the nearest to a question, so many at most


def search_of(documents: Sequence[Sequence[Chunk]]) -> Search:
    """Return what finds the chunks of all documents nearest to a question, by BM25."""
    everything = list(chain(*documents))

    @cache
    def scores() -> Scores:
        return bm25([words(chunk.text) for chunk in everything])

    def search(question: str, count: int) -> list[Chunk]:
        found = scores()(sorted(set(words(question))))
        best = sorted(range(len(everything)), key=lambda place: (-found[place], place))[:count]
        return [everything[place] for place in best if found[place] > 0]

    return search


@dataclass(frozen=True, slots=True)
class Writing:
    """What a writer of pairs works with."""

    settings: GenerateSettings
    teacher: Teacher
    brief: Brief = field(default_factory=Brief)
    search: Search = lambda question, count: ()
    languages: tuple[str, ...] = ()  # of tasks without a document, by turns; empty: English

    @property
    def strong(self) -> bool:
        """Whether the teacher writes answers itself."""
        return self.teacher.strength == "strong"

    def ask(
        self, asked: Sequence[Messages], room: int | Sequence[int], schema: str = ""
    ) -> list[Came]:
        """Return the request and the reply for each of some messages.

        What a strong teacher had no room to end is asked for once more, with twice the room.
        ``room`` are the tokens of a reply, of all or of each, ``schema`` is its JSON Schema.
        """
        rooms = [room] * len(asked) if isinstance(room, int) else room
        requests = [
            self.request(messages, tokens, schema=schema)
            for messages, tokens in zip(asked, rooms, strict=True)
        ]
        replies = self.teacher.complete(requests, self.settings.seed)
        if self.strong:
            cut = [p for p, reply in enumerate(replies) if reply.finish_reasons[0] == NO_ROOM]
            for place in cut:
                request = requests[place]
                requests[place] = replace(request, max_tokens=2 * request.max_tokens)
            again = self.teacher.complete([requests[place] for place in cut], self.settings.seed)
            for place, reply in zip(cut, again, strict=True):
                replies[place] = reply
        return list(zip(requests, replies, strict=True))

    def request(self, messages: Messages, room: int, **more: Any) -> Request:
        """Return a request with the sampling of the settings and room for so many tokens."""
        return Request(messages, room, self.settings.temperature, self.settings.top_p, **more)

    def forget(self, request: Request) -> None:
        """Let a request be asked again in the next run: its reply was of no use."""
        forget(self.teacher, request, self.settings.seed)

    def pair(
        self, kind: str, chunk: Chunk, question: str, answer: str, **more: Any
    ) -> dict[str, Any]:
        """Return the row of a pair about a chunk; ``more`` are columns by name."""
        columns = {
            "doc_id": chunk.doc_id,
            "chunk_id": chunk.chunk_id,
            "evidence": best_sentence(answer, sentences(chunk.text)),
            "kind": kind,
            "generator": self.teacher.name,
            "prompt_version": self.brief.prompts[kind].version,
        }
        return pair_row("grounded", question, answer, **columns | more)

    def lost(
        self, kind: str, chunk: Chunk, question: str, reason: str, came: Came, problem: str = ""
    ) -> Drop:
        """Return the drop of a candidate without an answer; a useless reply is forgotten."""
        request, reply = came
        if reason in USELESS:
            self.forget(request)
        return self.drop(kind, chunk, question, reason, f"{problem or question} | {reply.shown}")

    def drop(self, kind: str, chunk: Chunk, about: str, reason: str, shown: str) -> Drop:
        """Return the ledger's row of a candidate that became no pair."""
        identity = short_id(chunk.chunk_id, about, self.brief.prompts[kind].version)
        return Drop(identity, reason, shown, related_id=chunk.chunk_id)

    def questions(
        self, kind: str, parts: Sequence[Part], harvest: Harvest, *, orders: bool = False
    ) -> list[tuple[Part, str]]:
        """Ask for the questions of some chunks and read them (:meth:`read_questions`)."""
        messages = []
        for part in parts:
            count = "one question" if part.wanted == 1 else f"{part.wanted} different questions"
            messages.append(self.brief.ask(kind, "question", *part.chunks, questions=count))
        replies = self.ask(messages, [TOKENS_A_QUESTION * part.wanted for part in parts])
        return [
            (part, question)
            for part, came in zip(parts, replies, strict=True)
            for question in self.read_questions(kind, part, came, harvest, orders=orders)
        ]

    def read_questions(
        self, kind: str, part: Part, came: Came, harvest: Harvest, *, orders: bool
    ) -> list[str]:
        """Read the questions of a chunk; the harvest takes a drop for each missing or bad one."""
        request, reply = came
        harvest.asked.add(part.chunk.chunk_id)
        harvest.raw.append(reply.shown)
        lines = [] if reply.failed else questions.lines(reply.texts[0])
        whole = lines[:-1] if reply.problem else lines  # of a reply that was cut, the last line is
        nothing = len(lines) == 1 and bool(NONE.fullmatch(lines[0]))
        parsed = [] if nothing else [questions.parse(line, orders=orders) for line in whole]
        good = list(dict.fromkeys(item.question for item in parsed if item.question))[: part.wanted]
        # A line without a question mark is a greeting or a fence: it takes no question's place.
        bad = [item for item in parsed if item.reason not in ("", "unparsable")]
        if not good and not nothing:
            self.forget(request)
        missing = "nothing_of_the_kind" if nothing else reply.problem or "unparsable"
        bad += [questions.Parsed("", missing)] * part.wanted
        for number, item in enumerate(bad[: part.wanted - len(good)]):
            drop = self.drop(kind, part.chunk, str(number), item.reason, reply.shown)
            harvest.drops.append(drop._replace(value=item.value, threshold=item.threshold))
        return good


def answer_of(reply: Reply) -> tuple[str, str]:
    """Return the answer in a reply and why it is none: a reason of the ledger, or ''."""
    answer = tidy(reply.texts[0])
    if not reply.failed and NOT_ANSWERABLE.lower() in answer.lower():
        return answer, "not_answerable"
    return answer, reply.problem or ("" if content_words(answer) or words(answer) else "unparsable")
