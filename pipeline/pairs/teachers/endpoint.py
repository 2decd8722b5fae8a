"""A teacher behind an OpenAI-compatible endpoint (``POST /chat/completions``).

Failures are of three kinds. Passing ones (429, 5xx, timeouts, broken connections, replies that
are not JSON) are tried again. A request that still fails is handed back as failed, and the run
goes on until half of the last ten have failed. An endpoint that cannot be connected to, refuses
the key, the path or the model, or is out of quota, ends the run at once.

What a server refuses of a request is left out from then on (:mod:`.dialect`), and
once a reply shows thoughts, each request gets room for them.
"""

import functools
import random
import re
import ssl
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import tenacity

from pipeline.core.cache import canonical_json, digest
from pipeline.core.errors import TeacherError
from pipeline.pairs.teachers.completion import Completion, ServerError, kind, read, words
from pipeline.pairs.teachers.dialect import RENAMED, SYSTEM, refused_fields, suited
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

FIRST_DELAY, FACTOR, JITTER, LONGEST_DELAY = 1.0, 2.0, 0.2, 60.0
"""Seconds before the first retry, growth, share of random spread, cap (DataDesigner's values)."""
LONGEST_WAIT = 300.0
"""Seconds that a server may ask to wait; more ends the run (a daily quota asks for a day)."""
SLOWDOWN = 0.75
"""Concurrency after a 429, times this (DataDesigner)."""
WINDOW, TOO_MANY = 10, 5
"""Of the last ten requests, so many failed ones end the run (DataDesigner)."""
CONNECT_SECONDS = 10.0
FATAL = {
    401: "the key is missing or wrong", 402: "it wants to be paid",
    403: "the key is not allowed to", 404: "not found", 405: "not found",
}  # fmt: skip
QUOTA = re.compile(r"quota|billing|balance|credit", re.IGNORECASE)
"""In the code of a 429. Not in its words: Google's speak of quota for a limit a minute too."""
DAILY = re.compile(r"per[ -]day|\bdaily\b", re.IGNORECASE)
LONGEST_WORDS = 1000
"""Characters shown of what a server says; a page can be long."""
LOCAL = ("127.0.0.1", "localhost", "::1")
SHORTEST_SECRET = 7
"""Characters from which a key is masked: "EMPTY" and "ollama" are no secrets."""


class _Passing(Exception):
    """A failure that may pass; ``delay`` is what the server asked to wait, in seconds."""

    def __init__(self, reason: str, delay: float | None = None) -> None:
        super().__init__(reason)
        self.delay = delay


class _Refused(Exception):
    """The server refuses this one request: asking again helps without ``fields``, if at all."""

    def __init__(self, reason: str, fields: set[str]) -> None:
        super().__init__(reason)
        self.fields = fields


