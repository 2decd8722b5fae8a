"""The Prefect server: for the length of one command, or as a service of ``tuneloop up``.

Prefect's own stays when a command is killed; this one goes with its parent, and listens on
127.0.0.1 only.

Prefect runs shell commands for whoever may change a deployment: web pages, users of this machine.
A secret keeps them out, in a file that its owner alone may read and the environment of processes.
"""

import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from filelock import FileLock

from flows.engine.home import is_shared
from flows.services.running import answers, running_prefect
from flows.services.service import Service, start, stop, wait_until_healthy
from pipeline.core.cache import write_atomically
from pipeline.core.errors import StoreError
from pipeline.settings import Settings

SERVER_SECRET = "PREFECT_SERVER_API_AUTH_STRING"
CLIENT_SECRET = "PREFECT_API_AUTH_STRING"
ASKED_VERSION = "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED"  # ours has the version of its clients
USER = "tuneloop"  # of the one user that Prefect knows


def secret_path(home: Path) -> Path:
    """Return the file with the secret of the server that ``tuneloop up`` starts."""
    return home / "prefect" / "login"


def new_secret() -> str:
    """Return a secret as Prefect takes it: ``name:password``."""
    return f"{USER}:{secrets.token_urlsafe(24)}"


def make_secret(home: Path) -> str:
    """Return the secret of a home, made when there is none; a StoreError where it is damaged."""
    path = secret_path(home)
    with FileLock(path.with_name("login.lock")):
        if not path.exists():
            mode = 0o660 if is_shared(home) else 0o600
            write_atomically(path, f"{new_secret()}\n".encode(), mode=mode)
    return read_secret(home)


def read_secret(home: Path) -> str:
    """Return the secret of a home; a StoreError where it is missing or damaged."""
    path = secret_path(home)
    try:
        found = path.read_text("utf-8").strip()
        problem = "" if found.startswith(f"{USER}:") and len(found) > 2 * len(USER) else "damaged"
    except (OSError, UnicodeDecodeError) as error:
        found, problem = "", type(error).__name__
    if problem:
        raise StoreError(
            f"{path}: it cannot be used ({problem}); expected {USER}:PASSWORD, the login of our "
            "Prefect server; delete it and start `tuneloop up` again"
        )
    return found


def prefect_service(settings: Settings) -> Service:
    """Return the server that ``tuneloop up`` keeps running; a StoreError for a damaged secret."""
    log = settings.paths.home / "services" / "prefect.log"
    return _server(settings.schedule.prefect_port, log, make_secret(settings.paths.home))


def _server(port: int, log: Path, secret: str) -> Service:
    page = f"http://127.0.0.1:{port}"
    return Service(
        name="prefect",
        command=(sys.executable, "-m", "flows.services.prefect_process", str(port)),
        healthy=partial(answers, f"{page}/api"),
        log=log,
        url=page,
        port=port,
        port_setting="schedule.prefect_port",
        environment={"PREFECT_LOGGING_SERVER_LEVEL": "WARNING", SERVER_SECRET: secret},
    )


@contextmanager
def prefect_server(home: Path) -> Iterator[Callable[[], None]]:
    """Run the block with ``PREFECT_API_URL`` set, and with the secret of that server.

    A URL that is set already wins, then the server of a running ``tuneloop up``: two servers on one
    database would lock each other out. Yields a function that returns once the server answers: call
    it after the slow imports, since the server starts meanwhile.
    """
    named, url = os.environ.get("PREFECT_API_URL"), running_prefect(home)
    if named and named != url:
        yield partial(_check, named)
        return
    with ExitStack() as stack:
        if url:
            secret, wait = read_secret(home), partial(_check, url)
        else:
            secret = new_secret()
            service = _server(free_port(), home / "prefect" / "server.log", secret)
            server = start(service)
            stack.callback(stop, service, server)
            url, wait = f"{service.url}/api", partial(wait_until_healthy, service, server)
        given = {"PREFECT_API_URL": url, CLIENT_SECRET: secret, ASKED_VERSION: "false"}
        before = {name: os.environ.get(name, "") for name in given}
        os.environ |= given  # for the Prefect clients of this process and its children
        try:
            yield wait
        finally:
            for name, value in before.items():
                os.environ[name] = value
                if not value:
                    del os.environ[name]


def _check(url: str) -> None:
    """Raise a StoreError when a server of somebody else's does not answer."""
    if not answers(url):
        raise StoreError(
            f"prefect: {url} is silent; expected the server that PREFECT_API_URL or `tuneloop up` "
            "names; start it, or unset PREFECT_API_URL"
        )


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
