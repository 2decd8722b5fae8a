"""No memory left is one line that names the setting; what is freed goes back."""

import pytest
import torch

from pipeline.core.errors import TrainingError
from pipeline.settings import EvaluateSettings, TrainSettings
from pipeline.train import peak_memory
from pipeline.train.export.merge import to_float32
from pipeline.train.loop.loop import Run
from pipeline.train.loop.trainer import train
from pipeline.train.models.adapter import load_adapter
from pipeline.train.peak_memory import (
    free_memory,
    is_out_of_memory,
    memory,
    naming_the_setting,
)
from tests.pipeline.evaluate.answering import answer
from tests.pipeline.train.architectures import make_base, make_rows
from tests.pipeline.train.methods.runs import CPU
from tests.pipeline.train.seed_examples import make_examples

TOO_MUCH = 2**46


def test_a_container_with_less_memory_than_the_machine_is_believed(tmp_path, monkeypatch):
    whole = memory()
    monkeypatch.setattr(peak_memory, "CGROUP", tmp_path)
    assert memory()[0] == whole[0]  # no such file
    for name, text in {
        "max": "1000000\n", "current": "900000\n",
        "stat": "anon 400000\ninactive_file 100000\nactive_file 50000\n",
    }.items():  # fmt: skip
        (tmp_path / f"memory.{name}").write_text(text)
    assert memory() == (1_000_000, 250_000)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory()[0] == whole[0]


def take_too_much(*_):
    return torch.empty(TOO_MUCH)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_each_kind_of_error_is_one_line_that_names_the_setting(error):
    with (
        pytest.raises(TrainingError, match=r"^memory: there is none left \(.+\); .+; lower it$"),
        naming_the_setting("lower it"),
    ):
        raise error


def test_what_torch_raises_on_a_cpu_is_known_and_another_error_is_left_alone():
    with pytest.raises(RuntimeError) as caught:
        take_too_much()
    assert is_out_of_memory(caught.value)
    with pytest.raises(RuntimeError, match="shapes"), naming_the_setting("lower it"):
        raise RuntimeError("shapes do not fit")


def test_a_training_without_memory_names_the_size_of_its_passes(tiny_base, tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "_step", take_too_much)
    with pytest.raises(TrainingError, match=r"none left .* lower train\.micro_batch_tokens"):
        train(
            make_examples(4, 1), tiny_base, TrainSettings(method="lora"), CPU,
            tmp_path / "work", tmp_path / "output",
        )  # fmt: skip


def test_a_batch_of_answers_without_memory_is_asked_in_halves(tmp_path):
    base, rows = make_base("llama", tmp_path), make_rows(8)
    settings, tried = EvaluateSettings(max_new_tokens=4, batch_size=8), []
    found = []
    for limit in (10**6, 200):
        model, tokenizer = load_adapter(base, None, CPU)

        def take(_, arguments, named, limit=limit):
            tried.append(named["input_ids"].shape)
            if named["input_ids"].numel() > limit:
                take_too_much()

        to_float32(model).register_forward_pre_hook(take, with_kwargs=True)
        found.append(answer("base", rows, model, tokenizer, settings))
    whole, halved = found
    assert max(rows for rows, _ in tried) == 8 and tried[-1][0] < 8
    assert halved["answer"].to_list() == whole["answer"].to_list()
    assert halved["loss"].to_list() == pytest.approx(whole["loss"].to_list(), abs=1e-4)


def test_the_memory_that_torch_keeps_of_a_gpu_is_handed_back(monkeypatch):
    called = []
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: called.append("emptied"))
    free_memory()
    assert called == ["emptied"]
