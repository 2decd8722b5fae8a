"""A teacher behind an OpenAI-compatible endpoint (``POST /chat/completions``).

Failures are of three kinds. Passing ones (429, 5xx, timeouts, broken connections, replies that
are not JSON) are tried again. A request that still fails is handed back as failed, and the run
goes on until half of the last ten have failed. An endpoint that cannot be connected to, or refuses
the key, the path or the model, ends the run at once.
"""

import random
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import tenacity

from pipeline.cache import canonical_json, digest
from pipeline.errors import TeacherError
from pipeline.generate.teacher import FAILED, OnReply, Reply, Request, Strength
from pipeline.settings import TeacherSettings

FIRST_DELAY, FACTOR, JITTER, LONGEST_DELAY = 1.0, 2.0, 0.2, 60.0
"""Seconds before the first retry, growth, share of random spread, cap (DataDesigner's values)."""
SLOWDOWN = 0.75
"""Concurrency after a 429, times this (DataDesigner)."""
WINDOW, TOO_MANY = 10, 5
"""Of the last ten requests, so many failed ones end the run (DataDesigner)."""
CONNECT_SECONDS = 10.0
FATAL = {401: "the key is missing or wrong", 403: "the key is not allowed to", 404: "not found"}
LOCAL = ("127.0.0.1", "localhost", "::1")


class _Passing(Exception):
    """A failure that may pass; ``delay`` is what the server asked to wait, in seconds."""

    def __init__(self, reason: str, delay: float | None = None) -> None:
        super().__init__(reason)
        self.delay = delay


class _Refused(Exception):
    """The server refuses this one request (400, 413, 422): asking again does not help."""


