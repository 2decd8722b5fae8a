"""The ``openai`` client against ``tuneloop serve``."""

import asyncio
import json
import re
import shutil
from contextlib import AsyncExitStack

import httpx
import openai
import pytest

from flows.gateway.answering import Champion
from flows.gateway.knowledge import Knowledge, messages
from flows.gateway.requests import Ask
from flows.models.chat import find_adapter
from pipeline.core.home import Home
from pipeline.core.store import Filled, Store
from pipeline.evaluate.answers.answers import reply
from pipeline.evaluate.answers.prompts import with_passage
from pipeline.train.models.adapter import load_adapter
from tests.flows.gateway.conftest import LAMP, PUMP, serving
from tests.flows.trained_home import crown, recipe, settings_of, train_into

QUESTION = "Why does the pump stop?"
ASKED = [{"role": "user", "content": QUESTION}]


def ask(client, **more):
    return client.chat.completions.create(**{"model": "champion", "messages": ASKED} | more)


@pytest.fixture(scope="module")
def expected(champions, tiny_base):
    """What the champion says of the question with its passage, as evaluation asks it."""
    settings = settings_of(tiny_base, champions[0])
    adapter = find_adapter(settings, "champion")
    asked = with_passage(QUESTION, f"Pump\nUse\n{PUMP}")
    loaded = load_adapter(tiny_base, adapter, settings.model)
    return reply(*loaded, [{"role": "user", "content": asked}], 24)


def test_the_champion_answers_as_it_was_judged_and_names_its_sources(gateway, expected, champions):
    answer = ask(gateway.client())
    assert answer.choices[0].message.content == expected != ""
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 24
    assert answer.usage.prompt_tokens > 20
    assert answer.system_fingerprint == champions[1].fingerprint
    (source,) = answer.sources
    assert (source["source"], source["title"], source["text"]) == ("pump.md", "Pump", PUMP)


