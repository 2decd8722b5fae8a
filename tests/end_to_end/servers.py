"""A running ``tuneloop up`` as a test sees it: its process, and its Prefect server's API."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx

from flows.services.prefect import free_port, read_secret
from tests.end_to_end.project import Project

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
WAIT_SECONDS = 900.0


class Prefect:
    """The API of a Prefect server."""

    def __init__(self, url: str, secret: str) -> None:
        self.url = f"{url}/api"
        name, _, password = secret.partition(":")
        self.client = httpx.Client(
            base_url=self.url, auth=(name, password), timeout=60, trust_env=False
        )
        token = self.client.get("/csrf-token", params={"client": "test"}).json()["token"]
        self.client.headers.update({"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": token})

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the JSON of an answer; a server whose database is busy is asked again."""
        for _ in range(20):
            answer = self.client.request(method, path, json=body)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self.ask("POST", path, body)

    def run(self, flow: str) -> dict[str, Any]:
        """Start a deployment and return its run when it ended."""
        deployment = self.get(f"/deployments/name/{flow}/tuneloop")
        started = self.post(f"/deployments/{deployment['id']}/create_flow_run", {})
        return self.ended(started["id"])

    def ended(self, key: str) -> dict[str, Any]:
        """Return a run when it ended well."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            run = self.get(f"/flow_runs/{key}")
            if run["state_type"] in ENDED:
                assert run["state_type"] == "COMPLETED", run["state"]
                return run
            time.sleep(0.5)
        raise AssertionError(f"the run {key} did not end")

    def runs(self, flow: str) -> list[dict[str, Any]]:
        """Return all runs of a flow, the first one first."""
        found = self.post("/flow_runs/filter", {"flows": {"name": {"any_": [flow]}}})
        return sorted(found, key=lambda run: run["created"])

    def wait_for_run(self, flow: str, count: int) -> dict[str, Any]:
        """Return the latest run of a flow, once there are so many and it ended."""
        deadline = time.monotonic() + WAIT_SECONDS
        while len(self.runs(flow)) < count:
            assert time.monotonic() < deadline, f"{flow} was not started"
            time.sleep(0.5)
        return self.ended(self.runs(flow)[-1]["id"])

    def automations(self) -> list[dict[str, Any]]:
        return self.post("/automations/filter", {})

    def delete_automations(self) -> None:
        for item in self.automations():
            self.ask("DELETE", f"/automations/{item['id']}")

    def artifact(self, key: str) -> dict[str, Any]:
        """Return the latest artifact of a key."""
        return self.get(f"/artifacts/{key}/latest")


@contextmanager
def running_up(project: Project, *overrides: str) -> Iterator[Prefect]:
    """Run ``tuneloop up`` for the block and stop it as Ctrl-C does."""
    words = [word for override in overrides for word in ("--set", override)]
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "flows.cli.main", "up", "--json"),
            *("--set", f"schedule.prefect_port={port}"),
            *("--set", f"schedule.page_port={free_port()}", *words),
        ],
        cwd=project.folder,
        # Its own runs only: the tests share a folder otherwise.
        env=os.environ | {"PREFECT_HOME": str(project.home / "prefect")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "tuneloop up ended"
        prefect = Prefect(json.loads(line)["prefect"], read_secret(project.home))
        with closing(prefect.client):
            yield prefect
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 0
        process.stdout.close()