class EndpointTeacher:
    """Teacher over HTTP; many requests at once, each independent of the others."""

    def __init__(
        self,
        settings: TeacherSettings,
        api_key: str | None,
        say: Callable[[str], None] = lambda line: None,
        section: str = "teacher",
    ) -> None:
        """Prepare the client; nothing is sent yet.

        Args:
            settings: where, which model, how many at once, how patient.
            api_key: sent as a bearer token; never stored, logged or shown.
            say: told once of each field that the server refuses, and that it thinks.
            section: of the settings, for messages.

        Raises:
            TeacherError: the key or the address cannot be used.
        """
        key, url = (api_key or "").strip(), _address(settings.base_url, section)
        if not re.fullmatch(r"[!-~]*", key):
            raise TeacherError(
                "OPENAI_API_KEY: a character found that no HTTP header can hold (a space, a line "
                "end, a typographic dash); expected ASCII letters, digits and signs; copy it again"
            )
        shown = url.copy_with(username=None, password=None, query=None)
        extra = f"#{digest(settings.extra)[:8]}" if settings.extra else ""
        self.name = f"{settings.model}@{shown}{extra}"
        self.strength: Strength = "weak" if settings.strength == "weak" else "strong"
        self.batch_size = 0
        self.retries = 0
        self._settings = settings
        self._say, self._section = say, section
        instead = {ours for ours, name in RENAMED.items() if name in settings.extra}
        self._taken = instead | settings.extra.keys()
        self._url = url.copy_with(
            username=None, password=None, path=f"{url.path.rstrip('/')}/chat/completions"
        )
        self._auth = httpx.BasicAuth(url.username, url.password) if url.userinfo else None
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        secrets = (key, url.password, *url.params.values())
        self._secrets = [text for text in secrets if len(text) >= SHORTEST_SECRET]
        self._hint = "" if re.search(r"/v\d", url.path) else f" (try {shown}/v1)"
        self._lock = threading.Lock()
        self._allowed = float(settings.concurrency)
        self._refused: frozenset[str] = frozenset()
        self._thinks = self._tried = False
        self._trying = threading.Lock()
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
        local = self._url.host in LOCAL
        return httpx.Client(
            headers=self._headers, auth=self._auth, timeout=timeout, trust_env=not local,
            verify=_certificates(),
        )  # fmt: skip

    def _judge(self, recent: deque[str]) -> None:
        failures = [reason for reason in recent if reason]
        if len(failures) >= TOO_MANY:
            raise TeacherError(
                f"{self._who}: {len(failures)} of the last {len(recent)} requests failed "
                f"after {self._settings.max_retries} retries each (last: {failures[-1]}); expected "
                "fewer than half; replies so far are kept: mend the endpoint and run again"
            )

    def _answer(self, client: httpx.Client, request: Request, seed: int) -> Reply:
        parts: list[Completion] = []
        try:
            # Some servers ignore n: what is missing is asked for again with another seed.
            while (have := sum(len(part.texts) for part in parts)) < request.samples:
                parts.append(self._completed(client, request, self._body(request, seed, have)))
        except (_Passing, _Refused) as error:
            return Reply((str(error),), 0, 0, (FAILED,))
        return Reply(
            texts=tuple(text for part in parts for text in part.texts)[: request.samples],
            prompt_tokens=sum(part.prompt_tokens for part in parts),
            completion_tokens=sum(part.completion_tokens for part in parts),
            finish_reasons=tuple(r for part in parts for r in part.reasons)[: request.samples],
        )

    def _completed(
        self, client: httpx.Client, request: Request, body: dict[str, Any]
    ) -> Completion:
        """Ask until the server takes the request, and once more if thoughts took all its room."""
        before = None
        while True:
            thinks = self._thinks
            try:
                found = self._with_retries(client, self._sent(body, thinks), request)
            except _Refused as error:
                if not error.fields:
                    raise
                self._leave_out(error)
                continue
            if before is not None:
                found = replace(
                    found,
                    prompt_tokens=found.prompt_tokens + before.prompt_tokens,
                    completion_tokens=found.completion_tokens + before.completion_tokens,
                )
            if thinks or not self._settings.thinking_tokens:
                return found
            if found.thinks:
                self._make_room()
            elif NO_ROOM in found.reasons:
                self._try_room(client, request, body)
            if not self._thinks or not {CUT_IN_THOUGHT, NO_ROOM}.intersection(found.reasons):
                return found
            before = found

    def _try_room(self, client: httpx.Client, request: Request, body: dict[str, Any]) -> None:
        """Find out once whether a reply was cut in thoughts whose opening tag is in the prompt.

        Nothing else comes of it: the reply would depend on which request came first.
        """
        with self._trying:
            if not self._tried:
                self._tried = True
                with suppress(_Passing, _Refused):
                    if self._with_retries(client, self._sent(body, True), request).thinks:
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
                f"{self._who} thinks before it answers: thoughts are taken out, and each request "
                f"gets {self._settings.thinking_tokens:,} tokens of room for them "
                f"({self._section}.thinking_tokens)"
            )

    def _leave_out(self, error: _Refused) -> None:
        with self._lock:
            new = sorted(error.fields - self._refused)
            self._refused |= error.fields
        for name in new:
            instead = f"sent as {RENAMED[name]}" if name in RENAMED else "left out"
            instead = "put before the first question" if name == SYSTEM else instead
            self._say(f"{self._who} refuses {name} ({error}): {instead} from now on")

    def _with_retries(
        self, client: httpx.Client, body: dict[str, Any], request: Request
    ) -> Completion:
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
            return retrying(self._post, client, body, request)
        except _Passing as error:
            if isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
                raise TeacherError(
                    f"{self._who}: no connection after {self._settings.max_retries + 1} "
                    f"attempts ({error}); expected an OpenAI-compatible server; start it, or "
                    f"correct {self._section}.base_url"
                ) from error
            raise

    def _post(self, client: httpx.Client, body: dict[str, Any], request: Request) -> Completion:
        try:
            response = client.post(self._url, json=body | self._settings.extra)
        except httpx.TimeoutException as error:
            what = "no connection" if isinstance(error, httpx.ConnectTimeout) else "no answer"
            setting = f"{self._settings.timeout_seconds:g} s ({self._section}.timeout_seconds)"
            raise _Passing(f"{what} in {setting}") from error
        except httpx.TransportError as error:
            raise _Passing(self._masked(str(error)) or type(error).__name__) from error
        try:
            answer = response.json()
        except ValueError:
            answer = response.text
        status = response.status_code
        if response.is_success:
            asked = "\n".join(content for _, content in request.messages)
            try:
                return read(answer, asked, request.stop)
            except ServerError as error:
                status, answer = error.status, error.answer
            except ValueError:
                raise self._unreadable(response) from None
        raise self._failure(status, answer, response, body)

    def _unreadable(self, response: httpx.Response) -> Exception:
        """Return what to raise for a reply that is no chat completion."""
        text = self._said(response.text)[:200]
        if response.text.startswith("data:") or "event-stream" in response.headers.get(
            "Content-Type", ""
        ):
            return TeacherError(
                f"{self._who}: the server streams its reply: {text}; expected one JSON object; "
                f"set {self._section}.extra = {{ stream = false }}, or turn streaming off there"
            )
        return _Passing(f"the reply is not a chat completion: {text}{self._hint}")

    def _failure(
        self, status: int, answer: Any, response: httpx.Response, body: dict[str, Any]
    ) -> Exception:
        """Return what to raise for an error: whether it passes, can be got around, or ends all."""
        said = self._said(answer)
        line = f"HTTP {status}: {said}" if said else f"HTTP {status}"
        if 300 <= status < 400:
            target = self._masked(response.headers.get("Location", "nowhere"))
            return TeacherError(
                f"{self._who}: HTTP {status}: moved to {target}; expected an answer; set "
                f"{self._section}.base_url to {target.removesuffix('/chat/completions')}"
            )
        if status in FATAL:
            hint = self._hint if status in (404, 405) else ""
            return TeacherError(
                f"{self._who}: HTTP {status} ({FATAL[status]}): {said}; expected an answer; check "
                f"OPENAI_API_KEY, {self._section}.base_url{hint} and {self._section}.model"
            )
        delay = _retry_after(response.headers.get("Retry-After"))
        if status == httpx.codes.TOO_MANY_REQUESTS:
            with self._lock:
                self._allowed = max(1.0, self._allowed * SLOWDOWN)
            spent = QUOTA.search(kind(answer)) or (delay is None and DAILY.search(said))
        else:
            spent = None
            fields = refused_fields(answer, body)
            if fields:
                return _Refused(line, fields)
        if spent or (delay or 0) > LONGEST_WAIT:
            asks = f" (and asks to wait {delay:,.0f} s)" if delay else ""
            return TeacherError(
                f"{self._who}: {line}{asks}; expected an answer within minutes; replies so far are "
                "kept: run again when the server gives more"
            )
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
            return _Passing(line, delay)
        return _Refused(line + (self._hint if response.is_success else ""), set())

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
        if request.stop:
            body["stop"] = list(request.stop[:4])  # OpenAI takes four at most
        return body

    @property
    def _who(self) -> str:
        return f"{self._section} {self.name}"

    def _said(self, answer: Any) -> str:
        """Return a server's words without secrets; cut behind that, or half a key would be left."""
        return self._masked(words(answer))[:LONGEST_WORDS]

    def _masked(self, text: str) -> str:
        """Return text without the key, and without the user and password of an address."""
        for secret in self._secrets:
            text = text.replace(secret, "<key>")
        return re.sub(r"(?<=://)[^/\s@]+@", "", text)

    def _note_retry(self, state: tenacity.RetryCallState) -> None:
        with self._lock:
            self.retries += 1


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Return the certificates that are trusted; read once, as it takes 50 ms."""
    return httpx.create_ssl_context()


def _address(base_url: str, section: str) -> httpx.URL:
    """Return the URL below which ``/chat/completions`` stands."""
    try:
        url = httpx.URL(base_url.strip())
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        found = re.sub(r"(?<=://)[^/\s@]+@", "", base_url)
        raise TeacherError(
            f"{section}.base_url: {found!r} found; expected a URL such as "
            "http://127.0.0.1:8000/v1; correct it"
        )
    path = url.path.rstrip("/").removesuffix("/chat/completions")
    return url.copy_with(path=path, fragment=None)


def _delay(state: tenacity.RetryCallState) -> float:
    """Return the seconds to wait: what the server asked for, else exponential with jitter."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, _Passing) and error.delay is not None:
        return error.delay
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
