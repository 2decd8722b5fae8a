"""The reply cache: no reply of a teacher is ever paid for twice.

A teacher in this process computes requests in batches, and the replies of a batch depend on one
another through padding and the random numbers. So a batch is the unit: its members follow from
the order and content of the requests alone, its seed from its content, and its replies are kept
in one entry. A run that is killed halfway finds whole batches or none, and gives the same bytes.
Requests to an endpoint are independent: each has an entry of its own, kept as it arrives.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.cache import Cache, digest
from pipeline.generate.teacher import Messages, OnReply, Reply, Request, Strength, Teacher

VERSION = 1
"""Of the entries: raise it when their form or the cutting of batches changes."""


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


class CachingTeacher:
    """A teacher whose replies are kept for good."""

    def __init__(self, teacher: Teacher, cache: Cache) -> None:
        """Wrap a teacher; ``cache`` is a folder of its own."""
        self._teacher = teacher
        self._cache = cache
        self._usage = Usage()
        self.name = teacher.name
        self.strength: Strength = teacher.strength
        self.batch_size = teacher.batch_size

    @property
    def usage(self) -> Usage:
        """A copy of the counts so far."""
        retries = int(getattr(self._teacher, "retries", 0))
        return Usage(**(asdict(self._usage) | {"retries": retries}))

    def complete(
        self, requests: Sequence[Request], seed: int, on_reply: OnReply | None = None
    ) -> list[Reply]:
        """Answer requests from the cache where it can, else from the teacher.

        Requests given together are cut into batches in their order: give those of one document,
        so that another document does not change them.
        """
        if self.batch_size == 0:
            return self._one_by_one(requests, seed, on_reply)
        replies: list[Reply] = []
        for batch in _batches(requests, self.batch_size):
            for reply in self._batch(batch, seed):
                if on_reply is not None:
                    on_reply(len(replies), reply)
                replies.append(reply)
        return replies

    def answer_losses(self, pairs: Sequence[tuple[Messages, str]]) -> list[float] | None:
        """Return the mean nats a token of each answer, from the cache where it can."""
        losses: list[float] = []
        width = self.batch_size or len(pairs)
        for first in range(0, len(pairs), max(1, width)):
            batch = pairs[first : first + width]
            key = self._key("losses", pairs=[[_turns(m), answer] for m, answer in batch])
            known = self._cache.get(key)
            if known is None:
                known = self._teacher.answer_losses(batch)
                if known is None:
                    return None
                self._cache.put(key, known)
                self._usage.calls += len(batch)
            else:
                self._usage.cached += len(batch)
            losses += known
        return losses

    def _batch(self, batch: Sequence[Request], seed: int) -> list[Reply]:
        key = self._key("batch", seed=seed, requests=[_plain(request) for request in batch])
        entry = self._cache.get(key)
        if entry is not None:
            self._usage.cached += len(batch)
            return [_reply(row) for row in entry]
        replies = self._teacher.complete(batch, int(digest(key)[:15], 16))
        self._cache.put(key, [asdict(reply) for reply in replies])
        for reply in replies:
            self._count(reply)
        return replies

    def _one_by_one(
        self, requests: Sequence[Request], seed: int, on_reply: OnReply | None
    ) -> list[Reply]:
        keys = [self._key("request", seed=seed, request=_plain(request)) for request in requests]
        entries = [self._cache.get(key) for key in keys]
        replies = {place: _reply(row) for place, row in enumerate(entries) if row is not None}
        self._usage.cached += len(replies)
        if on_reply is not None:
            for place, reply in replies.items():
                on_reply(place, reply)
        missing = [place for place in range(len(requests)) if place not in replies]

        def keep(number: int, reply: Reply) -> None:
            place = missing[number]
            replies[place] = reply
            self._count(reply)
            if not reply.failed:  # a failure is asked again in the next run
                self._cache.put(keys[place], asdict(reply))
            if on_reply is not None:
                on_reply(place, reply)

        if missing:
            self._teacher.complete([requests[place] for place in missing], seed, keep)
        return [replies[place] for place in range(len(requests))]

    def _key(self, kind: str, **content: Any) -> dict[str, Any]:
        return {"teacher": self.name, "version": VERSION, "kind": kind, **content}

    def _count(self, reply: Reply) -> None:
        self._usage.calls += 1
        self._usage.prompt_tokens += reply.prompt_tokens
        self._usage.completion_tokens += reply.completion_tokens


def _batches(requests: Sequence[Request], rows: int) -> Iterator[list[Request]]:
    """Cut requests, in order, into batches of at most ``rows`` replies (one request at least)."""
    batch: list[Request] = []
    for request in requests:
        if batch and sum(r.samples for r in batch) + request.samples > rows:
            yield batch
            batch = []
        batch.append(request)
    if batch:
        yield batch


def _turns(messages: Messages) -> list[list[str]]:
    return [list(turn) for turn in messages]


def _plain(request: Request) -> dict[str, Any]:
    row = asdict(request)
    return row | {"messages": _turns(request.messages), "stop": list(request.stop)}


def _reply(row: dict[str, Any]) -> Reply:
    return Reply(
        texts=tuple(row["texts"]),
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        finish_reasons=tuple(row["finish_reasons"]),
    )
