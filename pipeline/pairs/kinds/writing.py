"""What the writers of all kinds of tasks share: what they are given, and how replies are read."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from pipeline.core.cache import short_id
from pipeline.core.outcome import Drop
from pipeline.pairs.answer_text import tidy
from pipeline.pairs.chunk_order import Chunk, Part
from pipeline.pairs.harvest import Harvest, pair_row, sampled
from pipeline.pairs.kinds.brief import Brief
from pipeline.pairs.sources import K1, B
from pipeline.pairs.teachers.replies import forget
from pipeline.pairs.teachers.teacher import NO_ROOM, Messages, Reply, Request, Teacher
from pipeline.pairs.weak_english import questions
from pipeline.pairs.weak_english.evidence import best_sentence, content_words, sentences
from pipeline.settings import GenerateSettings
from pipeline.text.bm25 import Scores, bm25
from pipeline.text.words import words

NOT_ANSWERABLE = "NOT ANSWERABLE"
"""What a strong teacher says when the text has no answer."""
NONE = re.compile(r"\W*none\W*", re.IGNORECASE)
"""What it says when the text has nothing for the kind of task."""
TOKENS_A_QUESTION = 48
"""Room for each question of a strong teacher."""

Search = Callable[[str, int], Sequence[Chunk]]
"""Returns the chunks of all documents nearest to a question, so many at the most."""


def search_of(documents: Sequence[Sequence[Chunk]]) -> Search:
    """Return what finds the chunks of all documents nearest to a question, by BM25."""
    everything = list(chain(*documents))
    scores: list[Scores] = []

    def search(question: str, count: int) -> list[Chunk]:
        if not scores:  # made once, when it is needed
            scores.append(bm25([words(chunk.text) for chunk in everything], k1=K1, b=B))
        found = scores[0](sorted(set(words(question))))
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
    languages: tuple[str, ...] = ()
    """That tasks without a document are asked for in, by turns; empty: English."""

    def ask(
        self, asked: Sequence[Messages], room: int | Sequence[int], schema: str = ""
    ) -> list[tuple[Request, Reply]]:
        """Return the request and the reply for each of some messages.

        What a strong teacher had no room to end is asked for once more, with twice the room.

        Args:
            asked: messages.
            room: tokens of a reply, of all or of each.
            schema: JSON Schema of the replies.
        """
        rooms = [room] * len(asked) if isinstance(room, int) else room
        requests = [
            sampled(self.settings, messages, tokens, schema=schema)
            for messages, tokens in zip(asked, rooms, strict=True)
        ]
        replies = self.teacher.complete(requests, self.settings.seed)
        if self.teacher.strength == "strong":
            cut = [p for p, reply in enumerate(replies) if reply.finish_reasons[0] == NO_ROOM]
            for place in cut:
                request = requests[place]
                requests[place] = replace(request, max_tokens=2 * request.max_tokens)
            again = self.teacher.complete([requests[place] for place in cut], self.settings.seed)
            for place, reply in zip(cut, again, strict=True):
                replies[place] = reply
        return list(zip(requests, replies, strict=True))

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

    def drop(self, kind: str, chunk: Chunk, about: str, reason: str, shown: str) -> Drop:
        """Return the ledger's row of a candidate that became no pair."""
        identity = short_id(chunk.chunk_id, about, self.brief.prompts[kind].version)
        return Drop(identity, reason, shown, related_id=chunk.chunk_id)


def read_questions(
    writing: Writing,
    kind: str,
    part: Part,
    asked: tuple[Request, Reply],
    harvest: Harvest,
    *,
    orders: bool = False,
) -> list[str]:
    """Read the questions of a chunk; each one that is missing or bad is a drop.

    Args:
        writing: the writer's context.
        kind: of task.
        part: the chunk, and how many questions it was asked for.
        asked: the request and its reply, which is asked for again if nothing can be read in it.
        harvest: takes the drops.
        orders: whether a line without a question mark counts, as in "Sum it up for a beginner".
    """
    request, reply = asked
    harvest.raw.append(reply.shown)
    lines = [] if reply.failed else questions.lines(reply.texts[0])
    whole = lines[:-1] if reply.problem else lines  # of a reply that was cut, the last line is
    nothing = len(lines) == 1 and bool(NONE.fullmatch(lines[0]))
    parsed = [] if nothing else [questions.parse(line, orders=orders) for line in whole]
    good = list(dict.fromkeys(item.question for item in parsed if item.question))[: part.wanted]
    # A line without a question mark is a greeting or a fence: it takes no question's place.
    bad = [item for item in parsed if item.reason not in ("", "unparsable")]
    if not good and not nothing:
        writing.forget(request)
    missing = "nothing_of_the_kind" if nothing else reply.problem or "unparsable"
    bad += [questions.Parsed("", missing)] * part.wanted
    for number, item in enumerate(bad[: part.wanted - len(good)]):
        drop = writing.drop(kind, part.chunk, str(number), item.reason, reply.shown)
        harvest.drops.append(drop._replace(value=item.value, threshold=item.threshold))
    return good


def asked_of(parts: Sequence[Part]) -> set[str]:
    """Return the ids of the chunks of some parts."""
    return {part.chunk.chunk_id for part in parts}


def answer_of(reply: Reply) -> tuple[str, str]:
    """Return the answer in a reply and why it is none: a reason of the ledger, or ''."""
    answer = tidy(reply.texts[0])
    if not reply.failed and NOT_ANSWERABLE.lower() in answer.lower():
        return answer, "not_answerable"
    return answer, reply.problem or ("" if content_words(answer) or words(answer) else "unparsable")
