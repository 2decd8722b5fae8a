"""A server of chat completions (``POST /chat/completions``): requests, retries, failures.

Failures are of three kinds. Passing ones (429, 5xx, timeouts, broken connections, replies that
are not JSON) are tried again. A server that cannot be connected to, refuses the key, the path or
the model, or is out of quota, is a TeacherError. Anything else is refused: this one request fails.
"""

import functools
import random
import re
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from typing import Any

import httpx
import tenacity

from pipeline.core.cache import digest
from pipeline.core.errors import TeacherError
from pipeline.pairs.teachers.completion import Completion, ServerError, error_of, read, words
from pipeline.pairs.teachers.dialect import refused_fields
from pipeline.pairs.teachers.gate import Gate
from pipeline.pairs.teachers.teacher import Request
from pipeline.settings import TeacherSettings

FIRST_DELAY, FACTOR, JITTER, LONGEST_DELAY = 1.0, 2.0, 0.2, 60.0
"""Seconds before the first retry, growth, share of random spread, cap (DataDesigner's values)."""
LONGEST_WAIT = 300.0  # seconds to wait at a server's wish; more ends the run (a daily quota)
CONNECT_SECONDS = 10.0
FATAL = {
    401: "the key is missing or wrong", 402: "it wants to be paid",
    403: "the key is not allowed to", 404: "not found", 405: "not found",
}  # fmt: skip
QUOTA = re.compile(r"quota|billing|balance|credit", re.IGNORECASE)
"""In the code of a 429. Not in its words: Google's speak of quota for a limit a minute too."""
DAILY = re.compile(r"per[ -]day|\bdaily\b", re.IGNORECASE)
LONGEST_WORDS = 1000  # characters shown of what a server says; a page can be long
LOCAL = ("127.0.0.1", "localhost", "::1")
SHORTEST_SECRET = 7  # characters from which a key is masked: "EMPTY" and "ollama" are no secrets
CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")

_certificates = functools.cache(httpx.create_ssl_context)  # read once: it takes 50 ms


class Passing(Exception):
    """A failure that may pass; ``delay`` is what the server asked to wait, in seconds."""

    def __init__(self, reason: str, delay: float | None = None) -> None:
        super().__init__(reason)
        self.delay = delay


class Refused(Exception):
    """The server refuses this one request: asking again helps without ``fields``, if at all."""

    def __init__(self, reason: str, fields: set[str]) -> None:
        super().__init__(reason)
        self.fields = fields


