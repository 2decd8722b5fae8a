"""The Prefect server: for the length of one command, or as a service of ``tuneloop up``.

Prefect can start a server by itself, but leaves it running when the command is killed. This one
watches its parent and goes with it, writes its log into the home folder, and listens on 127.0.0.1
only.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx

from flows.services.running import answers, running_prefect
from flows.services.service import Service
from pipeline.errors import StoreError
from pipeline.settings import Settings

START_SECONDS = 120
"""A cold start takes 7-14 s on two quiet cores; a busy machine needs longer."""


SERVER = {
    # In memory, slots that were taken when the server was killed would stay taken for ever.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # The newer pages ask amplitude.com for a configuration, whatever the settings say.
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
}
"""Environment of the server alone."""


def prefect_service(settings: Settings) -> Service:
    """Return the server that ``tuneloop up`` keeps running, on the port of the settings."""
    port = settings.schedule.prefect_port
    page = f"http://127.0.0.1:{port}"
    return Service(
        name="prefect",
        command=(sys.executable, "-m", "flows.services.prefect", str(port)),
        healthy=partial(answers, f"{page}/api"),
        log=settings.paths.home / "services" / "prefect.log",
        url=page,
        port=port,
        port_setting="schedule.prefect_port",
        environment={"PREFECT_LOGGING_SERVER_LEVEL": "WARNING"},
    )


@contextmanager
def prefect_server(home: Path) -> Iterator[Callable[[], None]]:
    """Run the block with ``PREFECT_API_URL`` set.

    A URL that is set already wins, then the server of a running ``tuneloop up``: its pages show
    this run too, and two servers on one database would lock each other out.

    Yields a function that returns once the server answers: call it before the first flow, after
    the slow imports, since the server starts meanwhile.
    """
    url = os.environ.get("PREFECT_API_URL")
    if url:
        yield partial(wait_until_healthy, url, None, "PREFECT_API_URL names it")
        return
    url = running_prefect(home)
    if url:
        os.environ["PREFECT_API_URL"] = url
        try:
            yield partial(wait_until_healthy, url, None, "`tuneloop up` runs it")
        finally:
            del os.environ["PREFECT_API_URL"]
        return
    log = home / "prefect" / "server.log"
    server, url = _start(log)
    os.environ["PREFECT_API_URL"] = url
    try:
        yield partial(wait_until_healthy, url, server, f"its log is {log}")
    finally:
        del os.environ["PREFECT_API_URL"]
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_until_healthy(url: str, server: "subprocess.Popen[bytes] | None", hint: str) -> None:
    """Return when ``url/health`` answers.

    Raises:
        StoreError: the process ended, or did not answer in time; ``hint`` ends the message.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and (server is None or server.poll() is None):
        try:
            if httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            if server is None:
                break  # a server of somebody else's: it runs or it does not
        time.sleep(0.1)
    ended = server is not None and server.poll() is not None
    raise StoreError(
        f"prefect: the server {'ended' if ended else 'is silent'}; expected an answer from "
        f"{url}/health within {START_SECONDS} s; {hint}"
    )


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(log: Path) -> "tuple[subprocess.Popen[bytes], str]":
    port = free_port()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        server = subprocess.Popen(
            [sys.executable, "-m", "flows.services.prefect", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,  # Ctrl-C goes to the command, which then stops the server
        )
    return server, f"http://127.0.0.1:{port}/api"


def _exit_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def _serve(port: int) -> None:
    threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()
    for name, value in (SERVER | {"PREFECT_UI_API_URL": f"http://127.0.0.1:{port}/api"}).items():
        os.environ.setdefault(name, value)
    import uvicorn

    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        log_level="error",
    )


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
