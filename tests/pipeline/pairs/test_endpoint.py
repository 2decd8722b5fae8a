import json
import logging
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.core.cache import Cache
from pipeline.core.errors import TeacherError
from pipeline.pairs.teachers import chat_server
from pipeline.pairs.teachers.endpoint import EndpointTeacher
from pipeline.pairs.teachers.replies import CachingTeacher
from pipeline.pairs.teachers.teacher import Reply, Request
from pipeline.settings import TeacherSettings
from tests.pipeline.pairs.endpoint_server import Answer, chat, error, serving

KEY = "sk-very-secret-4711"


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch):
    monkeypatch.setattr(chat_server, "FIRST_DELAY", 0.02)


def teacher(url, key=KEY, say=lambda line: None, **changes):
    settings = TeacherSettings(kind="openai", model="tiny", base_url=url, **changes)
    return EndpointTeacher(settings, key, say)


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


def test_429_then_200_is_retried():
    def script(number, body):
        return Answer(429, headers={"Retry-After": "0"}) if number < 2 else chat("fine")

    with serving(script) as server:
        client = teacher(server.url, concurrency=4)
        (reply,) = client.complete([ask("a")], seed=1)
    assert reply.texts == ("fine",)
    assert len(server.bodies) == 3


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
    assert chat_server._retry_after(header or "") == seconds


def test_a_failed_request_is_handed_back_while_others_go_on():
    def script(number, body):
        return Answer(500) if body["messages"][0]["content"] == "bad" else chat("fine")

    with serving(script) as server:
        client = teacher(server.url, max_retries=1)
        bad, good = client.complete([ask("bad"), ask("good")], seed=1)
    assert bad.failed
    assert "HTTP 500" in bad.texts[0]
    assert good.texts == ("fine",)
    assert len(server.bodies) == 3


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


def test_a_field_that_the_server_refuses_is_said_once_and_not_sent_again():
    def script(number, body):
        if "max_tokens" in body:
            message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return error(400, message, param="max_tokens")
        if "temperature" in body:
            return error(400, "Only the default (1) value is supported.", param="temperature")
        return chat("fine")

    told = []
    with serving(script) as server:
        client = teacher(server.url, say=told.append, concurrency=8)
        replies = client.complete([ask(str(n)) for n in range(24)], seed=1)
        assert [reply.texts for reply in replies] == [("fine",)] * 24
        taken = [body for body in server.bodies if "temperature" not in body]
        assert len(taken) == 24 and {body["max_completion_tokens"] for body in taken} == {20}
        sent = len(server.bodies)
        client.complete([ask("another")], seed=1)
        assert len(server.bodies) == sent + 1
    assert [re.findall(r"refuses (\w+) .*: (.*) from now on", line) for line in told] == [
        [("max_tokens", "sent as max_completion_tokens")],
        [("temperature", "left out")],
    ]


def test_samples_are_asked_for_one_by_one_of_a_server_without_n():
    def script(number, body):
        return error(400, "property 'n' is unsupported") if "n" in body else chat(f"{number}")

    with serving(script) as server:
        (reply,) = teacher(server.url).complete([ask("a", samples=3)], seed=1)
    assert reply.texts == ("1", "2", "3")


def test_a_stop_string_that_the_server_refuses_is_looked_for_here():
    def script(number, body):
        return error(400, "Unsupported: stop") if "stop" in body else chat("One.\n\nTwo.")

    with serving(script) as server:
        (reply,) = teacher(server.url).complete([ask("a", stop=("\n\n",))], seed=1)
    assert (reply.texts, reply.finish_reasons) == (("One.",), ("stop",))


