"""llama.cpp itself reads the GGUF file of an export, and says what the adapter says."""

import pytest
import xllamacpp as llama_cpp

from flows.models.export import _proven
from pipeline.evaluate.answers.answers import reply
from pipeline.settings import ExportSettings, Settings, TrainSettings
from pipeline.text.chat_template import prompt_ids
from pipeline.train.export.exporters import EXPORTERS, GGUF, Source
from pipeline.train.loop.trainer import train
from pipeline.train.models.adapter import load_adapter
from tests.pipeline.train.architectures import CPU
from tests.pipeline.train.test_check import learnt_by_heart

TEXTS = ("The filter is rinsed once a week.", "Valve 4 is in zone 12, at 6:30.", "Über 30 °C: 水.")


@pytest.fixture(scope="module")
def exported(tiny_base, tmp_path_factory):
    """A base, an adapter that knows its rows by heart, its rows, and the folder of its export."""
    folder, rows = tmp_path_factory.mktemp("gguf"), learnt_by_heart(*TEXTS)
    settings = TrainSettings(method="full", epochs=400, learning_rate=1e-2, evaluations=1)
    result = train(rows, tiny_base, settings, CPU, folder / "work", folder / "adapter")
    assert result.train_loss[-1][1] < 0.1
    asked = rows.filter(split="train").sort("pair_id").to_dicts()
    _, tokenizer = load_adapter(tiny_base, folder / "adapter", CPU)
    prompts = [prompt_ids(tokenizer, row["messages"][:-1]) for row in asked]
    limits = Settings(model=CPU, export=ExportSettings(max_logit_difference=1, max_kl=0.01))
    source = Source(folder / "adapter", tiny_base, prompts, limits, folder / "scratch")
    _proven(EXPORTERS["gguf"], source, folder / "out")
    return folder, asked


@pytest.fixture(scope="module")
def server(exported):
    parameters = llama_cpp.CommonParams()
    parameters.model.path = str(exported[0] / "out" / GGUF)
    parameters.n_ctx, parameters.n_parallel, parameters.warmup = 512, 1, False
    parameters.cpuparams.n_threads = 1
    return llama_cpp.Server(parameters)


def test_llama_cpp_says_token_by_token_what_the_adapter_says(tiny_base, exported, server):
    folder, asked = exported
    model, tokenizer = load_adapter(tiny_base, folder / "adapter", CPU)
    for row in asked:
        wanted = reply(model, tokenizer, row["messages"][:-1], 40)
        assert wanted == row["messages"][-1]["content"]
        prompt = prompt_ids(tokenizer, row["messages"][:-1])
        said = server.handle_completions({"prompt": prompt, "temperature": 0, "max_tokens": 40})
        assert said["choices"][0]["text"] == wanted


def test_llama_cpp_renders_a_chat_as_the_training_did_and_stops(exported, server):
    for row in exported[1]:
        said = server.handle_chat_completions(
            {"messages": row["messages"][:-1], "temperature": 0, "max_tokens": 40}
        )
        (choice,) = said["choices"]
        assert choice["message"]["content"] == row["messages"][-1]["content"]
        assert choice["finish_reason"] == "stop"
