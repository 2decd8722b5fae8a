"""The web application of ``tuneloop serve``: routes, who may use them, what they send."""

import asyncio
import hmac
import json
import re
import secrets
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from flows.gateway.answering import Answer, Champion, Texts
from flows.gateway.exchange_log import ExchangeLog
from flows.gateway.knowledge import citations
from flows.gateway.requests import CHAMPION, Ask, Refusal, read_ask
from flows.gateway.upstream import Upstream

Backend = Champion | Upstream
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_BYTES = 4 * 2**20  # of a request: more than any model here can read
PAGE = {"/": "page.html", "/page.js": "page.js", "/page.css": "page.css"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def guarded(app: ASGIApp, key: str, loopback: bool) -> ASGIApp:
    """Let in no page of another origin, no other name of this host, no wrong key ('' for none)."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                _check(scope["path"], Headers(scope=scope), key, loopback)
            except Refusal as refusal:
                return await refusal.response()(scope, receive, send)
        await app(scope, receive, send)

    return guard


def _check(path: str, headers: Headers, key: str, loopback: bool) -> None:
    host = headers.get("host", "")
    if loopback and (urlsplit(f"//{host}").hostname or "") not in LOOPBACK:
        # A name that a foreign page made point here (DNS rebinding).
        raise Refusal(403, f"host: {host!r} found; expected localhost", "foreign_host")
    if not path.startswith("/v1/"):
        return
    origin = headers.get("origin")
    fetched = headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    if not fetched or (origin is not None and urlsplit(origin).netloc != host):
        raise Refusal(403, f"origin: {origin!r} found; expected this server", "foreign_origin")
    given = headers.get("authorization", "").removeprefix("Bearer ").strip()
    if key and not hmac.compare_digest(given.encode(), key.encode()):
        message = (
            f"key: {'another' if given else 'none'} found; expected the server's own, as "
            "Authorization: Bearer KEY (api_key of a client)"
        )
        raise Refusal(401, message, "invalid_api_key")


class Gateway:
    """The routes; without a log nothing is logged."""

    def __init__(self, backend: Backend, log: ExchangeLog | None) -> None:
        self._backend, self._log = backend, log

    async def models(self, request: Request) -> Response:
        """List what a request may ask for."""
        names = [CHAMPION, *await self._backend.models()]
        kind = {"object": "model", "owned_by": "tuneloop", "created": 0}
        return JSONResponse({"object": "list", "data": [{"id": name} | kind for name in names]})

    async def completions(self, request: Request) -> Response:
        """Answer a conversation, in one piece or in many."""
        ask = read_ask(await _read(request))
        names = (CHAMPION, *await self._backend.models())
        if ask.model not in names:
            message = f"model: {ask.model!r} found; expected {' or '.join(names)}"
            raise Refusal(404, message, "model_not_found", "model")
        async with AsyncExitStack() as held:
            answer = await self._backend.answer(ask, held)
            key = f"chatcmpl-{secrets.token_hex(12)}"
            head = {"id": key, "created": int(time.time()), "model": ask.model}
            head |= {"system_fingerprint": answer.fingerprint}
            # What OpenAI's answers do not have: sources, and whether it can be rated.
            ours = {"sources": citations(answer.passages), "logged": self._log is not None}
            written = self._written(request, ask, answer, key)
            if ask.stream:
                return Held(_events(ask, answer, head, written, ours), held)
            text = "".join([piece async for piece in written])
            turn = {"role": "assistant", "content": text, "refusal": None}
            choice = {"index": 0, "message": turn, "finish_reason": answer.finish_reason}
            return JSONResponse(
                head
                | {"object": "chat.completion", "choices": [choice | {"logprobs": None}]}
                | {"usage": _usage(answer), **ours}
            )

    async def _written(self, request: Request, ask: Ask, answer: Answer, key: str) -> Texts:
        """Yield an answer as long as somebody waits for it, and log it at its end."""
        pieces: list[str] = []
        whole = False
        try:
            async for piece in answer.pieces:
                if await request.is_disconnected():
                    return
                pieces.append(piece)
                yield piece
            whole = True
        finally:
            if self._log is not None:
                text = "".join(pieces) if whole else None
                chunks = [row["chunk_id"] for row in answer.passages]
                facts = (key, ask.turns(), text, answer.fingerprint, chunks)
                logging = asyncio.get_running_loop().run_in_executor(None, self._log.note, *facts)
                await asyncio.shield(logging)

    async def feedback(self, request: Request) -> Response:
        """Take the rating of an answer: 1 or -1."""
        body = await _read(request)
        key, rating = body.get("id"), body.get("rating")
        if not isinstance(key, str) or not re.fullmatch(r"chatcmpl-[0-9a-f]{24}", key):
            raise Refusal(400, "id: expected the id of an answer", "invalid_value", "id")
        if rating not in (1, -1, True, False):
            raise Refusal(400, "rating: expected 1 or -1", "invalid_value", "rating")
        if self._log is None:
            message = "feedback: nothing is logged here; expected serve.log = true; start it so"
            raise Refusal(409, message, "not_logged")
        if not await asyncio.to_thread(self._log.rate, key, 1 if rating > 0 else -1):
            raise Refusal(404, f"id: no answer {key} in the log", "not_found", "id")
        return JSONResponse({"id": key, "rating": 1 if rating > 0 else -1}, 201)


class Held(StreamingResponse):
    """Events whose answer is let go however the response ends."""

    media_type = "text/event-stream"

    def __init__(self, events: Texts, held: AsyncExitStack) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store"})
        self._events, self._held = events, held.pop_all()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        async with self._held:
            try:
                await super().__call__(scope, receive, send)
            finally:
                await self._events.aclose()


async def _events(
    ask: Ask, answer: Answer, head: Mapping[str, Any], written: Texts, ours: Mapping[str, Any]
) -> Texts:
    """Yield server-sent events as OpenAI's: role, pieces, reason with sources, perhaps usage."""

    def event(delta: dict[str, str] | None, reason: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        row = {**head, "object": "chat.completion.chunk"}
        row |= {"choices": [] if delta is None else [choice], **more}
        return f"data: {json.dumps(row, ensure_ascii=False)}\n\n"

    try:
        yield event({"role": "assistant", "content": ""})
        async for piece in written:
            yield event({"content": piece})
        yield event({}, answer.finish_reason, **ours)
        if (ask.stream_options or {}).get("include_usage"):
            yield event(None, usage=_usage(answer))
    except Refusal as refusal:  # the status is sent already
        yield f"data: {json.dumps(refusal.body, ensure_ascii=False)}\n\n"
    finally:
        await written.aclose()
    yield "data: [DONE]\n\n"


def _usage(answer: Answer) -> dict[str, int]:
    counts = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens}
    return counts | {"total_tokens": sum(counts.values())}


async def _read(request: Request) -> dict[str, Any]:
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MOST_BYTES:
            raise Refusal(413, f"more than {MOST_BYTES:,} bytes found", "too_large")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refusal(400, "body: no JSON object found; expected one", "invalid_json")
    return body


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, Refusal):
        return error.response()
    status = getattr(error, "status_code", 500)
    route = f"{request.method} {request.url.path}"
    if status < 500:
        message = f"{route}: no such route; expected POST /v1/chat/completions"
        return Refusal(status, message, "not_found").response()
    return Refusal(500, f"{route}: a bug; see what the server printed", "internal").response()


async def _page(request: Request) -> Response:
    file = Path(__file__).with_name(PAGE[request.url.path])
    safe = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
    return FileResponse(file, headers=safe | {"Referrer-Policy": "no-referrer"})


def make_app(backend: Backend, log: ExchangeLog | None, key: str, loopback: bool) -> Starlette:
    """Return the application; the backend is ready."""
    gateway = Gateway(backend, log)
    return Starlette(
        routes=[
            *(Route(path, _page) for path in PAGE),
            Route("/v1/models", gateway.models),
            Route("/v1/chat/completions", gateway.completions, methods=["POST"]),
            Route("/v1/feedback", gateway.feedback, methods=["POST"]),
        ],
        middleware=[Middleware(guarded, key=key, loopback=loopback)],
        exception_handlers=dict.fromkeys((Refusal, 404, 405, 500), _refuse),
    )
