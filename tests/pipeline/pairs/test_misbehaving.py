"""A strong teacher behind servers that misbehave, each in its way: pairs, or the server's words."""

import json
import re
from pathlib import Path

import pytest

from pipeline.core.cache import Cache
from pipeline.core.errors import TeacherError
from pipeline.pairs.generate import generate, require_yield
from pipeline.pairs.teachers import chat_server
from pipeline.pairs.teachers.endpoint import EndpointTeacher
from pipeline.pairs.teachers.replies import CachingTeacher
from pipeline.pairs.user_files import read_jsonl, seed_tasks
from pipeline.settings import GenerateSettings, TeacherSettings
from tests.conftest import ROOT
from tests.pipeline.pairs.endpoint_server import Answer, chat, error, serving
from tests.pipeline.pairs.test_generate import chunk_rows, chunks

KEY = "sk-very-secret-4711"
SEEDS = seed_tasks(read_jsonl(ROOT / "data/seeds/seed_tasks.jsonl"))
SETTINGS = GenerateSettings(kinds={"fact": 1}, evolve=0, tokens_per_pair=250, self_instruct_tasks=2)
DOCUMENTS = [
    chunk_rows(f"Valve V{n}", f"Valve V{n} opens at a pressure of {n} bar.", source=str(n))
    for n in range(2, 8)
]
THOUGHTS = "Let me look at what is asked here, and at the text about the valve. " * 20
TASK = "Write a short checklist for cleaning a filter."


def right(body):
    """What a good teacher says: a question, an answer, a task, or its output."""
    prompt = body["messages"][-1]["content"]
    if prompt.startswith("Here are tasks"):
        return TASK
    if "fixed labels" in prompt:
        return "no"
    if "different inputs" in prompt:
        return "NONE"
    if "Does the answer below" in prompt:
        return "yes"
    valve = re.search(r"Valve V(\d) opens", prompt)
    if valve is None:
        return "Rinse it once a week, and daily in dusty weather."
    if prompt.startswith("Write"):
        return f"At which pressure does valve V{valve[1]} open?"
    return valve[0] + f" at a pressure of {valve[1]} bar."


def is_answer(body):
    return "Question: " in body["messages"][-1]["content"]


def half(text):
    return " ".join(text.split()[:-2])


def within_room(text, body):
    """What fits into the room, at ten characters a token."""
    room = 10 * (body.get("max_completion_tokens") or body["max_tokens"])
    return chat(text[:room], finish="length" if len(text) > room else "stop")


def hidden_thoughts(text, body):
    if body["max_tokens"] < len(THOUGHTS) / 10:
        return chat(None, finish="length", reasoning=THOUGHTS)
    return chat(text, reasoning=THOUGHTS)


def reasoning_model(text, body):
    if "max_tokens" in body:
        message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        return error(400, message, param="max_tokens", code="unsupported_parameter")
    if body.get("temperature", 1) != 1:
        return error(400, "Only the default (1) value is supported.", param="temperature")
    return chat(text)


def forbidding(field):
    detail = [{"type": "extra_forbidden", "loc": ["body", field], "msg": "Extra inputs"}]
    refusal = Answer(422, json.dumps({"detail": detail}).encode())
    return lambda text, body: refusal if field in body else chat(text)


def one_of_two(text, body):
    both = {"temperature", "top_p"} <= body.keys()
    words = "`temperature` and `top_p` cannot both be specified for this model."
    return error(400, words) if both else chat(text)


def replaced(old, new):
    return lambda text, body: Answer(body=chat(text).body.replace(old, new))


def cut(finish):
    return lambda text, body: chat(half(text) if is_answer(body) else text, finish=finish)


def raw(answer):
    return lambda text, body: answer


def plain(value):
    return raw(Answer(body=json.dumps(value).encode()))


def died(text, body):
    answer = json.loads(chat(half(text) if is_answer(body) else text, finish="error").body)
    answer["choices"][0]["error"] = {"code": 502, "message": "Provider disconnected"}
    return Answer(body=json.dumps(answer).encode())


def parts(text, body):
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHTS}]}
    return chat([thought, {"type": "text", "text": text}])


