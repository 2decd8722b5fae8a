"""A teacher behind an OpenAI-compatible endpoint: many requests at once.

What a server refuses of a request is left out from then on (:mod:`.dialect`), and once a reply
shows thoughts, each request gets room for them.
"""

import json
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Event, Lock, Semaphore
from typing import Any

from pipeline.core.cache import canonical_json, digest
from pipeline.core.errors import TeacherError
from pipeline.pairs.teachers.chat_server import ChatServer, Passing, Refused
from pipeline.pairs.teachers.completion import Completion
from pipeline.pairs.teachers.dialect import RENAMED, SYSTEM, suited
from pipeline.pairs.teachers.teacher import (
    CUT_IN_THOUGHT,
    FAILED,
    NO_ROOM,
    OnReply,
    Reply,
    Request,
    Strength,
)
from pipeline.settings import TeacherSettings

WINDOW, TOO_MANY = 10, 5  # so many failures among the last ten requests end the run (DataDesigner)
Ask = Callable[..., Completion]  # of a body and its request (ChatServer.ask)


class EndpointTeacher:
    """Teacher over HTTP."""

    def __init__(
        self,
        settings: TeacherSettings,
        api_key: str | None,
        say: Callable[[str], None] = lambda line: None,
        section: str = "teacher",
    ) -> None:
        """Prepare the client; nothing is sent yet.

        ``say`` is told once of each field that the server refuses, and that it thinks; ``section``
        is the name of the settings in messages.
        """
        self._server = ChatServer(settings, api_key, section)
        self.name = self._server.name
        self.strength: Strength = "weak" if settings.strength == "weak" else "strong"
        self.batch_size = 0
        self._settings, self._say, self._section = settings, say, section
        instead = {ours for ours, name in RENAMED.items() if name in settings.extra}
        self._taken = instead | settings.extra.keys()
        self._refused: frozenset[str] = frozenset()
        self._thinks = self._tried = False
        self._lock, self._trying = Lock(), Lock()
        self._out = Semaphore(settings.concurrency)

    def complete(
        self, requests: Sequence[Request], seed: int, on_reply: OnReply | None = None
    ) -> list[Reply]:
        """Answer the requests, many at once (:mod:`.gate`); a failed one comes back as failed.

        Several threads may call it: they share what the server bears. A reply is handed to
        ``on_reply`` in the thread that asked, before that one sends the next request: a process
        that dies loses ``teacher.concurrency`` requests at most.

        Raises:
            TeacherError: the server takes no request, or half of the last ten failed.
        """
        recent: deque[Reply] = deque(maxlen=WINDOW)
        stopping, most = Event(), self._settings.concurrency
        with self._server.client() as client, ThreadPoolExecutor(most) as pool:
            ask = partial(self._server.ask, client, stopping)

            def answer(place: int, request: Request) -> Reply:
                with self._out:
                    reply = self._answer(ask, request, seed)
                    if on_reply is not None:
                        on_reply(place, reply)
                    return reply

            try:
                running = [pool.submit(answer, *item) for item in enumerate(requests)]
                for future in as_completed(running):
                    recent.append(future.result())
                    failures = [reply.texts[0] for reply in recent if reply.failed]
                    if len(failures) >= TOO_MANY:
                        raise TeacherError(
                            f"{self._server.title}: {len(failures)} of the last {len(recent)} "
                            f"requests failed after {self._settings.max_retries} retries each "
                            f"(last: {failures[-1]}); expected fewer than half; replies so far are "
                            "kept: mend the endpoint and run again"
                        )
            finally:
                stopping.set()  # requests that wait for a retry give up
                pool.shutdown(wait=False, cancel_futures=True)
        return [future.result() for future in running]

    def answer_losses(self, pairs: Sequence[Any]) -> None:
        """Return None: chat endpoints do not tell the likelihood of a given answer."""

    def _answer(self, ask: Ask, request: Request, seed: int) -> Reply:
        parts: list[Completion] = []
        try:
            # Some servers ignore n: what is missing is asked for again with another seed.
            while (have := sum(len(part.texts) for part in parts)) < request.samples:
                parts.append(self._completed(ask, request, self._body(request, seed, have)))
        except (Passing, Refused) as error:
            return Reply((str(error),), 0, 0, (FAILED,))
        texts = tuple(text for part in parts for text in part.texts)
        reasons = tuple(reason for part in parts for reason in part.finish_reasons)
        read = sum(part.prompt_tokens for part in parts)
        written = sum(part.completion_tokens for part in parts)
        return Reply(texts[: request.samples], read, written, reasons[: request.samples])

    def _completed(self, ask: Ask, request: Request, body: dict[str, Any]) -> Completion:
        """Ask until the server takes the request, and once more if thoughts took all its room."""
        read = written = 0
        while True:
            thinks = self._thinks
            try:
                found = ask(self._sent(body, thinks), request)
            except Refused as error:
                if not error.fields:
                    raise
                self._leave_out(error)
                continue
            read, written = read + found.prompt_tokens, written + found.completion_tokens
            found = replace(found, prompt_tokens=read, completion_tokens=written)
            if thinks or not self._settings.thinking_tokens:
                return found
            if found.thinks:
                self._make_room()
            elif NO_ROOM in found.finish_reasons:
                self._try_room(ask, request, body)
            if not self._thinks or not {CUT_IN_THOUGHT, NO_ROOM}.intersection(found.finish_reasons):
                return found

    def _try_room(self, ask: Ask, request: Request, body: dict[str, Any]) -> None:
        """Find out once whether a reply was cut in thoughts whose opening tag is in the prompt.

        Nothing else comes of it: the reply would depend on which request came first.
        """
        with self._trying:
            if not self._tried:
                self._tried = True
                with suppress(Passing, Refused):
                    if ask(self._sent(body, True), request).thinks:
                        self._make_room()

    def _sent(self, body: dict[str, Any], thinks: bool) -> dict[str, Any]:
        """Return a request as this server takes it, with room for thoughts where it thinks."""
        sent = dict(body)
        if thinks:
            sent["max_tokens"] += self._settings.thinking_tokens
            sent.pop("stop", None)  # it would end the thoughts
        sent = suited(sent, self._refused)
        return {name: value for name, value in sent.items() if name not in self._taken}

    def _make_room(self) -> None:
        with self._lock:
            first, self._thinks = not self._thinks, True
        if first:
            self._say(
                f"{self._server.title} thinks before it answers: thoughts are taken out, and each "
                f"request gets {self._settings.thinking_tokens:,} tokens of room for them "
                f"({self._section}.thinking_tokens)"
            )

    def _leave_out(self, error: Refused) -> None:
        with self._lock:
            new = sorted(error.fields - self._refused)
            self._refused |= error.fields
        for name in new:
            instead = f"sent as {RENAMED[name]}" if name in RENAMED else "left out"
            instead = "put before the first question" if name == SYSTEM else instead
            self._say(f"{self._server.title} refuses {name} ({error}): {instead} from now on")

    def _body(self, request: Request, seed: int, have: int) -> dict[str, Any]:
        messages = [{"role": role, "content": content} for role, content in request.messages]
        if messages[-1]["role"] == "assistant":
            # Few servers continue a turn of the assistant; all follow a request to do so.
            begun = messages.pop()["content"]
            messages[-1]["content"] += (
                "\n\nContinue the text below from its very end. Write only what follows it.\n"
                f"\n{begun}"
            )
        content = canonical_json([messages, request.max_tokens, request.samples, seed])
        body: dict[str, Any] = {
            "model": self._settings.model,
            "messages": messages,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": (int(digest(content)[:7], 16) + have) % 2**31,
        }
        if request.samples - have > 1:
            body["n"] = request.samples - have
        if request.schema:
            schema = {"name": "answer", "schema": json.loads(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if request.stop:
            body["stop"] = list(request.stop[:4])  # OpenAI takes four at most
        return body