def test_settings_of_the_user_are_part_of_each_request_and_of_the_name():
    extra = {"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}}
    with serving(lambda number, body: chat("yes")) as server:
        client = teacher(server.url, extra=extra)
        client.complete([ask("a")], seed=1)
    assert server.bodies[0].items() >= extra.items()
    assert client.name != teacher(server.url).name == f"tiny@{server.url}"
    room = teacher(server.url, extra={"max_completion_tokens": 9})._sent({"max_tokens": 5}, False)
    assert room == {}


def test_settings_of_the_user_cannot_be_messages_or_model():
    with pytest.raises(ValueError, match="messages cannot be set here"):
        TeacherSettings(extra={"messages": []})


def thinking(style):
    """A server that needs 200 tokens to think before it says a word."""

    def script(number, body):
        cut = body["max_tokens"] < 200
        thoughts = "The text is about a valve. " * 20
        if style == "field":
            return chat(None if cut else "6 bar.", finish="length" if cut else "stop",
                        reasoning_content=thoughts)  # fmt: skip
        opening = "<think>\n" if style == "tags" else ""
        return chat(
            f"{opening}{thoughts}" if cut else f"{opening}{thoughts}\n</think>\n\n6 bar.",
            finish="length" if cut else "stop",
        )

    return script


@pytest.mark.parametrize("style", ["field", "tags", "opening tag in the prompt"])
def test_a_model_that_thinks_gets_room_for_it_and_its_thoughts_are_taken_out(style):
    told = []
    with serving(thinking(style)) as server:
        client = teacher(server.url, say=told.append, thinking_tokens=500)
        replies = client.complete([ask(str(n), stop=("\n\n",)) for n in range(12)], seed=1)
        assert {reply.texts for reply in replies} == {("6 bar.",)}
        assert {reply.finish_reasons for reply in replies} == {("stop",)}
        server.bodies.clear()
        client.complete([ask("a", stop=("\n\n",))], seed=1)
    (body,) = server.bodies
    assert body["max_tokens"] == 520
    assert "stop" not in body  # it would end the thoughts
    (line,) = told
    assert "500 tokens of room" in line and "teacher.thinking_tokens" in line


def test_a_room_that_is_too_small_for_thoughts_is_told_from_a_long_answer():
    with serving(thinking("tags")) as server:
        (reply,) = teacher(server.url, thinking_tokens=100).complete([ask("a")], seed=1)
    assert (reply.texts, reply.finish_reasons) == (("",), ("thought",))


def test_a_long_answer_without_thoughts_is_cut_whatever_was_tried():
    """Whether it thinks is tried once with more room, by whichever request was cut first."""

    def script(number, body):
        return chat("half an" if body["max_tokens"] < 200 else "half an answer", finish="length")

    with serving(script) as server:
        replies = teacher(server.url).complete([ask(str(n)) for n in range(9)], seed=1)
        assert [body["max_tokens"] > 20 for body in server.bodies].count(True) == 1
    assert {reply.texts for reply in replies} == {("half an",)}


def test_a_key_is_sent_without_the_white_space_around_it():
    with serving(lambda number, body: chat("yes")) as server:
        teacher(server.url, key=f" {KEY}\r\n").complete([ask("a")], seed=1)
        teacher(server.url, key=" \n").complete([ask("a")], seed=1)
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert "Authorization" not in server.headers[1]


@pytest.mark.parametrize("wrong", ["\u2013", "\n", " ", "\x7f", "é"])
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(wrong):
    with pytest.raises(TeacherError, match=r"^OPENAI_API_KEY: a character found") as caught:
        teacher("http://127.0.0.1:9/v1", key=f"sk-very{wrong}secret-4711")
    assert "secret" not in str(caught.value)


def test_user_and_password_of_an_address_are_sent_and_never_named():
    told = []

    def script(number, body):
        if number == 0:
            return error(400, f"'seed' is not supported by http://ann:hunter2@host and {KEY}")
        return error(400, f"No {KEY} at http://ann:hunter2@host") if number == 1 else chat("yes")

    with serving(script) as server:
        secret = server.url.replace("//", "//ann:hunter2@") + "?token=tok-123456"
        client = teacher(secret, say=told.append, concurrency=1)
        (reply, _) = client.complete([ask("a"), ask("b")], seed=1)
    assert client.name == f"tiny@{server.url}"
    assert server.headers[0]["Authorization"].startswith("Basic ")
    assert reply.failed and len(told) == 1
    for text in (*told, *reply.texts):
        assert "hunter2" not in text and KEY not in text and "http://host" in text


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (error(402, "Insufficient Balance"), ["HTTP 402", "Insufficient Balance"]),
        (
            error(429, "You exceeded your current quota.", code="insufficient_quota"),
            ["You exceeded your current quota."],
        ),
        (
            Answer(429, b'{"error": {"message": "Requests per day"}}', {"Retry-After": "86400"}),
            ["Requests per day", "asks to wait 86,400 s"],
        ),
        (error(200, "Rate limit: free-models-per-day", code=429), ["Rate limit: free-models"]),
        (
            Answer(308, headers={"Location": "http://there/v1/chat/completions"}),
            ["HTTP 308", "set teacher.base_url to http://there/v1"],
        ),
        (
            Answer(200, b'data: {"choices": []}\n\n', {"Content-Type": "text/event-stream"}),
            ["streams its reply", "teacher.extra = { stream = false }"],
        ),
    ],
)
def test_what_does_not_pass_ends_the_run_at_once_in_the_servers_words(answer, words):
    with (
        serving(lambda number, body: answer) as server,
        pytest.raises(TeacherError) as caught,
    ):
        teacher(server.url, concurrency=1).complete([ask("a")], seed=1)
    assert len(server.bodies) == 1
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_limit_a_minute_is_waited_for_even_when_it_is_called_a_quota():
    """As Google's says: 'You exceeded your current quota, please check your plan'."""

    def script(number, body):
        return error(429, "You exceeded your current quota.", code=429) if number < 1 else chat("x")

    with serving(script) as server:
        (reply,) = teacher(server.url).complete([ask("a")], seed=1)
    assert reply.texts == ("x",)


