"""The Prefect server of one command: bound to this machine, gone with its parent."""

import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from flows.services.prefect import prefect_server, secret_path
from pipeline.core.errors import StoreError

CHILD = """
import sys, time
from pathlib import Path
from flows.engine import environment
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
        pytest.raises(StoreError, match=r"http://127\.0\.0\.1:9/api is silent; expected"),
        prefect_server(tmp_path) as wait_until_ready,
    ):
        wait_until_ready()


LAUNCH = """
import sys
from pathlib import Path
from flows.cli import launch
from flows.cli.main import main
launch.FLOWS["curate"] = "tests.flows.standin.curate"
main(["curate", "--set", f"paths.home={sys.argv[1]}"])
"""


def launched(home, **variables):
    """Run a flow against a server that the environment names, with its own login or another."""
    return subprocess.run(
        [sys.executable, "-c", LAUNCH, str(home)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | variables,
    )


def test_a_server_of_somebody_else_is_asked_with_the_login_of_the_environment(prefect, tmp_path):
    done = launched(tmp_path)
    assert done.returncode == 0, done.stderr
    assert not secret_path(tmp_path).exists()
    refused = launched(tmp_path, PREFECT_API_AUTH_STRING="tuneloop:guess")
    assert refused.returncode == 2
    [line] = refused.stderr.splitlines()
    assert "401 Unauthorized; expected its login in PREFECT_API_AUTH_STRING" in line
    assert "guess" not in line
