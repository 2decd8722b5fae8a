import json
import logging
import socket
import time
from pathlib import Path

import pytest

from pipeline.cache import Cache
from pipeline.errors import TeacherError
from pipeline.generate import endpoint
from pipeline.generate.endpoint import EndpointTeacher
from pipeline.generate.replies import CachingTeacher
from pipeline.generate.teacher import Request
from pipeline.settings import TeacherSettings
from tests.pipeline.generate.endpoint_server import Answer, chat, serving

KEY = "sk-very-secret-4711"


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch):
    monkeypatch.setattr(endpoint, "FIRST_DELAY", 0.02)


def teacher(url, **changes):
    settings = TeacherSettings(kind="openai", model="tiny", base_url=url, **changes)
    return EndpointTeacher(settings, KEY)


def ask(text, **changes):
    return Request((("user", text),), max_tokens=20, temperature=0.7, top_p=0.9, **changes)


def test_replies_come_in_the_order_of_the_requests():
    def script(number, body):
        text = body["messages"][0]["content"]
        return Answer(body=chat(text.upper()).body, delay=0.1 if text == "a" else 0)

    with serving(script) as server:
        replies = teacher(server.url).complete([ask("a"), ask("b"), ask("c")], seed=1)
    assert [reply.texts for reply in replies] == [("A",), ("B",), ("C",)]
    assert replies[0].prompt_tokens == 7
    assert replies[0].completion_tokens == 3
    assert replies[0].finish_reasons == ("stop",)


def test_a_request_carries_its_parameters_and_the_key():
    with serving(lambda number, body: chat("yes")) as server:
        teacher(server.url).complete([ask("a", stop=("\n",))], seed=1)
    body = server.bodies[0]
    assert (body["model"], body["max_tokens"], body["temperature"], body["top_p"]) == (
        "tiny", 20, 0.7, 0.9)  # fmt: skip
    assert body["stop"] == ["\n"]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_the_same_request_has_the_same_seed_and_another_seed_another():
    with serving(lambda number, body: chat("yes")) as server:
        for seed in (1, 1, 2):
            teacher(server.url).complete([ask("a")], seed=seed)
    first, again, other = (body["seed"] for body in server.bodies)
    assert first == again != other


def test_a_begun_reply_is_asked_for_in_words():
    begun = Request((("user", "Ask."), ("assistant", "Question: What")), 9, 0.0, 1.0)
    with serving(lambda number, body: chat(" now?")) as server:
        teacher(server.url).complete([begun], seed=1)
    (message,) = server.bodies[0]["messages"]
    assert message["role"] == "user"
    assert message["content"].endswith("Question: What")


def test_samples_that_the_server_does_not_give_are_asked_for_again():
    with serving(lambda number, body: chat(f"sample {number}")) as server:
        (reply,) = teacher(server.url).complete([ask("a", samples=3)], seed=1)
    assert reply.texts == ("sample 0", "sample 1", "sample 2")
    assert len({body["seed"] for body in server.bodies}) == 3


def test_429_then_200_is_retried_and_counted():
    def script(number, body):
        return Answer(429, headers={"Retry-After": "0"}) if number < 2 else chat("fine")

    with serving(script) as server:
        client = teacher(server.url, concurrency=4)
        (reply,) = client.complete([ask("a")], seed=1)
    assert reply.texts == ("fine",)
    assert client.retries == 2


def test_after_a_429_fewer_requests_run_at_once():
    def script(number, body):
        return (
            Answer(429, headers={"Retry-After": "0"})
            if number < 4
            else Answer(body=chat("ok").body, delay=0.05)
        )

    with serving(script) as server:
        client = teacher(server.url, concurrency=4)
        client.complete([ask("warm-up")], seed=1)
        server.most_at_once = 0
        client.complete([ask(f"{n}") for n in range(8)], seed=1)
    assert server.most_at_once <= 2


def test_retry_after_is_obeyed():
    def script(number, body):
        return Answer(503, headers={"Retry-After": "0.4"}) if number == 0 else chat("fine")

    with serving(script) as server:
        started = time.monotonic()
        teacher(server.url).complete([ask("a")], seed=1)
    assert time.monotonic() - started >= 0.4


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3.0), ("-1", 0.0), (None, None), ("soon", None), ("Wed, 01 Jan 2020 00:00:00 GMT", 0.0)],
)
def test_retry_after_is_read_as_seconds_or_a_date(header, seconds):
    assert endpoint._retry_after(header) == seconds