GOOD = {
    "well behaved": lambda text, body: chat(text),
    "thinks in tags": lambda text, body: within_room(
        f"<think>\n{THOUGHTS}\n</think>\n{text}", body
    ),
    "thinks before a tag": lambda text, body: within_room(f"{THOUGHTS}\n</think>\n{text}", body),
    "thinks in a field": hidden_thoughts,
    "thinks in channels": lambda text, body: chat(
        f"<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>{text}"
    ),
    "thinks nothing in tags": lambda text, body: chat(f"<think>\n\n</think>\n\n{text}"),
    "content in parts": parts,
    "reasoning model": reasoning_model,
    "temperature or top_p": one_of_two,
    "no seed": forbidding("seed"),
    "no stop": forbidding("stop"),
    "no top_p": forbidding("top_p"),
    "another natural end": lambda text, body: chat(text, finish="end_turn"),
    "no finish reason": lambda text, body: chat(text, finish=None),
    "malformed usage": replaced(b'"prompt_tokens": 7', b'"prompt_tokens": "n/a"'),
    "no usage": replaced(b'"usage"', b'"costs"'),
    "half a character": replaced(b'."}', b'. \\ud83d"}'),
    "a byte order mark": lambda text, body: Answer(body=b"\xef\xbb\xbf" + chat(text).body),
    "more choices than asked": lambda text, body: chat(text, text),
}
BAD = {
    "cut by a filter": (cut("content_filter"), "[content_filter]"),
    "cut by the context": (cut("model_length"), "[model_length]"),
    "cut by a room of its own": (cut("MAX_TOKENS"), "[length]"),
    "aborted": (cut("abort"), "[abort]"),
    "died in a reply": (died, "Provider disconnected"),
    "empty": (lambda text, body: chat(""), "see why its replies are empty"),
    "only thoughts": (lambda text, body: chat("<think>\nHm."), "teacher.thinking_tokens"),
    "refuses": (lambda text, body: chat(None, refusal="I can't help."), "I can't help."),
    "calls a tool": (lambda text, body: chat(None, finish="tool_calls"), "[tool_calls]"),
    "says something else": (lambda text, body: chat("Sure!"), "choose a stronger teacher"),
    "no choices": (plain({"choices": [], "usage": None}), "not a chat completion"),
    "an error as a success": (plain({"error": "Unexpected endpoint"}), "Unexpected endpoint"),
    "a page": (raw(Answer(body=b"<h1>Welcome</h1>")), "Welcome"),
    "streams": (raw(Answer(body=b'data: {"choices": []}\n\n')), "stream = false"),
    "out of quota": (
        raw(error(429, f"No quota for {KEY}.", code="insufficient_quota")), "No quota for <key>.",
    ),
    "no more today": (
        raw(Answer(429, b'{"error": "RPD reached"}', {"Retry-After": "86400"})), "RPD reached",
    ),
    "wants money": (raw(error(402, "Insufficient Balance")), "Insufficient Balance"),
    "has moved": (raw(Answer(308, b"", {"Location": "http://there/v1/chat/completions"})), "http://there/v1"),
    "small context": (
        raw(error(400, "maximum context length is 512 tokens")), "maximum context length is 512",
    ),
    "fails": (raw(error(500, "exceeds the available context size")), "exceeds the available"),
    "another key": (raw(error(401, f"Bad key {KEY}")), "Bad key <key>"),
    "not there": (raw(Answer(404, b"404 page not found")), "404 page not found"),
}  # fmt: skip


def teach(server, folder, told):
    """Let a server write pairs as the flow does."""
    settings = TeacherSettings(kind="openai", model="m", base_url=server.url, max_retries=0)
    asked = CachingTeacher(EndpointTeacher(settings, f"{KEY}\r\n", told.append), Cache(folder))
    return require_yield(generate(chunks(*DOCUMENTS), SEEDS, SETTINGS, asked), asked)


def on_disk(folder):
    return "".join(path.read_text("utf-8") for path in folder.rglob("*.json"))


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch):
    monkeypatch.setattr(chat_server, "FIRST_DELAY", 0.02)


@pytest.mark.parametrize("mode", GOOD)
def test_whatever_can_be_used_becomes_whole_pairs(mode, tmp_path: Path):
    told = []
    with serving(lambda number, body: GOOD[mode](right(body), body)) as server:
        outcome = teach(server, tmp_path, told)
        sent = len(server.bodies)
        again = teach(server, tmp_path, [])
    assert outcome.kept.height >= len(DOCUMENTS) + 1, outcome.reasons
    for pair in outcome.kept.iter_rows(named=True):
        if pair["origin"] == "grounded":
            assert pair["response"] == pair["evidence"]
            assert re.fullmatch(r"At which pressure does valve V\d open\?", pair["instruction"])
        else:
            assert pair["instruction"] == "Write a short checklist for cleaning a filter."
            assert pair["response"] == "Rinse it once a week, and daily in dusty weather."
    assert again.kept.equals(outcome.kept)
    assert len(server.bodies) == sent, "a useful reply was asked for twice"
    assert len(told) == len(set(told)) <= 2
    assert KEY not in "".join(told) + on_disk(tmp_path)


@pytest.mark.parametrize("mode", BAD)
def test_else_there_is_one_line_with_the_servers_words_and_nothing_is_kept(mode, tmp_path: Path):
    script, words = BAD[mode]
    told = []
    with serving(lambda number, body: script(right(body), body)) as server:
        with pytest.raises(TeacherError) as caught:
            teach(server, tmp_path, told)
        line = str(caught.value)
        assert words in line and "\n" not in line
        assert KEY not in line + "".join(told) + on_disk(tmp_path)
        assert ("stronger teacher" in line) == (mode in ("says something else", "refuses"))
        script = GOOD["well behaved"]
        outcome = teach(server, tmp_path, told)
    assert outcome.kept.height >= len(DOCUMENTS) + 1, "a mended server is asked again"
