"""Two processes on a CPU (gloo) train what one process trains."""

import json
import math
import subprocess
import sys

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from pipeline.core.errors import TrainingError
from pipeline.core.progress import listening
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.launch import launch, launch_config
from pipeline.train.loop.trainer import train
from tests.pipeline.train.seed_examples import make_examples

THREADS = ModelSettings(threads=1)
SETTINGS = TrainSettings(
    method="lora", rank=4, batch_size=6, micro_batch_size=2, epochs=1, evaluations=1,
    learning_rate=1e-3, processes=2, checkpoint_steps=1, max_tokens=256,
)  # fmt: skip


@pytest.fixture(scope="module")
def both(tiny_base, tmp_path_factory):
    """A run of two processes, its progress, and the same run of one."""
    folder = tmp_path_factory.mktemp("processes")
    seen = []
    examples = make_examples(12, 3)
    with listening(lambda *report: seen.append(report)):
        told = launch(examples, tiny_base, SETTINGS, THREADS, folder / "work", folder / "out")
    alone = train(examples, tiny_base, SETTINGS, THREADS, folder / "work1", folder / "out1")
    return folder, told, seen, alone


def test_two_processes_make_the_updates_of_one_with_the_same_rows(both):
    folder, told, seen, alone = both
    assert told["steps"] == alone.steps == 2
    assert seen[-1] == (2, 2, "steps")
    assert told["rows_kept"] == alone.rows_kept == 12
    for (_, one), (_, other) in zip(told["train_loss"], alone.train_loss, strict=True):
        assert math.isclose(one, other, rel_tol=1e-4)
    tensors, expected = (
        load_file(folder / name / "adapter_model.safetensors") for name in ("out", "out1")
    )
    for name, tensor in expected.items():
        torch.testing.assert_close(tensors[name], tensor, rtol=1e-3, atol=1e-5, msg=name)
    assert "equal processes" in {proof["name"] for proof in told["proofs"]}
    assert seen == [(0, 2, "steps"), (1, 2, "steps"), (2, 2, "steps")], "one of them tells"


def test_stopped_processes_go_on_to_the_very_same_bytes(tiny_base, tmp_path):
    examples = make_examples(12, 3)
    settings = SETTINGS.model_copy(update={"epochs": 10, "dropout": 0.1})

    class Stopped(KeyboardInterrupt):
        pass

    def stop(done, total, unit):
        if (done, unit) == (3, "steps"):
            raise Stopped

    with pytest.raises(Stopped), listening(stop):
        launch(examples, tiny_base, settings, THREADS, tmp_path / "work", tmp_path / "out")
    assert not (tmp_path / "out" / "run_card.json").exists()
    seen = []
    with listening(lambda *report: seen.append(report)):
        launch(examples, tiny_base, settings, THREADS, tmp_path / "work", tmp_path / "out")
    launch(examples, tiny_base, settings, THREADS, tmp_path / "calm", tmp_path / "expected")
    (begun, total, _), *_, last = seen
    assert 3 <= begun < total
    assert last == (total, total, "steps")
    for name in ("adapter_model.safetensors", "run_card.json"):
        expected = (tmp_path / "expected" / name).read_bytes()
        assert (tmp_path / "out" / name).read_bytes() == expected, name


def test_the_first_process_alone_writes_and_keeps_the_random_state_of_each(tiny_base, tmp_path):
    config = tmp_path / "accelerate.yaml"
    config.write_text(launch_config("ddp", 2, cpu=True), "utf-8")
    arguments = json.dumps({"base": [tiny_base.name, str(tiny_base.path), tiny_base.digest],
                            "settings": SETTINGS.model_dump(mode="json"),
                            "folder": str(tmp_path)})  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config),
         "-m", "tests.pipeline.train.train_ranks", arguments],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = {rank: sorted(file.name for file in (tmp_path / rank).rglob("*") if file.is_file())
               for rank in ("0", "1")}  # fmt: skip
    assert "adapter_model.safetensors" in written["0"]
    assert "history.json" in written["0"]
    assert written["1"] == []
    (random,) = (tmp_path / "0").rglob("random.safetensors")
    states = load_file(random)
    assert set(states) == {"cpu 0", "cpu 1"}
    assert not torch.equal(states["cpu 0"], states["cpu 1"]), "each draws dropout of its own"


def test_what_a_process_refuses_is_what_the_user_reads(tiny_base, tmp_path):
    examples = make_examples(8, 2)
    planted = examples.head(1).with_columns(
        pair_id=pl.lit("f" * 16), cluster_id=pl.lit("f" * 16), split=pl.lit("test")
    )
    leaking = pl.concat([examples, planted])
    with pytest.raises(TrainingError, match=r"^leak: 1 rows of train or validation repeat"):
        launch(leaking, tiny_base, SETTINGS, THREADS, tmp_path / "work", tmp_path / "out")
    missing = SETTINGS.model_copy(update={"launch_config": tmp_path / "none.yaml"})
    with pytest.raises(TrainingError, match=r"train\.launch_config: .* is not there"):
        launch(examples, tiny_base, missing, THREADS, tmp_path / "work", tmp_path / "out")


@pytest.fixture
def sharding(tmp_path):
    """Settings of two processes over which the base is spread, as `tuneloop plan` writes them."""
    config = tmp_path / "fsdp.yaml"
    config.write_text(launch_config("fsdp", 2, cpu=True, block="LlamaDecoderLayer"), "utf-8")
    return {"launch_config": config}


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_a_base_spread_over_two_processes_is_trained_as_in_one(
    method, sharding, tiny_base, tmp_path, monkeypatch
):
    examples = make_examples(12, 3)
    settings = SETTINGS.model_copy(update=sharding | {"method": method, "dequantize": "each_time"})
    told = launch(examples, tiny_base, settings, THREADS, tmp_path / "work", tmp_path / "out")
    # Nothing is computed apart where the base is spread.
    monkeypatch.setattr("pipeline.train.batch.loss.MIN_SHARED", 2)
    alone = train(examples, tiny_base, settings, THREADS, tmp_path / "work1", tmp_path / "out1")
    proofs = {proof["name"]: proof["value"] for proof in told["proofs"]}
    assert proofs["sharded base"] == pytest.approx(0.5, abs=0.05)
    assert proofs.keys() - {each.name for each in alone.proofs} == {
        "sharded base", "equal processes",
    }  # fmt: skip
    assert told["fused_layers"] >= alone.fused_layers - 1, "all but the last norm"
    for (_, one), (_, other) in zip(told["train_loss"], alone.train_loss, strict=True):
        assert math.isclose(one, other, rel_tol=1e-6)
    assert told["validation_loss"][-1][1] == pytest.approx(alone.validation_loss[-1][1], rel=1e-6)
    tensors, expected = (
        load_file(tmp_path / name / "adapter_model.safetensors") for name in ("out", "out1")
    )
    for name, tensor in expected.items():
        torch.testing.assert_close(tensors[name], tensor, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "full", "rank": None}, r"fsdp found with method full; expected LoRA"),
        (
            {"method": "qlora", "dequantize": "once"},
            r"train\.dequantize: once found where the base",
        ),
    ],
)
def test_what_would_not_save_memory_is_refused(changes, message, sharding, tiny_base, tmp_path):
    settings = SETTINGS.model_copy(update=sharding | changes)
    with pytest.raises(TrainingError, match=message):
        launch(make_examples(8, 2), tiny_base, settings, THREADS, tmp_path / "w", tmp_path / "o")