def test_a_stream_says_the_same_in_pieces(gateway, expected):
    stream = ask(gateway.client(), stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(filter(None, pieces)) == expected
    assert len(list(filter(None, pieces))) > 5, "in pieces"
    assert chunks[-1].usage.completion_tokens == 24
    (last,) = [chunk for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    assert last.choices[0].finish_reason == "length"
    assert last.sources[0]["source"] == "pump.md"
    assert len({chunk.id for chunk in chunks}) == 1


def test_parameters_are_honoured(gateway, expected):
    client = gateway.client()
    assert ask(client, max_tokens=3).usage.completion_tokens == 3
    assert ask(client, max_completion_tokens=2).usage.completion_tokens == 2
    stopped = ask(client, stop=[expected[7:10], "never"])
    assert stopped.choices[0].message.content == expected[: expected.index(expected[7:10])].rstrip()
    assert stopped.choices[0].finish_reason == "stop"
    drawn = [
        ask(client, temperature=1.5, top_p=0.9, seed=seed).choices[0].message.content
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    parts = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
    assert ask(client, messages=parts).choices[0].message.content == expected
    assert next(model.id for model in client.models.list()) == "champion"


LONG = [{"role": "user", "content": "pump " * 9000}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
ERRORS = [
    ({"tools": TOOLS}, "tools", "unsupported_parameter"),
    ({"n": 2}, "n", "invalid_value"),
    ({"logprobs": True}, "logprobs", "unsupported_parameter"),
    ({"temperature": 3}, "temperature", "invalid_value"),
    ({"max_tokens": 0}, "max_tokens", "invalid_value"),
    ({"messages": []}, "messages", "invalid_value"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role", "invalid_value"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, None, "invalid_value"),
    ({"messages": LONG}, "messages", "context_length_exceeded"),
]


@pytest.mark.parametrize(("more", "param", "code"), ERRORS, ids=lambda value: str(value)[:30])
def test_what_is_not_done_is_a_clear_400(gateway, more, param, code):
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            ask(gateway.client(), stream=stream, **more)
        assert (refused.value.param, refused.value.code) == (param, code)
        assert refused.value.type == "invalid_request_error"
    if code == "context_length_exceeded":
        assert re.search(r"9,0\d\d tokens found; expected fewer than", str(refused.value))


def test_other_errors_have_the_form_of_openai_too(gateway):
    with pytest.raises(openai.NotFoundError, match="expected champion or"):
        ask(gateway.client(), model="gpt-4")
    for method, path, body, status in (
        ("POST", "/v1/chat/completions", b"{", 400),
        ("POST", "/v1/chat/completions", b"[" * 100_000, 400),
        ("POST", "/v1/chat/completions", b" " * (4 * 2**20 + 1), 413),
        ("GET", "/v1/chat/completions", None, 405),
        ("GET", "/v1/completions", None, 404),
    ):
        told = httpx.request(method, gateway.url + path, content=body, trust_env=False)
        assert (told.status_code, set(told.json()["error"])) == (
            status,
            {"message", "type", "param", "code"},
        )


def test_eight_at_once_are_all_answered_and_more_than_wait_are_told_so(gateway, expected):
    async def many(count):
        client = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0)
        tasks = [
            client.chat.completions.create(model="champion", messages=ASKED, stream=number % 2 == 0)
            for number in range(count)
        ]

        async def text(task):
            try:
                answer = await task
            except openai.RateLimitError as error:
                return error.code
            if isinstance(answer, openai.AsyncStream):
                pieces = [chunk.choices[0].delta.content or "" async for chunk in answer]
                return "".join(pieces)
            return answer.choices[0].message.content

        said = await asyncio.gather(*map(text, tasks))
        await client.close()
        return said

    assert asyncio.run(many(8)) == [expected] * 8
    crowd = asyncio.run(many(14))
    assert set(crowd) == {expected, "busy"}
    assert crowd.count(expected) >= 9


def test_a_client_that_leaves_stops_its_answer(gateway):
    client = gateway.client()
    long = {"max_tokens": 1500, "temperature": 1.0, "seed": 1}  # drawn: greedy ends in a loop
    with ask(client, stream=True, **long) as stream:
        next(iter(stream))
    # The next one has its turn at once, rather than behind 1,500 tokens of nobody's answer.
    assert ask(client, max_tokens=1).usage.completion_tokens == 1
    with pytest.raises(openai.APITimeoutError):
        ask(client.with_options(timeout=0.5), **long)
    assert ask(client, max_tokens=1).usage.completion_tokens == 1
    left = [row for row in exchanges(gateway) if row.get("prompt") and row["response"] is None]
    assert [row["prompt"] for row in left] == [QUESTION] * 2


def test_a_client_that_does_not_read_holds_nobody_up(champions, tiny_base):
    settings = settings_of(tiny_base, champions[0])

    async def second() -> str:
        backend = Champion(settings, Knowledge(settings))
        await backend.start()
        asked = Ask(model="champion", messages=ASKED, max_tokens=8)
        async with AsyncExitStack() as held:
            await backend.answer(asked, held)  # nobody reads its pieces
            answer = await asyncio.wait_for(backend.answer(asked, held), 60)
            text = "".join([piece async for piece in answer.pieces])
        await backend.close()
        return text

    assert asyncio.run(second())


def test_a_forgotten_document_is_no_source_any_more(gateway):
    (source,) = ask(gateway.client(), max_tokens=1).sources
    row = {"doc_ids": [source["doc_id"]], "sources": ["pump.md"], "texts": [], "models": []}
    ledger = gateway.home / "forgotten.jsonl"
    ledger.write_text(json.dumps(row | {"at": "2026-01-01T00:00:00Z", "done": False}) + "\n")
    try:
        assert ask(gateway.client(), max_tokens=1).sources == []
    finally:
        ledger.unlink()


def exchanges(gateway):
    files = sorted((gateway.home / "exchanges").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


def test_foreign_pages_and_names_are_refused(gateway):
    body = {"model": "champion", "messages": ASKED}
    port = gateway.url.rpartition(":")[2]
    for headers, code in (
        ({"Origin": "http://evil.example"}, "foreign_origin"),
        ({"Origin": "null"}, "foreign_origin"),
        ({"Origin": f"http://localhost:{port}"}, "foreign_origin"),  # of another name
        ({"Sec-Fetch-Site": "cross-site"}, "foreign_origin"),
        ({"Host": f"evil.example:{port}"}, "foreign_host"),
    ):
        told = httpx.post(
            f"{gateway.url}/v1/chat/completions", json=body, headers=headers, trust_env=False
        )
        assert (told.status_code, told.json()["error"]["code"]) == (403, code)
        assert "access-control-allow-origin" not in told.headers
    rebound = httpx.get(gateway.url, headers={"Host": "evil.example"}, trust_env=False)
    assert rebound.status_code == 403
    own = {"Origin": gateway.url, "Sec-Fetch-Site": "same-origin"}
    told = httpx.get(f"{gateway.url}/v1/models", headers=own, trust_env=False)
    assert told.status_code == 200


def test_exchanges_are_logged_redacted_and_rated(gateway):
    client = gateway.client()
    secret = "Write to ada.lovelace@example.com: why does the pump stop?"
    turns = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "I am ada.lovelace@example.com."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": secret},
    ]
    answer = ask(client, messages=turns)
    rated = client.post("/feedback", body={"id": answer.id, "rating": -1}, cast_to=httpx.Response)
    assert rated.json() == {"id": answer.id, "rating": -1}
    *_, row, rating = exchanges(gateway)
    assert row["prompt"] == "Write to <EMAIL_1>: why does the pump stop?"
    assert row["history"][0] == {"role": "user", "content": "I am <EMAIL_1>."}
    assert [turn["role"] for turn in row["history"]] == ["user", "assistant"]
    assert row["response"] == answer.choices[0].message.content
    assert row["chunk_ids"] == [answer.sources[0]["chunk_id"]]
    assert row["model"] == answer.system_fingerprint
    assert (rating["rates"], rating["rating"]) == (answer.id, -1)
    assert "lovelace" not in gateway.said.read_text()
    for body, error in (
        ({"id": "chatcmpl-" + "0" * 24, "rating": 1}, openai.NotFoundError),
        ({"id": '"', "rating": 1}, openai.BadRequestError),
        ({"id": answer.id, "rating": 5}, openai.BadRequestError),
    ):
        with pytest.raises(error):
            client.post("/feedback", body=body, cast_to=httpx.Response)


def test_a_new_champion_takes_over_without_a_failed_request(gateway, champions, expected):
    home, first, second = champions

    async def through():
        client = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0)
        found = []

        async def one(number):
            answer = await client.chat.completions.create(model="champion", messages=ASKED)
            if number == 4:
                crown(home, second)
            found.append((answer.system_fingerprint, answer.choices[0].message.content))

        for start in (0, 6):
            await asyncio.gather(*(one(number) for number in range(start, start + 6)))
        await client.close()
        return found

    try:
        found = asyncio.run(through())
    finally:
        crown(home, first)
    assert len(found) == 12
    by_model = {model: {text for name, text in found if name == model} for model, _ in found}
    assert list(by_model) == [first.fingerprint, second.fingerprint]
    assert by_model[first.fingerprint] == {expected}
    assert len(by_model[second.fingerprint]) == 1 and by_model[second.fingerprint] != {expected}
    assert ask(gateway.client()).choices[0].message.content == expected, "and back"


def test_a_champion_of_another_method_takes_over_and_a_damaged_one_does_not(
    gateway, champions, tiny_base, expected
):
    home, first, _ = champions
    other = train_into(home, tiny_base, learning_rate=5e-2, max_steps=3)
    damaged = train_into(home, tiny_base, method="lora", seed=7)
    weights = Store(home / "store").path(damaged) / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-200])
    client = gateway.client()
    try:
        crown(home, other)
        assert ask(client).system_fingerprint == other.fingerprint
        for _ in range(2):
            crown(home, damaged)
            assert ask(client).system_fingerprint == other.fingerprint
    finally:
        crown(home, first)
    assert ask(client).choices[0].message.content == expected
    said = gateway.said.read_text()
    assert said.count(f"{other.fingerprint} goes on answering") == 1


def test_the_verdict_and_the_training_say_how_a_champion_is_asked(champions, tiny_base, tmp_path):
    home, first, _ = champions
    settings = settings_of(tiny_base, home, task={"system_prompt": "Of the settings."})
    question = Ask.model_validate({"messages": ASKED})
    plain = Knowledge(settings)
    assert plain.champion().retrieval is False
    assert plain.passages(plain.champion(), question) == []
    assert messages(plain.champion(), question, []) == ASKED, "it was trained without a prompt"
    for arm, retrieval in (("challenger_retrieval", True), ("challenger", False)):
        judged = tmp_path / arm
        shutil.copytree(home, judged)

        def fill(folder, arm=arm):
            record = {"challenger": str(first), "evaluation": {"served": arm}}
            (folder / "verdict.json").write_text(json.dumps(record))
            return Filled(identity=("verdict.json",), rows=1)

        Store(judged / "store").write_folder(recipe("verdict", {}, {"of": arm}), fill)
        knowledge = Knowledge(settings_of(tiny_base, judged))
        served = knowledge.champion()
        assert served.retrieval is retrieval, arm
        found = knowledge.passages(served, question)
        assert [row["source"] for row in found] == ["pump.md"] * retrieval
    prompted = served._replace(system_prompt="Be brief.")
    (system, _) = messages(prompted, question, found)
    assert system == {"role": "system", "content": "Be brief."}
    own = {"role": "developer", "content": "Mine."}
    asked = messages(prompted, Ask.model_validate({"messages": [own, *ASKED]}), found)
    assert asked[0] == {"role": "system", "content": "Mine."} and len(asked) == 2


def test_nothing_is_logged_unless_asked_and_the_key_is_demanded(champions, tiny_base, tmp_path):
    before = sorted(path for path in champions[0].rglob("*") if path.is_file())
    with serving(
        champions[0], tiny_base.path, tmp_path, "serve.max_tokens=2", TUNELOOP_SERVE_KEY="s3cret"
    ) as gateway:
        with pytest.raises(openai.AuthenticationError, match="another found"):
            ask(gateway.client())
        assert httpx.get(f"{gateway.url}/v1/models", trust_env=False).status_code == 401
        assert httpx.get(gateway.url, trust_env=False).status_code == 200, "the page asks for it"
        client = gateway.client(api_key="s3cret")
        answer = ask(client)
        assert answer.sources == [], "no verdict says that passages help"
        assert answer.logged is False
        with pytest.raises(openai.ConflictError, match="nothing is logged"):
            client.post("/feedback", body={"id": answer.id, "rating": 1}, cast_to=httpx.Response)
        said = gateway.said.read_text()
    assert sorted(path for path in champions[0].rglob("*") if path.is_file()) == before
    assert QUESTION not in said and "s3cret" not in said and LAMP not in said
    assert Home.at(champions[0]).registry.get("model/champion").fingerprint
