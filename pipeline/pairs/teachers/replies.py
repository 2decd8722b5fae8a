"""The reply cache: no reply of a teacher is ever paid for twice.

Each request has an entry of its own, found by its content and the seed, and kept as it arrives. Of
an endpoint only useful replies are kept: an empty one, a refusal, thoughts without an answer, or
what its reader makes nothing of (:func:`forget`) is asked for again in the next run, of a server
that may be mended by then. A model in this process would say the same again.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pipeline.core.cache import Cache, Entry
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
Asked = tuple[Path, Request]  # a request and the file of its reply
VERSION = 2  # of the entries: raise it when their form or the random numbers change


@dataclass(slots=True)
class Usage:
    """What the teacher was asked, and what the cache spared."""

    calls: int = 0  # requests that reached the teacher, answers whose loss was measured included
    cached: int = 0  # requests answered from the cache
    prompt_tokens: int = 0
    completion_tokens: int = 0  # tokens of the calls; cached replies cost none
    read: int = 0
    written: int = 0  # tokens of all requests and replies, those from the cache included


class CachingTeacher:
    """A teacher whose useful replies are kept for good."""

    def __init__(self, teacher: Teacher, cache: Cache) -> None:
        self._teacher, self._cache = teacher, cache
        self._usage, self._lock = Usage(), threading.Lock()
        self._under_way: dict[Path, threading.Event] = {}
        self._of_teacher: dict[str, Any] = {"teacher": teacher.name, "version": VERSION}
        self.name = teacher.name
        self.strength: Strength = teacher.strength
        self.batch_size = teacher.batch_size

    @property
    def usage(self) -> Usage:
        """A copy of the counts so far."""
        return replace(self._usage)

    def complete(
        self, requests: Sequence[Request], seed: int, on_reply: OnReply | None = None
    ) -> list[Reply]:
        """Answer requests from the cache where it can, else from the teacher.

        A teacher in this process gets at most ``batch_size`` replies to make at once.
        """
        entries = [self.entry(request, seed) for request in requests]
        replies: dict[int, Reply] = {}

        def give(place: int, reply: Reply) -> None:
            replies[place] = reply
            if on_reply is not None:
                on_reply(place, reply)

        # Two chunks with the same text ask the same, or two kinds at the same time: once is enough.
        missing: dict[Path, list[int]] = defaultdict(list)
        for place, (entry, request) in enumerate(zip(entries, requests, strict=True)):
            row = entry.get()
            if row is not None and self._keeps(reply := _reply(row, request)):
                self._count(reply, cached=True)
                give(place, reply)
            else:
                missing[entry.path].append(place)
        with self._lock:
            others = {key: self._under_way[key] for key in missing if key in self._under_way}
            claims = {key: threading.Event() for key in missing if key not in others}
            self._under_way |= claims

        def finish(key: Path) -> None:
            if claim := claims.pop(key, None):
                with self._lock:
                    del self._under_way[key]
                claim.set()

        asked = [(key, requests[missing[key][0]]) for key in claims]
        try:
            for batch in _batches(asked, self.batch_size):

                def keep(number: int, reply: Reply, batch: list[Asked] = batch) -> None:
                    key = batch[number][0]
                    first, *twins = missing[key]
                    if self._keeps(reply):
                        entries[first].put(asdict(reply))
                    finish(key)
                    for place in (first, *twins):
                        self._count(reply, cached=place != first)
                        give(place, reply)

                self._teacher.complete([request for _, request in batch], seed, keep)
        finally:
            for key in list(claims):
                finish(key)
        for key, event in others.items():
            event.wait()
            for place in missing[key]:
                give(place, self.complete([requests[place]], seed)[0])
        return [replies[place] for place in range(len(requests))]

    def answer_losses(self, pairs: Sequence[tuple[Messages, str]]) -> list[float] | None:
        """Return the mean nats a token of each answer, from the cache where it can."""
        keys = [{"kind": "loss", "turns": turns, "answer": answer} for turns, answer in pairs]
        entries = [self._cache.entry(self._of_teacher | key) for key in keys]
        losses: list[float | None] = [entry.get() for entry in entries]
        missing = [place for place, loss in enumerate(losses) if loss is None]
        self._usage.cached += len(pairs) - len(missing)
        # Pairs of like length share a pass, which pads them.
        lengths = [sum(len(text) for _, text in turns) + len(answer) for turns, answer in pairs]
        missing.sort(key=lengths.__getitem__)
        width = self.batch_size or max(1, len(missing))
        for first in range(0, len(missing), width):
            batch = missing[first : first + width]
            found = self._teacher.answer_losses([pairs[place] for place in batch])
            if found is None:
                return None
            for place, loss in zip(batch, found, strict=True):
                entries[place].put(loss)
                losses[place] = loss
            self._usage.calls += len(batch)
        return [loss for loss in losses if loss is not None]

    def _keeps(self, reply: Reply) -> bool:
        """Whether a reply is kept: a local one always, else one with a text that may be used."""
        useful = any(
            text.strip() and reason in (ENDED, NO_ROOM)
            for text, reason in zip(reply.texts, reply.finish_reasons, strict=True)
        )
        return not reply.failed and (self.batch_size > 0 or useful)

    def entry(self, request: Request, seed: int) -> Entry:
        """Return where the reply to a request is kept."""
        asked = asdict(request)
        if not request.schema:  # it is no part of the key, as it once was not
            del asked["schema"]
        key = {"kind": "request", "seed": seed, "request": asked}
        return self._cache.entry(self._of_teacher | key)

    def _count(self, reply: Reply, *, cached: bool) -> None:
        with self._lock:
            self._usage.read += reply.prompt_tokens
            self._usage.written += reply.completion_tokens
            if cached:
                self._usage.cached += 1
                return
            self._usage.calls += 1
            self._usage.prompt_tokens += reply.prompt_tokens
            self._usage.completion_tokens += reply.completion_tokens


def forget(teacher: Teacher, request: Request, seed: int) -> None:
    """Let a request be asked again in the next run: its reply was not what it asked for."""
    if isinstance(teacher, CachingTeacher) and not teacher.batch_size:
        teacher.entry(request, seed).path.unlink(missing_ok=True)


def ask_judge(
    judge: Teacher,
    asked: Sequence[Messages],
    max_tokens: int,
    read: Callable[[str], T | None],
    expected: str,
) -> list[T | None]:
    """Ask a judge, by the likeliest tokens, and read its replies.

    ``read`` returns None where a reply cannot be read; such a one is not kept. ``expected`` is what
    an error says of a reply: a TeacherError, where the judge fails or no reply can be read.
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


def _batches(asked: Sequence[Asked], rows: int) -> Iterator[list[Asked]]:
    """Cut requests into batches of at most ``rows`` replies (one request at least); 0: all."""
    batch: list[Asked] = []
    count = 0
    for key, request in asked:
        if batch and rows and count + request.samples > rows:
            yield batch
            batch, count = [], 0
        batch.append((key, request))
        count += request.samples
    if batch:
        yield batch


def _reply(row: dict[str, Any], request: Request) -> Reply:
    """Read an entry, one that was kept before thoughts were taken out too."""
    texts = tuple(said(text, request.text).text for text in row["texts"])
    reasons = tuple(map(finish, row["finish_reasons"]))
    return Reply(texts, row["prompt_tokens"], row["completion_tokens"], reasons)
