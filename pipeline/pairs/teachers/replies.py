"""The reply cache: no reply of a teacher is ever paid for twice.

Each request has an entry of its own, found by its content and the seed, and kept as it arrives. A
teacher in this process computes several requests as one batch; the random numbers of each are its
own, so its reply depends on the others by rounding alone. What is in the cache is not computed
again, whatever is asked beside it.

Of an endpoint only useful replies are kept: an empty one, a refusal, thoughts without an answer, or
what its reader makes nothing of (:func:`forget`) is asked for again in the next run, of a server
that may be mended by then. A model in this process would say the same again.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from pipeline.core.cache import Cache, canonical_json
from pipeline.core.errors import TeacherError
from pipeline.pairs.teachers.completion import finish
from pipeline.pairs.teachers.teacher import (
    ENDED,
    NO_ROOM,
    Messages,
    OnReply,
    Reply,
    Request,
    Strength,
    Teacher,
)
from pipeline.pairs.teachers.thinking import said

T = TypeVar("T")

VERSION = 2
"""Of the entries: raise it when their form or the random numbers change."""


@dataclass(slots=True)
class Usage:
    """What the teacher was asked, and what the cache spared."""

    calls: int = 0
    """Requests that reached the teacher, answers whose loss was measured included."""
    cached: int = 0
    """Requests answered from the cache."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Tokens of the calls; cached replies cost none."""
    retries: int = 0
    read: int = 0
    written: int = 0
    """Tokens of all requests and replies, those from the cache included."""


class CachingTeacher:
    """A teacher whose useful replies are kept for good."""

    def __init__(self, teacher: Teacher, cache: Cache) -> None:
        """Wrap a teacher; ``cache`` is a folder of its own."""
        self._teacher = teacher
        self._cache = cache
        self._usage = Usage()
        self._lock = threading.Lock()
        self._under_way: dict[str, threading.Event] = {}
        self.name = teacher.name
        self.strength: Strength = teacher.strength
        self.batch_size = teacher.batch_size

    @property
    def usage(self) -> Usage:
        """A copy of the counts so far."""
        return replace(self._usage, retries=getattr(self._teacher, "retries", 0))

    def complete(
        self, requests: Sequence[Request], seed: int, on_reply: OnReply | None = None
    ) -> list[Reply]:
        """Answer requests from the cache where it can, else from the teacher.

        A teacher in this process gets at most ``batch_size`` replies to make at once.
        """
        keys = [self._key("request", seed=seed, request=_content(request)) for request in requests]
        entries = [self._cache.get(key) for key in keys]
        stored = {p: _reply(row, requests[p]) for p, row in enumerate(entries) if row is not None}
        replies = {place: reply for place, reply in stored.items() if self._keeps(reply)}
        with self._lock:
            self._usage.cached += len(replies)
            for reply in replies.values():
                self._count_tokens(reply)
        if on_reply is not None:
            for place, reply in replies.items():
                on_reply(place, reply)
        # Two chunks with the same text ask the same, or two kinds at the same time: once is enough.
        same: dict[str, list[int]] = {}
        for place in range(len(requests)):
            if place not in replies:
                same.setdefault(canonical_json(keys[place]), []).append(place)
        with self._lock:
            others = {key: self._under_way[key] for key in same if key in self._under_way}
            mine = {places[0]: key for key, places in same.items() if key not in others}
            self._under_way |= {key: threading.Event() for key in mine.values()}

        def finish(key: str) -> None:
            with self._lock:
                if (event := self._under_way.pop(key, None)) is not None:
                    event.set()

        try:
            for batch in _batches(list(mine), requests, self.batch_size):

                def keep(number: int, reply: Reply, batch: list[int] = batch) -> None:
                    place, *twins = same[mine[batch[number]]]
                    with self._lock:
                        self._count(reply)
                        for _ in twins:
                            self._usage.cached += 1
                            self._count_tokens(reply)
                    if self._keeps(reply):
                        self._cache.put(keys[place], asdict(reply))
                    finish(mine[place])
                    for other in (place, *twins):
                        replies[other] = reply
                        if on_reply is not None:
                            on_reply(other, reply)

                self._teacher.complete([requests[place] for place in batch], seed, keep)
        finally:
            for key in mine.values():
                finish(key)
        for key, event in others.items():
            event.wait()
            for place in same[key]:
                replies[place] = self.complete([requests[place]], seed)[0]
                if on_reply is not None:
                    on_reply(place, replies[place])
        return [replies[place] for place in range(len(requests))]

    def answer_losses(self, pairs: Sequence[tuple[Messages, str]]) -> list[float] | None:
        """Return the mean nats a token of each answer, from the cache where it can."""
        keys = [self._key("loss", turns=turns, answer=answer) for turns, answer in pairs]
        losses: list[float | None] = [self._cache.get(key) for key in keys]
        missing = [place for place, loss in enumerate(losses) if loss is None]
        self._usage.cached += len(pairs) - len(missing)
        # Pairs of like length share a pass, which pads them.
        missing.sort(key=lambda place: _characters(pairs[place]))
        width = self.batch_size or max(1, len(missing))
        for first in range(0, len(missing), width):
            batch = missing[first : first + width]
            found = self._teacher.answer_losses([pairs[place] for place in batch])
            if found is None:
                return None
            for place, loss in zip(batch, found, strict=True):
                self._cache.put(keys[place], loss)
                losses[place] = loss
            self._usage.calls += len(batch)
        return [loss for loss in losses if loss is not None]

    def forget(self, request: Request, seed: int) -> None:
        """Keep the reply to a request no longer."""
        if not self.batch_size:
            key = self._key("request", seed=seed, request=_content(request))
            self._cache.entry(key).path.unlink(missing_ok=True)

    def _keeps(self, reply: Reply) -> bool:
        """Whether a reply is kept: a local one always, else one with a text that may be used."""
        return not reply.failed and (
            self.batch_size > 0
            or any(
                text.strip() and reason in (ENDED, NO_ROOM)
                for text, reason in zip(reply.texts, reply.finish_reasons, strict=True)
            )
        )

    def _key(self, kind: str, **content: Any) -> dict[str, Any]:
        return {"teacher": self.name, "version": VERSION, "kind": kind, **content}

    def _count(self, reply: Reply) -> None:
        self._usage.calls += 1
        self._usage.prompt_tokens += reply.prompt_tokens
        self._usage.completion_tokens += reply.completion_tokens
        self._count_tokens(reply)

    def _count_tokens(self, reply: Reply) -> None:
        self._usage.read += reply.prompt_tokens
        self._usage.written += reply.completion_tokens