class ChatServer:
    """A server at an address, with a key that is never stored, logged or shown.

    A key or an address that cannot be used is a TeacherError.
    """

    def __init__(self, settings: TeacherSettings, api_key: str | None, section: str) -> None:
        key, url = (api_key or "").strip(), _address(settings.base_url, section)
        if not re.fullmatch(r"[!-~]*", key):
            raise TeacherError(
                "OPENAI_API_KEY: a character found that no HTTP header can hold (a space, a line "
                "end, a typographic dash); expected ASCII letters, digits and signs; copy it again"
            )
        shown = url.copy_with(username=None, password=None, query=None)
        extra = f"#{digest(settings.extra)[:8]}" if settings.extra else ""
        self.name = f"{settings.model}@{shown}{extra}"
        self.title = f"{section} {self.name}"
        self.gate = Gate(settings.concurrency)
        self._settings, self._section = settings, section
        path = f"{url.path.rstrip('/')}/chat/completions"
        self._url = url.copy_with(username=None, password=None, path=path)
        self._auth = httpx.BasicAuth(url.username, url.password) if url.userinfo else None
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        secrets = (key, url.password, *url.params.values())
        self._secrets = [text for text in secrets if len(text) >= SHORTEST_SECRET]
        self._hint = "" if re.search(r"/v\d", url.path) else f" (try {shown}/v1)"

    def client(self) -> httpx.Client:
        """Return a client; of this machine's servers no proxy is asked."""
        seconds = self._settings.timeout_seconds
        return httpx.Client(
            headers=self._headers,
            auth=self._auth,
            timeout=httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)),
            trust_env=self._url.host not in LOCAL,
            verify=_certificates(),
        )

    def ask(
        self, client: httpx.Client, stopping: Event, body: dict[str, Any], request: Request
    ) -> Completion:
        """Send a request, and again as often as the settings say.

        Raises:
            Passing: it failed each time, or was told to stop.
            Refused: the server refuses this request.
            TeacherError: the server takes no request.
        """
        attempts = 1 + self._settings.max_retries
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_when_event_set(stopping),
            wait=_delay,
            sleep=tenacity.sleep_using_event(stopping),
            retry=tenacity.retry_if_exception_type(Passing),
            reraise=True,
        )
        try:
            return retrying(self._post, client, stopping, body, request)
        except Passing as error:
            if isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
                raise TeacherError(
                    f"{self.title}: no connection after {attempts} attempts ({error}); expected an "
                    f"OpenAI-compatible server; start it, or correct {self._section}.base_url"
                ) from error
            raise

    def _post(
        self, client: httpx.Client, stopping: Event, body: dict[str, Any], request: Request
    ) -> Completion:
        try:
            with self.gate:
                if stopping.is_set():
                    raise Passing("not sent any more")
                response = client.post(self._url, json=body | self._settings.extra)
        except httpx.TimeoutException as error:
            what = "no connection" if isinstance(error, httpx.ConnectTimeout) else "no answer"
            setting = f"{self._settings.timeout_seconds:g} s ({self._section}.timeout_seconds)"
            raise Passing(f"{what} in {setting}") from error
        except httpx.TransportError as error:
            raise Passing(self._masked(str(error)) or type(error).__name__) from error
        try:
            answer = response.json()
        except ValueError:
            answer = response.text
        status = response.status_code
        if response.is_success:
            try:
                return read(answer, request.text, request.stop)
            except ServerError as error:
                status, answer = error.status, error.answer
            except ValueError:
                raise self._unreadable(response) from None
        raise self._failure(status, answer, response, body)

    def _unreadable(self, response: httpx.Response) -> Exception:
        text = self._masked(words(response.text))[:200]
        kind_of_reply = response.headers.get("Content-Type", "")
        if response.text.startswith("data:") or "event-stream" in kind_of_reply:
            return TeacherError(
                f"{self.title}: the server streams its reply: {text}; expected one JSON object; "
                f"set {self._section}.extra = {{ stream = false }}, or turn streaming off there"
            )
        return Passing(f"the reply is not a chat completion: {text}{self._hint}")

    def _failure(
        self, status: int, answer: Any, response: httpx.Response, body: dict[str, Any]
    ) -> Exception:
        # Masked first, or half a key would be left at the cut.
        message = self._masked(words(answer))[:LONGEST_WORDS]
        line = f"HTTP {status}: {message}" if message else f"HTTP {status}"
        if 300 <= status < 400:
            target = self._masked(response.headers.get("Location", "nowhere"))
            return TeacherError(
                f"{self.title}: HTTP {status}: moved to {target}; expected an answer; set "
                f"{self._section}.base_url to {target.removesuffix('/chat/completions')}"
            )
        if status in FATAL:
            hint = self._hint if status in (404, 405) else ""
            return TeacherError(
                f"{self.title}: HTTP {status} ({FATAL[status]}): {message}; expected an answer; "
                f"check OPENAI_API_KEY, {self._section}.base_url{hint} and {self._section}.model"
            )
        delay = _retry_after(response.headers.get("Retry-After", ""))
        too_many = status == httpx.codes.TOO_MANY_REQUESTS
        spent: object = None
        if too_many:
            self.gate.too_many()
            told = error_of(answer)
            spent = QUOTA.search(f"{told.get('type')} {told.get('code')}")
            spent = spent or (delay is None and DAILY.search(message))
        elif fields := refused_fields(answer, body):
            return Refused(line, fields)
        if spent or (delay or 0) > LONGEST_WAIT:
            asks = f" (and asks to wait {delay:,.0f} s)" if delay else ""
            return TeacherError(
                f"{self.title}: {line}{asks}; expected an answer within minutes; replies so far "
                "are kept: run again when the server gives more"
            )
        if too_many or status >= 500:
            return Passing(line, delay)
        return Refused(line + (self._hint if response.is_success else ""), set())

    def _masked(self, text: str) -> str:
        """Return text without the key, and without the user and password of an address."""
        for secret in self._secrets:
            text = text.replace(secret, "<key>")
        return CREDENTIALS.sub("", text)


def _address(base_url: str, section: str) -> httpx.URL:
    """Return the URL below which ``/chat/completions`` stands."""
    with suppress(httpx.InvalidURL):
        url = httpx.URL(base_url.strip())
        if url.scheme in ("http", "https") and url.host:
            path = url.path.rstrip("/").removesuffix("/chat/completions")
            return url.copy_with(path=path, fragment=None)
    raise TeacherError(
        f"{section}.base_url: {CREDENTIALS.sub('', base_url)!r} found; expected a URL such as "
        "http://127.0.0.1:8000/v1; correct it"
    )


def _delay(state: tenacity.RetryCallState) -> float:
    """Return the seconds to wait: what the server asked for, else exponential with jitter."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, Passing) and error.delay is not None:
        return error.delay
    delay = min(FIRST_DELAY * FACTOR ** (state.attempt_number - 1), LONGEST_DELAY)
    # Spread in time only: the replies do not depend on it.
    return delay * random.uniform(1 - JITTER, 1 + JITTER)


def _retry_after(header: str) -> float | None:
    with suppress(ValueError):
        return max(0.0, float(header))
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    return None
