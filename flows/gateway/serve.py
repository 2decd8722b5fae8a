"""Start the gateway: settings, key, log, what answers, and the server."""

import asyncio
import contextlib
import ipaddress
import os
import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

from flows.engine.context import say
from flows.gateway.answering import Champion
from flows.gateway.app import Backend, make_app
from flows.gateway.exchange_log import ExchangeLog
from flows.gateway.knowledge import Knowledge
from flows.gateway.upstream import Upstream
from pipeline.core.errors import InputError
from pipeline.drift.logs import logs_folder
from pipeline.settings import ServeSettings, Settings

KEY = "TUNELOOP_SERVE_KEY"
STOP_SECONDS = 30  # for answers that are being written when the server is asked to stop


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Answer until stopped; ``ready`` gets the address. InputError: no champion, port or key."""
    own, key = settings.serve, os.environ.get(KEY, "")
    try:
        loopback = own.host == "localhost" or ipaddress.ip_address(own.host).is_loopback
    except ValueError:
        loopback = False
    if not loopback and not key:
        raise InputError(
            f"serve.host: {own.host} found, which other machines reach, without a key; expected "
            f"a key in {KEY}, or 127.0.0.1; set one of them"
        )
    with _listen(own) as listening:
        backend = (Upstream if own.upstream else Champion)(settings, Knowledge(settings))
        log = ExchangeLog(logs_folder(settings.paths), settings.clean) if own.log else None
        say(f"serve: {f'exchanges go to {log.folder}' if log else 'nothing is logged'}")
        with contextlib.suppress(KeyboardInterrupt):  # the way to end it
            asyncio.run(_serve(backend, make_app(backend, log, key, loopback), listening, ready))


async def _serve(
    backend: Backend, app: Starlette, listening: socket.socket, ready: Callable[[str], None]
) -> None:
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    try:
        await backend.start()  # before the first request, and with its own errors
        host, port = listening.getsockname()[:2]
        ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        await uvicorn.Server(config).serve([listening])
    finally:
        await backend.close()


def _listen(settings: ServeSettings) -> socket.socket:
    """Return a socket on the address: one that is taken is said before a model is loaded."""
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=128)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        raise InputError(
            f"serve: {settings.host}:{settings.port} cannot be used ({reason}); expected an "
            "address of this machine and a free port; choose another with --set serve.port=N"
        ) from error