def test_a_failed_request_is_handed_back_while_others_go_on():
    def script(number, body):
        return Answer(500) if body["messages"][0]["content"] == "bad" else chat("fine")

    with serving(script) as server:
        client = teacher(server.url, max_retries=1)
        bad, good = client.complete([ask("bad"), ask("good")], seed=1)
    assert bad.failed
    assert "HTTP 500" in bad.texts[0]
    assert good.texts == ("fine",)
    assert client.retries == 1


def test_a_storm_of_500_ends_the_run():
    with (
        serving(lambda number, body: Answer(500)) as server,
        pytest.raises(TeacherError, match=r"5 of the last \d+ requests failed.*HTTP 500"),
    ):
        teacher(server.url, max_retries=1).complete([ask(str(n)) for n in range(50)], seed=1)
    assert len(server.bodies) < 60


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"choices": []}', b'{"choices": [7]}', b"[]"])
def test_a_reply_that_is_not_a_chat_completion_is_retried_then_failed(body):
    with serving(lambda number, _: Answer(body=body)) as server:
        (reply,) = teacher(server.url, max_retries=2).complete([ask("a")], seed=1)
    assert reply.failed
    assert "not a chat completion" in reply.texts[0]
    assert len(server.bodies) == 3


def test_a_bad_request_is_not_retried():
    with serving(lambda number, _: Answer(400, b'{"error": "too long"}')) as server:
        (reply,) = teacher(server.url).complete([ask("a")], seed=1)
    assert reply.failed
    assert "too long" in reply.texts[0]
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_ends_the_run_at_once_without_showing_the_key(status):
    echo = Answer(status, json.dumps({"error": f"bad key {KEY}"}).encode())
    with (
        serving(lambda number, _: echo) as server,
        pytest.raises(TeacherError, match=f"HTTP {status}.*OPENAI_API_KEY") as caught,
    ):
        teacher(server.url).complete([ask("a")], seed=1)
    assert KEY not in str(caught.value)
    assert len(server.bodies) == 1


def test_a_dead_port_is_one_clear_line_within_seconds():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(
        TeacherError, match=r"no connection after 4 attempts.*teacher\.base_url"
    ) as e:
        teacher(f"http://127.0.0.1:{port}/v1").complete([ask(str(n)) for n in range(20)], seed=1)
    assert "\n" not in str(e.value)
    assert time.monotonic() - started < 10


def test_a_server_that_hangs_is_a_failed_request():
    hang = Answer(body=chat("late").body, delay=0.6)
    with serving(lambda number, _: hang) as server:
        client = teacher(server.url, timeout_seconds=0.2, max_retries=1)
        (reply,) = client.complete([ask("a")], seed=1)
    assert reply.failed
    assert "no answer in 0.2 s" in reply.texts[0]


def test_a_url_that_is_none_is_named():
    with pytest.raises(TeacherError, match=r"teacher\.base_url"):
        teacher("nonsense").complete([ask("a")], seed=1)


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving(lambda number, _: chat("direct")) as server:
        (reply,) = teacher(server.url, max_retries=0).complete([ask("a")], seed=1)
    assert reply.texts == ("direct",)


def test_replies_are_cached_one_by_one_and_failures_are_not(tmp_path: Path):
    healthy = False

    def script(number, body):
        return Answer(500) if body["messages"][0]["content"] == "b" and not healthy else chat("x")

    with serving(script) as server:
        client = CachingTeacher(teacher(server.url, max_retries=0), Cache(tmp_path))
        first = client.complete([ask("a"), ask("b"), ask("c")], seed=1)
        assert [reply.failed for reply in first] == [False, True, False]
        healthy = True
        second = client.complete([ask("c"), ask("b"), ask("a")], seed=1)
    assert not any(reply.failed for reply in second)
    assert len(server.bodies) == 4
    usage = client.usage
    assert (usage.calls, usage.cached) == (4, 2)


def test_the_key_is_neither_cached_nor_logged(tmp_path: Path, caplog):
    caplog.set_level(logging.DEBUG)
    with serving(lambda number, _: chat("x")) as server:
        client = CachingTeacher(teacher(server.url), Cache(tmp_path))
        client.complete([ask("a")], seed=1)
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*.json"))
    assert stored
    assert KEY.encode() not in stored
    assert KEY not in caplog.text
    assert KEY not in client.name