class EndpointTeacher:
    """Teacher over HTTP; many requests at once, each independent of the others."""

    def __init__(self, settings: TeacherSettings, api_key: str | None) -> None:
        """Prepare the client; nothing is sent yet.

        Args:
            settings: where, which model, how many at once, how patient.
            api_key: sent as a bearer token; never stored, logged or shown.
        """
        self.name = f"{settings.model}@{settings.base_url.rstrip('/')}"
        self.strength: Strength = "weak" if settings.strength == "weak" else "strong"
        self.batch_size = 0
        self.retries = 0
        self._settings = settings
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._lock = threading.Lock()
        self._allowed = float(settings.concurrency)
        self._stopping = threading.Event()

    def complete(
        self, requests: Sequence[Request], seed: int, on_reply: OnReply | None = None
    ) -> list[Reply]:
        """Answer the requests, ``concurrency`` at once; a failed one comes back as failed.

        Raises:
            TeacherError: the endpoint cannot be reached or refuses, or half of the last ten
                requests failed.
        """
        replies: dict[int, Reply] = {}
        recent: deque[str] = deque(maxlen=WINDOW)
        todo = deque(enumerate(requests))
        running: dict[Future[Reply], int] = {}
        self._stopping.clear()
        with self._client() as client, ThreadPoolExecutor(self._settings.concurrency) as pool:
            try:
                while todo or running:
                    while todo and len(running) < max(1, int(self._allowed)):
                        place, request = todo.popleft()
                        running[pool.submit(self._answer, client, request, seed)] = place
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        place, reply = running.pop(future), future.result()
                        replies[place] = reply
                        recent.append(reply.texts[0] if reply.failed else "")
                        if on_reply is not None:
                            on_reply(place, reply)
                        self._judge(recent)
            finally:
                self._stopping.set()  # threads that wait for a retry give up
        return [replies[place] for place in range(len(requests))]

    def answer_losses(self, pairs: Sequence[Any]) -> None:
        """Return None: chat endpoints do not tell the likelihood of a given answer."""

    def _client(self) -> httpx.Client:
        timeout = httpx.Timeout(
            self._settings.timeout_seconds,
            connect=min(CONNECT_SECONDS, self._settings.timeout_seconds),
        )
        local = httpx.URL(self._settings.base_url).host in LOCAL
        return httpx.Client(headers=self._headers, timeout=timeout, trust_env=not local)

    def _judge(self, recent: deque[str]) -> None:
        failures = [reason for reason in recent if reason]
        if len(failures) >= TOO_MANY:
            raise TeacherError(
                f"teacher {self.name}: {len(failures)} of the last {len(recent)} requests failed "
                f"after {self._settings.max_retries} retries each (last: {failures[-1]}); expected "
                "fewer than half; replies so far are kept: mend the endpoint and run again"
            )

    def _answer(self, client: httpx.Client, request: Request, seed: int) -> Reply:
        body = self._body(request, seed)
        parts: list[tuple[list[str], list[str], int, int]] = []
        try:
            # Some servers ignore n: what is missing is asked for again with another seed.
            while (have := sum(len(texts) for texts, *_ in parts)) < request.samples:
                asked = body | {"n": request.samples - have, "seed": (body["seed"] + have) % 2**31}
                parts.append(self._with_retries(client, asked))
        except (_Passing, _Refused) as error:
            return Reply((str(error),), 0, 0, (FAILED,))
        return Reply(
            texts=tuple(text for texts, *_ in parts for text in texts)[: request.samples],
            prompt_tokens=sum(part[2] for part in parts),
            completion_tokens=sum(part[3] for part in parts),
            finish_reasons=tuple(r for _, reasons, *_ in parts for r in reasons)[: request.samples],
        )

    def _with_retries(
        self, client: httpx.Client, body: dict[str, Any]
    ) -> tuple[list[str], list[str], int, int]:
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._settings.max_retries + 1)
            | tenacity.stop_when_event_set(self._stopping),
            wait=_delay,
            sleep=tenacity.sleep_using_event(self._stopping),
            retry=tenacity.retry_if_exception_type(_Passing),
            before_sleep=self._note_retry,
            reraise=True,
        )
        try:
            return retrying(self._post, client, body)
        except _Passing as error:
            if isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
                raise TeacherError(
                    f"teacher {self.name}: no connection after {self._settings.max_retries + 1} "
                    f"attempts ({error}); expected an OpenAI-compatible server; start it, or "
                    "correct teacher.base_url"
                ) from error
            raise

    def _post(
        self, client: httpx.Client, body: dict[str, Any]
    ) -> tuple[list[str], list[str], int, int]:
        url = f"{self._settings.base_url.rstrip('/')}/chat/completions"
        try:
            response = client.post(url, json=body)
        except httpx.TimeoutException as error:
            kind = "no connection" if isinstance(error, httpx.ConnectTimeout) else "no answer"
            raise _Passing(f"{kind} in {self._settings.timeout_seconds:g} s") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise TeacherError(
                f"teacher.base_url: {self._settings.base_url!r} found; expected a URL such as "
                "http://127.0.0.1:8000/v1; correct it"
            ) from error
        except httpx.TransportError as error:
            raise _Passing(str(error) or type(error).__name__) from error
        status = response.status_code
        if status == httpx.codes.TOO_MANY_REQUESTS:
            with self._lock:
                self._allowed = max(1.0, self._allowed * SLOWDOWN)
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
            raise _Passing(f"HTTP {status}", _retry_after(response.headers.get("Retry-After")))
        if status in FATAL:
            raise TeacherError(
                f"teacher {self.name}: HTTP {status} ({FATAL[status]}): {self._shown(response)}; "
                "expected an answer; check OPENAI_API_KEY, teacher.base_url and teacher.model"
            )
        if status != httpx.codes.OK:
            raise _Refused(f"HTTP {status}: {self._shown(response)}")
        return _read(response)

    def _body(self, request: Request, seed: int) -> dict[str, Any]:
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
            "seed": int(digest(content)[:7], 16),
        }
        if request.stop:
            body["stop"] = list(request.stop[:4])  # OpenAI takes four at most
        return body

    def _shown(self, response: httpx.Response) -> str:
        """Return the start of an error body on one line, without the key."""
        text = " ".join(response.text.split())[:200]
        secret = self._headers.get("Authorization", "").removeprefix("Bearer ")
        return text.replace(secret, "<key>") if secret else text

    def _note_retry(self, state: tenacity.RetryCallState) -> None:
        with self._lock:
            self.retries += 1


def _read(response: httpx.Response) -> tuple[list[str], list[str], int, int]:
    """Return texts, finish reasons, prompt and completion tokens of a chat completion."""
    try:
        answer = response.json()
        texts = [choice["message"]["content"] or "" for choice in answer["choices"]]
        reasons = [choice.get("finish_reason") or "stop" for choice in answer["choices"]]
        usage = answer.get("usage") or {}
        counts = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
        if not texts or not all(isinstance(text, str) for text in texts):
            raise ValueError("no choices")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _Passing("the reply is not a chat completion") from error
    return texts, reasons, *counts


def _delay(state: tenacity.RetryCallState) -> float:
    """Return the seconds to wait: what the server asked for, else exponential with jitter."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, _Passing) and error.delay is not None:
        return min(error.delay, LONGEST_DELAY)
    delay = min(FIRST_DELAY * FACTOR ** (state.attempt_number - 1), LONGEST_DELAY)
    # Spread in time only: the replies do not depend on it.
    return delay * random.uniform(1 - JITTER, 1 + JITTER)


def _retry_after(header: str | None) -> float | None:
    """Read Retry-After: seconds or an HTTP date."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
