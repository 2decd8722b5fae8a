"""The server that we start: its login, its silence, its restart."""

import json
import os
import re
import stat
from pathlib import Path

import httpx
import psutil
import pytest
from click.testing import CliRunner

from annotation.items import to_items
from annotation.queue import PushResult
from flows.cli.main import main
from tests.annotation.conftest import make_pairs


def test_the_login_is_for_its_owner_alone(server):
    path = server.home / "label_studio" / "login.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(server.login.token) == 40 and len(server.login.password) >= 16


def test_no_command_line_and_no_log_shows_the_secrets(server, queue, chunks):
    queue.push(to_items(make_pairs(1), chunks))
    queue.pull()
    guard = psutil.Process(server.process.pid)
    lines = [" ".join(process.cmdline()) for process in [guard, *guard.children(recursive=True)]]
    assert any("label-studio" in line for line in lines)
    files = [server.service.log, *queue.folder.rglob("*")]
    texts = lines + [path.read_text("utf-8") for path in files if path.is_file()]
    for secret in (server.login.token, server.login.password):
        assert not any(secret in text for text in texts)


def test_the_server_listens_here_only(server):
    guard = psutil.Process(server.process.pid)
    found = {
        (sock.laddr.ip, sock.laddr.port)
        for process in guard.children(recursive=True)
        for sock in process.net_connections(kind="inet")
        if sock.status == psutil.CONN_LISTEN
    }
    assert found == {("127.0.0.1", server.service.port)}


def test_pages_of_others_and_other_names_of_this_machine_get_no_answer(server):
    def ask(**headers):
        return httpx.get(f"{server.service.url}/api/version", headers=headers, trust_env=False)

    mine = server.service.url
    assert ask(Origin=mine).headers["access-control-allow-origin"] == mine
    assert "access-control-allow-origin" not in ask(Origin="http://127.0.0.1:8000").headers
    assert ask(Host="evil.example").status_code == 400
    assert ask(Host=f"localhost:{server.service.port}").status_code == 200


def test_the_server_is_free_of_our_own_packages(server):
    guard = psutil.Process(server.process.pid)
    (child,) = guard.children()
    environment = Path(f"/proc/{child.pid}/environ").read_text().split("\0")
    (path,) = [line for line in environment if line.startswith("PYTHONPATH=")]
    assert {file.name for file in Path(path.partition("=")[2]).glob("*.py")} == {"review_page.py"}
    assert not any(os.environ.get("VIRTUAL_ENV", "no such") in arg for arg in child.cmdline())


def test_the_page_of_tips_reaches_nobody(server, ann):
    assert ann.client.get("/heidi-tips").status_code == 404


@pytest.mark.restarts
def test_a_second_start_keeps_token_and_tasks(server, queue, chunks, ids, project_tasks):
    queue.push(to_items(make_pairs(2), chunks))
    login = server.login
    server.stop()
    assert not server.service.healthy()
    server.start()
    assert server.login == login
    assert sorted(project_tasks(queue)) == sorted(ids[:2])
    assert queue.push(to_items(make_pairs(3), chunks)) == PushResult(new=1, already=2)


def test_an_invited_reviewer_has_an_account_of_their_own_whose_password_is_stored_nowhere(server):
    place = ("--set", f"paths.home={server.home}", "--set", "label_studio.url=")
    result = CliRunner().invoke(main, ["review", "invite", "Zoë Ames", "--json", *place])
    assert result.exit_code == 0, result.output
    account = json.loads(result.stdout)
    assert account["email"] == "zoe.ames@localhost" and account["url"] == server.login.url
    assert len(account["password"]) >= 16 and account["password"] != server.login.password
    stored = [path for path in server.home.rglob("*") if path.is_file()]
    assert not any(account["password"].encode() in path.read_bytes() for path in stored)
    with httpx.Client(base_url=account["url"], trust_env=False) as browser:
        page = browser.get("/user/login").text
        secret = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
        form = {name: account[name] for name in ("email", "password")}
        assert browser.post("/user/login", data=form | {"csrfmiddlewaretoken": secret}).is_redirect
        assert browser.get("/api/current-user/whoami").json()["email"] == account["email"]

    again = CliRunner().invoke(main, ["review", "invite", "zoë ames", *place])
    assert again.exit_code == 2 and "it made no account for zoe.ames@localhost" in again.stderr
    assert again.stderr.count("\n") == 1
    nobody = CliRunner().invoke(main, ["review", "invite", "???", *place])
    assert nobody.exit_code == 2 and "'???' found" in nobody.stderr
