"""One real Label Studio for all tests: a cold start takes half a minute."""

import re
from dataclasses import dataclass

import httpx
import pytest

from annotation.label_studio import LabelStudioQueue
from annotation.label_studio_connection import Connection, find_connection, invite, read_login
from annotation.label_studio_ledger import Ledger
from annotation.queue_files import FileQueue
from flows.services.label_studio import label_studio_service
from flows.services.prefect import free_port
from flows.services.service import start, stop, wait_until_healthy
from pipeline.pairs.reviewers import Policy
from pipeline.settings import ReviewSettings, Settings

ALONE = Policy(ReviewSettings(overlap=0))
"""No pair is asked of two people by chance."""


def status_of(queue):
    """Count the pairs of the server alone."""
    return FileQueue.status(queue)


class Running:
    """The server, which a test may restart."""

    def __init__(self, home):
        self.home = home
        self.settings = Settings.model_validate(
            {"paths": {"home": home}, "label_studio": {"port": free_port()}}
        )
        self.process = None
        self.start()

    def start(self):
        self.service = label_studio_service(self.settings)
        self.process = start(self.service)
        wait_until_healthy(self.service, self.process)

    def stop(self):
        stop(self.service, self.process)

    @property
    def login(self):
        return read_login(self.home)


@dataclass
class Reviewer:
    """A person with a login, who decides through the API."""

    email: str
    client: httpx.Client

    def decide(self, task, verdict=None, edited=None, flags=None, note=None, asked=None, **fields):
        result = [
            self.answer("verdict", choices=[verdict] if isinstance(verdict, str) else verdict)
            for _ in [0]
            if verdict
        ]
        if asked is not None:
            result.append(self.answer("edited_instruction", text=asked))
        if edited is not None:
            result.append(self.answer("edited_response", text=edited))
        if flags is not None:
            result.append(self.answer("flags", choices=flags))
        if note is not None:
            result.append(self.answer("note", text=note))
        return self.call("POST", f"/api/tasks/{task}/annotations/", {"result": result} | fields)

    def skip(self, task):
        return self.decide(task, was_cancelled=True)

    def change(self, annotation, verdict):
        result = [self.answer("verdict", choices=[verdict])]
        return self.call("PATCH", f"/api/annotations/{annotation['id']}/", {"result": result})

    def call(self, method, path, body=None):
        answer = self.client.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    @staticmethod
    def answer(name, **value):
        kind = "choices" if "choices" in value else "textarea"
        return {"from_name": name, "to_name": "response", "type": kind, "value": value}


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = Running(tmp_path_factory.mktemp("label-studio"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def ann(server):
    with client_for(server, server.login.token) as client:
        yield Reviewer(server.login.username, client)


@pytest.fixture(scope="session")
def ben(server):
    """A second reviewer, who was invited and has logged in."""
    account = invite("Ben", server.settings)
    with httpx.Client(base_url=account["url"], trust_env=False) as browser:
        page = browser.get("/user/login").text
        secret = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
        form = {name: account[name] for name in ("email", "password")}
        assert browser.post("/user/login", data=form | {"csrfmiddlewaretoken": secret}).is_redirect
        token = browser.get("/api/current-user/token").json()["token"]
    with client_for(server, token) as client:
        yield Reviewer(account["email"], client)


@pytest.fixture
def connection(server):
    return find_connection(server.settings.label_studio, server.home)


@pytest.fixture
def queue(server, connection, tmp_path):
    """A queue with a project of its own."""
    settings = server.settings.label_studio.model_copy(update={"chunk_size": 3})
    return LabelStudioQueue(tmp_path / "label_studio", connection, settings, ALONE)


@pytest.fixture
def project_tasks(ann):
    """A function that returns what the project of a queue holds: task ids by pair id."""

    def read(queue):
        project = project_of(queue)
        answer = ann.call("GET", f"/api/tasks/?project={project}&page_size=500")
        found = {}
        for task in answer["tasks"]:
            found.setdefault(task["data"]["pair_id"], []).append(task["id"])
        return found

    return read


@pytest.fixture
def personal_token(ann):
    return ann.call("POST", "/api/token/")["token"]


def project_of(queue):
    """The id of the project of a queue; None before its first push."""
    state = Ledger(queue.folder).state()
    return state and state.project


def client_for(server, token):
    headers = {"Authorization": f"Token {token}"}
    return httpx.Client(base_url=server.service.url, headers=headers, trust_env=False, timeout=60)


def with_key(connection, key):
    return Connection(connection.url, key)
