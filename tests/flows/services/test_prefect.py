"""The Prefect server of one command: bound to this machine, gone with its parent."""

import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from flows.services.prefect import prefect_server
from pipeline.errors import StoreError

CHILD = """
import sys, time
from pathlib import Path
from flows import environment
from flows.services.prefect import prefect_server
home = Path(sys.argv[1])
environment.prepare(home)
import os
with prefect_server(home) as ready:
    ready()
    print(os.environ["PREFECT_API_URL"], flush=True)
    time.sleep(600)
"""


def test_the_server_goes_when_its_parent_is_killed(tmp_path):
    """Kill -9 of a command leaves no server behind."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT")}
    parent = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, env=environment
    )
    assert parent.stdout is not None
    url = parent.stdout.readline().decode().strip()
    assert url.startswith("http://127.0.0.1:")
    assert httpx.get(f"{url}/health").status_code == 200
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/health", timeout=2)
        except httpx.TransportError:
            return
        time.sleep(0.2)
    pytest.fail("the server outlived its parent by 30 s")


def test_a_server_that_is_configured_but_down_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with (
        pytest.raises(
            StoreError, match=r"is silent; expected an answer from http://127\.0\.0\.1:9"
        ),
        prefect_server(tmp_path) as wait_until_ready,
    ):
        wait_until_ready()