def test_an_address_without_its_version_is_said():
    page = Answer(404, b"404 page not found", {"Content-Type": "text/plain"})
    with serving(lambda number, body: page) as server:
        base = server.url.removesuffix("/v1")
        with pytest.raises(TeacherError) as caught:
            teacher(base).complete([ask("a")], seed=1)
    assert "404 page not found" in str(caught.value)
    assert f"(try {base}/v1)" in str(caught.value)


def test_an_address_may_end_in_the_path_of_the_request():
    with serving(lambda number, body: chat("yes")) as server:
        client = teacher(f"{server.url}/chat/completions/")
        assert client.complete([ask("a")], seed=1)[0].texts == ("yes",)
    assert client.name == f"tiny@{server.url}"


def test_a_choice_that_failed_is_a_failed_request_in_the_servers_words():
    body = {
        "choices": [
            {
                "message": {"content": "The pump runs"},
                "finish_reason": "error",
                "error": {"code": 502, "message": "Provider disconnected"},
            }
        ]
    }
    with serving(lambda number, _: Answer(body=json.dumps(body).encode())) as server:
        (reply,) = teacher(server.url, max_retries=1).complete([ask("a")], seed=1)
    assert reply.failed and reply.texts == ("HTTP 502: Provider disconnected",)
    assert len(server.bodies) == 2


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_ends_the_run_at_once_without_showing_the_key(status):
    echo = Answer(status, json.dumps({"error": f"bad key {KEY} {'x' * 970} {KEY}"}).encode())
    with (
        serving(lambda number, _: echo) as server,
        pytest.raises(TeacherError, match=f"HTTP {status}.*OPENAI_API_KEY") as caught,
    ):
        teacher(server.url).complete([ask("a")], seed=1)
    assert "bad key <key>" in str(caught.value) and KEY[:9] not in str(caught.value)
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


def test_what_two_threads_ask_at_the_same_time_is_asked_once(tmp_path: Path):
    at_once = threading.Barrier(4)
    slow = Answer(body=chat("x").body, delay=0.5)
    with serving(lambda number, body: slow) as server:
        client = CachingTeacher(teacher(server.url), Cache(tmp_path))

        def complete(number):
            at_once.wait()
            return client.complete([ask("a"), ask(f"{number}")], seed=1)

        with ThreadPoolExecutor(4) as pool:
            replies = list(pool.map(complete, range(4)))
    assert {reply.texts for both in replies for reply in both} == {("x",)}
    assert len(server.bodies) == 5
    assert (client.usage.calls, client.usage.cached) == (5, 3)


def test_a_slow_disk_never_holds_more_replies_than_may_be_asked_at_once():
    """What a kill loses: requests that were sent and whose replies are not kept."""
    kept, lost = [], []

    def keep(place, reply):
        time.sleep(0.02)
        lost.append(len(server.bodies) - len(kept))
        kept.append(reply)

    with serving(lambda number, body: chat("x")) as server:
        asked = teacher(server.url, concurrency=3)
        with ThreadPoolExecutor(2) as pool:
            groups = ([ask(f"{name}{n}") for n in range(12)] for name in "ab")
            list(pool.map(lambda group: asked.complete(group, 1, keep), groups))
    assert len(kept) == 24
    assert max(lost) <= 3


