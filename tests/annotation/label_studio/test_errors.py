"""A server that is down, slow, another one, or does not know the key: one line, nothing lost."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from annotation.items import to_items
from annotation.label_studio import LabelStudioQueue
from annotation.label_studio_connection import Connection, find_connection
from annotation.queue import PushResult
from flows.services.prefect import free_port
from pipeline.core.errors import ReviewError
from pipeline.settings import LabelStudioSettings
from tests.annotation.conftest import make_pairs

KEY = "0123456789abcdef0123456789abcdef01234567"


def message_of(queue, chunks):
    with pytest.raises(ReviewError) as caught:
        queue.push(to_items(make_pairs(3), chunks))
    message = str(caught.value)
    assert "\n" not in message and KEY not in message
    assert message.count("; ") >= 2
    return message


@pytest.fixture
def queue_at(tmp_path):
    def make(url, timeout=5.0):
        settings = LabelStudioSettings(timeout_seconds=timeout)
        return LabelStudioQueue(tmp_path / "queue", Connection(url, KEY), settings)

    return make


@pytest.fixture
def web_page():
    """A web server that is no Label Studio; yields its address and a way to set its answer."""
    answers = {"status": 200, "type": "text/html", "body": b"<html>Welcome</html>"}

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answers["status"])
            self.send_header("Content-Type", answers["type"])
            self.send_header("Location", "https://example.invalid/login")
            self.send_header("Content-Length", str(len(answers["body"])))
            self.end_headers()
            self.wfile.write(answers["body"])

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", answers
        http.shutdown()
        thread.join()


def test_a_server_that_is_down(queue_at, chunks):
    url = f"http://127.0.0.1:{free_port()}"
    message = message_of(queue_at(url), chunks)
    assert url in message and "tuneloop up" in message


def test_a_server_that_does_not_answer(queue_at, chunks):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        assert "no answer in 0.5 s" in message_of(queue_at(url, timeout=0.5), chunks)


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "text/html", b"<html>Welcome</html>"),
        (404, "text/html", b"<html>Not here</html>"),
        (302, "text/html", b""),
        (200, "application/json", b"{}"),
        (200, "application/json", b"[1]"),
    ],
)
def test_something_else_at_the_url(queue_at, chunks, web_page, status, kind, body):
    url, answers = web_page
    answers.update(status=status, type=kind, body=body)
    assert "correct label_studio.url" in message_of(queue_at(url), chunks)


def test_a_failing_server_is_named_in_its_own_words(queue_at, chunks, web_page):
    url, answers = web_page
    body = b'{"detail": "database is locked"}'
    answers.update(status=500, type="application/json", body=body)
    assert "HTTP 500: database is locked" in message_of(queue_at(url), chunks)


@pytest.mark.parametrize("key", [KEY, "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl", "no-token"])
def test_a_wrong_key(connection, chunks, tmp_path, key):
    wrong = Connection(connection.url, key)
    queue = LabelStudioQueue(tmp_path / "queue", wrong, LabelStudioSettings())
    message = message_of(queue, chunks)
    assert "the key was refused (HTTP 401" in message and "LABEL_STUDIO_API_KEY" in message
    assert key not in message and key not in repr(wrong)


def test_nothing_is_lost_while_the_server_is_away(queue, connection, chunks, ids, project_tasks):
    queue.push(to_items(make_pairs(2), chunks))
    away = Connection(f"http://127.0.0.1:{free_port()}", connection.key)
    with pytest.raises(ReviewError, match="no answer"):
        LabelStudioQueue(queue.folder, away, queue._settings).push(to_items(make_pairs(5), chunks))
    assert queue.push(to_items(make_pairs(5), chunks)) == PushResult(new=3, already=2)
    assert sorted(project_tasks(queue)) == sorted(ids[:5])


def test_a_url_needs_its_key(monkeypatch, tmp_path):
    settings = LabelStudioSettings(url="http://127.0.0.1:1/")
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    with pytest.raises(ReviewError, match="LABEL_STUDIO_API_KEY is not"):
        find_connection(settings, tmp_path)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", KEY)
    assert find_connection(settings, tmp_path) == Connection("http://127.0.0.1:1", KEY)
    assert find_connection(LabelStudioSettings(), tmp_path) is None


def test_a_login_that_cannot_be_read(tmp_path):
    login = tmp_path / "label_studio" / "login.json"
    login.parent.mkdir()
    login.write_text('{"url": "http://127.0.0.1:1"}')
    with pytest.raises(ReviewError, match=r"login\.json: it cannot be used"):
        find_connection(LabelStudioSettings(), tmp_path)