def forget(teacher: Teacher, request: Request, seed: int) -> None:
    """Let a request be asked again in the next run: its reply was not what it asked for."""
    if isinstance(teacher, CachingTeacher):
        teacher.forget(request, seed)


def ask_judge(
    judge: Teacher,
    asked: Sequence[Messages],
    max_tokens: int,
    read: Callable[[str], T | None],
    expected: str,
) -> list[T | None]:
    """Ask a judge, by the likeliest tokens, and read its replies.

    Args:
        judge: who is asked.
        asked: messages of each request.
        max_tokens: of a reply.
        read: returns what a reply says, None where it cannot be read; such a one is not kept.
        expected: of a reply, for the message of the error.

    Raises:
        TeacherError: the endpoint cannot be reached, refuses, fails too often, or no reply can be
            read.
    """
    requests = [Request(messages, max_tokens, 0.0, 1.0) for messages in asked]
    replies = judge.complete(requests, seed=0)
    found = [None if reply.failed else read(reply.texts[0]) for reply in replies]
    for request, one in zip(requests, found, strict=True):
        if one is None:
            forget(judge, request, seed=0)
    if found and all(one is None for one in found):
        raise TeacherError(
            f"judge {judge.name}: none of {len(found)} replies can be read (first: "
            f"{' '.join(replies[0].shown.split())!r}); expected {expected}; raise "
            "judge.max_tokens or judge.thinking_tokens, or choose another judge"
        )
    return found


def usage_of(teacher: Teacher) -> Usage:
    """Return what a teacher was asked so far; nothing of one whose replies are not kept."""
    return teacher.usage if isinstance(teacher, CachingTeacher) else Usage()


def _content(request: Request) -> dict[str, Any]:
    """Return what a reply depends on; what a request lacks is no part of it, as it once was not."""
    return {name: value for name, value in asdict(request).items() if name != "schema" or value}


def _batches(places: Sequence[int], requests: Sequence[Request], rows: int) -> Iterator[list[int]]:
    """Cut places of requests into batches of at most ``rows`` replies (one request at least).

    0 rows: one batch of all.
    """
    batch: list[int] = []
    count = 0
    for place in places:
        samples = requests[place].samples
        if batch and rows and count + samples > rows:
            yield batch
            batch, count = [], 0
        batch.append(place)
        count += samples
    if batch:
        yield batch


def _characters(pair: tuple[Messages, str]) -> int:
    messages, answer = pair
    return sum(len(content) for _, content in messages) + len(answer)


def _reply(row: dict[str, Any], request: Request) -> Reply:
    """Read an entry, one that was kept before thoughts were taken out too."""
    asked = "\n".join(content for _, content in request.messages)
    return Reply(
        texts=tuple(said(text, asked).text for text in row["texts"]),
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        finish_reasons=tuple(map(finish, row["finish_reasons"])),
    )
