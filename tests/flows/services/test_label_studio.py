"""How the server is started; tests/annotation/label_studio starts it."""

import json
import stat
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from annotation.label_studio_connection import Login, find_connection
from flows.services.label_studio import is_ours, label_studio_service
from flows.services.prefect import free_port
from pipeline.core.errors import StoreError
from pipeline.settings import Settings


@pytest.fixture
def settings(tmp_path):
    program = tmp_path / "label-studio"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return Settings.model_validate(
        {
            "paths": {"home": tmp_path / "home"},
            "label_studio": {"port": free_port(), "command": program},
        }
    )


def with_port(settings, port):
    section = settings.label_studio.model_copy(update={"port": port})
    return settings.model_copy(update={"label_studio": section})


def test_a_program_that_is_not_installed(settings, tmp_path):
    settings.label_studio.command.unlink()
    with pytest.raises(StoreError, match=r"no program at .*make up.*label_studio\.managed=false"):
        label_studio_service(settings)
    assert not (tmp_path / "home").exists()


def test_the_login_is_made_once_and_follows_the_port(settings):
    home = settings.paths.home
    service = label_studio_service(settings)
    first = json.loads((home / "label_studio" / "login.json").read_text())
    assert first["url"] == service.url == f"http://127.0.0.1:{service.port}"
    assert stat.S_IMODE((home / "label_studio").stat().st_mode) == 0o700
    label_studio_service(with_port(settings, 18999))
    second = json.loads((home / "label_studio" / "login.json").read_text())
    assert second == first | {"url": "http://127.0.0.1:18999"}
    assert stat.S_IMODE((home / "label_studio" / "login.json").stat().st_mode) == 0o600
    connection = find_connection(settings.label_studio, home)
    assert (connection.url, connection.key) == (second["url"], first["token"])
    assert list((home / "label_studio").iterdir()) == [home / "label_studio" / "login.json"]


def test_a_database_that_lost_its_login_gets_a_new_user(settings):
    data = settings.paths.home / "label_studio"
    data.mkdir(parents=True)
    (data / "label_studio.sqlite3").touch()
    service = label_studio_service(settings)
    assert service.environment["LABEL_STUDIO_USERNAME"].startswith("tuneloop-")


def test_secrets_go_through_the_environment(settings):
    service = label_studio_service(settings)
    environment = service.environment
    secrets = (environment["LABEL_STUDIO_USER_TOKEN"], environment["LABEL_STUDIO_PASSWORD"])
    assert not any(secret in part for secret in secrets for part in service.command)
    assert environment["LABEL_STUDIO_SENTRY_DSN"] == ""


def login(url, username):
    return Login(url=url, username=username, password="password", token="token")


def test_nobody_and_a_stranger_on_the_port_are_not_ours():
    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'{"email": "somebody@else"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{http.server_port}"
        assert not is_ours(login(url, "me@localhost"))
        assert is_ours(login(url, "somebody@else"))
        http.shutdown()
        thread.join()
    assert not is_ours(login(url, "somebody@else"))