def test_when_a_thread_fails_another_that_asks_the_same_asks_itself(tmp_path: Path):
    class Failing:
        name, strength, batch_size = "failing", "strong", 0
        began, go = threading.Event(), threading.Event()

        def complete(self, requests, seed, on_reply):
            if not self.began.is_set():
                self.began.set()
                self.go.wait()
                raise TeacherError("no")
            on_reply(0, Reply(("x",), 1, 1, ("stop",)))

    client = CachingTeacher(Failing(), Cache(tmp_path))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.complete, [ask("a")], 1)
        Failing.began.wait()
        second = pool.submit(client.complete, [ask("a")], 1)
        Failing.go.set()
        with pytest.raises(TeacherError):
            first.result()
        assert second.result()[0].texts == ("x",)


def test_the_end_of_one_call_leaves_the_claim_of_another(tmp_path: Path):
    """Its reply was of no use: another call asks again, and a third one waits for that."""
    sent: list[str] = []
    steps = {name: threading.Event() for name in ("kept", "asked", "go")}

    class Slow:
        name, strength, batch_size = "slow", "strong", 0

        def complete(self, requests, seed, on_reply):
            for place, request in enumerate(requests):
                text = request.messages[0][1]
                sent.append(text)
                if sent == ["a"]:
                    on_reply(place, Reply(("",), 1, 1, ("stop",)))  # not kept
                    steps["kept"].set()
                    steps["asked"].wait()
                    continue
                if text == "a":
                    steps["asked"].set()
                    steps["go"].wait()
                on_reply(place, Reply(("x",), 1, 1, ("stop",)))

    client = CachingTeacher(Slow(), Cache(tmp_path))
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(client.complete, [ask("a"), ask("b")], 1)
        steps["kept"].wait()
        second = pool.submit(client.complete, [ask("a")], 1)
        first.result()
        third = pool.submit(client.complete, [ask("a")], 1)
        while not third.running():
            time.sleep(0.001)
        time.sleep(0.1)
        steps["go"].set()
        assert second.result()[0].texts == third.result()[0].texts == ("x",)
    assert sent.count("a") == 2


@pytest.mark.parametrize(
    "useless",
    [
        chat(""),
        chat(None, refusal="I can't help with that."),
        chat("<think>\nThe text", finish="stop"),
        chat("The pump", finish="content_filter"),
    ],
)
def test_a_useless_reply_is_asked_for_again_once_the_server_is_mended(useless, tmp_path: Path):
    mended = False
    with serving(lambda number, body: chat("x") if mended else useless) as server:
        client = CachingTeacher(teacher(server.url, thinking_tokens=0), Cache(tmp_path))
        assert client.complete([ask("a")], seed=1)[0].texts != ("x",)
        assert not list(tmp_path.rglob("*.json"))
        mended = True
        for _ in range(2):
            (reply,) = client.complete([ask("a")], seed=1)
            assert reply.texts == ("x",)
    assert len(server.bodies) == 2


def test_an_entry_from_before_thoughts_were_taken_out_is_read_without_them(tmp_path: Path):
    with serving(lambda number, body: chat("new")) as server:
        client = CachingTeacher(teacher(server.url), Cache(tmp_path))
        client.complete([ask("a"), ask("b")], seed=1)
        for path, text in zip(
            sorted(tmp_path.rglob("*.json")),
            ("<think>\n\n</think>\n\nold", "<think>\nThe text"), strict=True,
        ):  # fmt: skip
            path.write_text(path.read_text("utf-8").replace('"new"', json.dumps(text)), "utf-8")
        texts = {reply.texts[0] for reply in client.complete([ask("a"), ask("b")], seed=1)}
    assert texts == {"old", "new"}
    assert len(server.bodies) == 3


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


def test_more_requests_at_once_while_that_gives_more_replies_a_second():
    with serving(lambda number, body: Answer(body=chat("yes").body, delay=0.15)) as server:
        client = teacher(server.url, concurrency=64)
        client.complete([ask(str(n)) for n in range(400)], seed=1)
    assert 16 < server.most_at_once <= 64


def test_no_more_at_once_where_the_server_takes_one_after_the_other():
    lock = threading.Lock()

    def script(number, body):
        with lock:
            time.sleep(0.01)
        return chat("yes")

    with serving(script) as server:
        client = teacher(server.url, concurrency=64)
        client.complete([ask(str(n)) for n in range(200)], seed=1)
    assert server.most_at_once <= 18
