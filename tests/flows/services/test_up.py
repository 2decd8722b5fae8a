"""`tuneloop up` as a program: starts, is found, mends, stops, and leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from flows.engine.settings_file import load_settings
from flows.services.prefect import free_port, read_secret, secret_path
from flows.services.running import answers, running_prefect, running_up

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}

DEPLOYMENTS = {"curate", "synthesize", "review", "monitor", "retrain", "reconcile"}


class Installed:
    """A settings file with a free port, and the program to run with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.port = free_port()
        self.config = folder / "tuneloop.toml"
        self.config.write_text(
            f'[paths]\nhome = "home"\n[label_studio]\nmanaged = false\n'
            f"[schedule]\nprefect_port = {self.port}\npage_port = {free_port()}\n"
        )

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "flows.cli.main", *words, "--config", str(self.config)]

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, check=False, env=CLEAN
        )

    @contextmanager
    def up(self) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
        """Start everything and give the block the process and what it printed."""
        with (self.folder / "stderr.log").open("ab") as log:
            process = subprocess.Popen(
                self.command("up", "--json"),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=CLEAN,
                umask=0,
            )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, self.said()
            yield process, json.loads(line)
        finally:
            process.kill()
            process.communicate()
            eventually(lambda: not self.processes())

    def said(self) -> str:
        return (self.folder / "stderr.log").read_text()

    def processes(self) -> list[psutil.Process]:
        """All processes that belong to this home, however they came about."""
        own = {str(self.home / "services" / "settings.toml"), str(self.home / "prefect")}
        found = []
        for process in psutil.process_iter():
            try:
                words = {*process.cmdline(), process.environ().get("PREFECT_HOME")}
            except psutil.Error:
                continue
            if words & own:
                found.append(process)
        return found


def eventually(ready: Callable[[], Any]) -> Any:
    """Return the first true answer; a machine that is far too slow fails."""
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        if answer := ready():
            return answer
        time.sleep(0.2)
    raise AssertionError(f"still {answer!r} after three minutes")


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


def test_a_day_of_up(installed):
    """Start, a second start, a server that dies, Ctrl-C; again, and kill -9."""
    with installed.up() as (process, said):
        api = f"http://127.0.0.1:{installed.port}/api"
        assert said["prefect"] == api.removesuffix("/api")
        assert said["next"].keys() == DEPLOYMENTS
        assert [name for name, at in said["next"].items() if at is None] == ["retrain"]
        assert running_prefect(installed.home) == api
        settings = load_settings(installed.home / "services" / "settings.toml")
        assert settings == load_settings(installed.config)

        secret = read_secret(installed.home)
        assert httpx.get(said["page"], trust_env=False).status_code == 401
        page = httpx.get(said["page"], auth=(*secret.split(":"),), trust_env=False)
        assert page.status_code == 200 and said["prefect"] in page.text
        assert "reconcile" in page.text and "Prefect does not answer" not in page.text
        assert httpx.get(f"{api}/version", trust_env=False).status_code == 401
        login = (*secret.split(":"),)
        assert httpx.get(f"{api}/version", auth=login, trust_env=False).status_code == 200
        assert said["prefect_login"] == str(secret_path(installed.home))
        assert said["prefect_login"] in installed.call("status").stdout
        words = [word for each in installed.processes() for word in each.cmdline()]
        assert not any(login[1] in word for word in words)

        second = installed.call("up")
        assert second.returncode == 0
        assert f", process {process.pid}\n" in second.stdout
        assert said["prefect"] in second.stdout
        status = json.loads(installed.call("status", "--json").stdout)
        assert status["servers"]["process"] == process.pid
        assert {item["name"] for item in status["schedules"]} == DEPLOYMENTS

        [server] = [
            each
            for each in installed.processes()
            if each.cmdline()[1:] == ["-m", "flows.services.prefect_process", str(installed.port)]
        ]
        server.kill()
        eventually(lambda: "prefect: runs again" in installed.said())
        assert answers(api)
        assert "prefect: it ended with code 137; starting it again in 1 s" in installed.said()

        processes = installed.processes()
        assert len(processes) >= 4  # two guards, the server, the deployments
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0
        assert not any(each.is_running() for each in processes)
        assert running_up(installed.home) is None
        assert "stopped; schedules and what is stored go on" in installed.said()
    written = [path for path in installed.home.rglob("*") if path.is_file()]
    assert {path.name for path in written if login[1].encode() in path.read_bytes()} == {"login"}
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in installed.home.rglob("*/")} == {0o700}
    assert login[1] not in installed.said()
    with installed.up() as (process, again):
        assert read_secret(installed.home) == secret
        assert again["next"].keys() == DEPLOYMENTS
        assert [name for name, at in again["next"].items() if at is None] == ["retrain"]
        process.kill()
        eventually(lambda: not installed.processes())
        assert running_up(installed.home) is None  # what it wrote down is still there


def test_a_taken_port_is_one_clear_line(installed):
    with socket.socket() as other:
        other.bind(("127.0.0.1", installed.port))
        other.listen()
        done = installed.call("up")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith(f"tuneloop: prefect: port {installed.port} of 127.0.0.1 is taken by ")
    assert f"(process {os.getpid()})" in line
    assert line.endswith("--set schedule.prefect_port=PORT")
    assert running_up(installed.home) is None
    assert not installed.processes()
