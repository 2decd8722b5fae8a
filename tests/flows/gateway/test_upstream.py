"""The gateway before a real llama.cpp that has the exported champion."""

import httpx
import openai
import pytest

from pipeline.core.store import Store
from pipeline.evaluate.answers.prompts import with_passage
from pipeline.settings import ModelSettings
from pipeline.train.export.gguf_file import write_gguf
from pipeline.train.export.merge import merge
from tests.end_to_end.real_teachers import llama_cpp
from tests.flows.gateway.conftest import PUMP, serving
from tests.flows.gateway.test_serve import QUESTION, ask


def test_the_exported_champion_answers_behind_llama_cpp(champions, tiny_base, tmp_path):
    home, first, _ = champions
    adapter = Store(home / "store").path(first)
    merge(tiny_base, adapter, ModelSettings(), tmp_path / "merged", "float16")
    write_gguf(tmp_path / "merged", tmp_path / "model.gguf", "tiny")
    own = ("serve.retrieval=on", "serve.max_tokens=24", "serve.log=true")
    with llama_cpp(tmp_path / "model.gguf") as url:
        # What the server itself says of the question with its passage.
        asked = [{"role": "user", "content": with_passage(QUESTION, f"Pump\nUse\n{PUMP}")}]
        direct = openai.OpenAI(base_url=url, api_key="any").chat.completions.create(
            model="any", messages=asked, temperature=0, max_tokens=24
        )
        expected = direct.choices[0].message.content
        running = serving(home, tiny_base.path, tmp_path, *own, f"serve.upstream={url}")
        gateway = running.__enter__()
        try:
            client = gateway.client()
            answer = ask(client)
            assert answer.choices[0].message.content == expected != ""
            assert answer.choices[0].finish_reason == "length"
            assert answer.usage.completion_tokens == 24
            assert answer.sources[0]["source"] == "pump.md"
            assert answer.system_fingerprint == first.fingerprint
            pieces = [chunk.choices[0].delta.content or "" for chunk in ask(client, stream=True)]
            assert "".join(pieces) == expected and len(pieces) > 5
            assert ask(client, stop=[expected[9:12]]).choices[0].finish_reason == "stop"
            with pytest.raises(openai.BadRequestError, match=r"answers 400: .*context"):
                ask(client, messages=[{"role": "user", "content": "pump " * 9000}])
            assert "--format gguf && llama-server -m DIR/model.gguf" in gateway.said.read_text()
        except BaseException:
            running.__exit__(None, None, None)
            raise
    try:
        for stream in (False, True):
            with pytest.raises(openai.InternalServerError) as gone:
                ask(client, stream=stream)
            assert gone.value.status_code == 502
            assert "expected the server of the exported model; start it" in str(gone.value)
        assert httpx.get(f"{gateway.url}/v1/models", trust_env=False).status_code == 200
    finally:
        running.__exit__(None, None, None)


def test_an_address_for_others_wants_a_key_and_a_taken_port_is_said(champions, tiny_base, tmp_path):
    from click.testing import CliRunner

    from flows.cli.main import main

    words = ["serve", "--set", f"paths.home={champions[0]}"]
    open_to_all = CliRunner().invoke(main, [*words, "--set", "serve.host=0.0.0.0"])
    assert open_to_all.exit_code == 2
    assert "expected a key in TUNELOOP_SERVE_KEY, or 127.0.0.1" in open_to_all.stderr
    nothing = CliRunner().invoke(main, ["serve", "--set", f"paths.home={tmp_path}"])
    assert nothing.exit_code == 2 and "expected one that a run has made" in nothing.stderr
    Store(tmp_path / "store").root.mkdir()
    empty = CliRunner().invoke(main, ["serve", "--set", f"paths.home={tmp_path}"])
    assert empty.exit_code == 2 and "serve: no champion found" in empty.stderr
    secret = CliRunner().invoke(main, [*words, "--upstream", "http://a:b@host/v1"])
    assert secret.exit_code == 2 and "without a password" in secret.stderr
    with serving(champions[0], tiny_base.path, tmp_path) as gateway:
        port = gateway.url.rpartition(":")[2]
        taken = CliRunner().invoke(main, [*words, "--set", f"serve.port={port}"])
    assert taken.exit_code == 2
    assert f"127.0.0.1:{port} cannot be used (Address already in use)" in taken.stderr
