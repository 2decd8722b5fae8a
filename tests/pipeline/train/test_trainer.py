"""A real run on the embedded model: resumed bit for bit, loaded as trained, refused elsewhere."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from pipeline.core.errors import TrainingError
from pipeline.core.progress import listening
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.batch.batches import collate
from pipeline.train.batch.loss import supervised_loss
from pipeline.train.batch.rows import tokenize
from pipeline.train.loop.loop import Run
from pipeline.train.loop.trainer import train
from pipeline.train.methods import METHODS
from pipeline.train.models.adapter import (
    check_fit,
    load_adapter,
    load_base,
    restore,
)
from pipeline.train.models.base_model import load_tokenizer
from tests.pipeline.train.seed_examples import make_examples

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[3]
SETTINGS = {
    "method": "qlora", "epochs": 2, "batch_size": 4, "micro_batch_size": 2, "checkpoint_steps": 2,
    "evaluations": 3, "dropout": 0.05, "learning_rate": 1e-3, "rank": 8,
}  # fmt: skip


def run(models_dir, folder, base="", kill_after=0):
    args = {
        "base": base, "models": str(models_dir), "work": str(folder / "work"),
        "output": str(folder / "output"), "settings": SETTINGS, "kill_after": kill_after,
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "tests.pipeline.train.train_once", json.dumps(args)],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def straight(base, models_dir, tmp_path_factory):
    """The result and folder of an undisturbed run."""
    folder = tmp_path_factory.mktemp("straight")
    done = run(models_dir, folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "a run is silent but for its progress"
    return json.loads(done.stdout), folder / "output"


def test_a_killed_run_goes_on_to_the_very_same_bytes(tiny_base, models_dir, tmp_path):
    base = str(tiny_base.path)
    straight = run(models_dir, tmp_path / "straight", base)
    result, output = json.loads(straight.stdout), tmp_path / "straight" / "output"
    killed = run(models_dir, tmp_path, base, kill_after=3)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "work").glob("step-*")] == ["step-000002"]
    assert not (tmp_path / "output" / "run_card.json").exists()
    resumed = run(models_dir, tmp_path, base)
    assert resumed.returncode == 0, resumed.stderr
    for name in ("adapter_model.safetensors", "adapter_config.json", "run_card.json"):
        assert (tmp_path / "output" / name).read_bytes() == (output / name).read_bytes(), name
    again = json.loads(resumed.stdout)
    for key in ("train_loss", "validation_loss", "best_step", "steps"):
        assert again[key] == result[key], key


def test_training_lowers_both_losses_and_reports_them(straight):
    result, _ = straight
    steps = [step for step, _ in result["train_loss"]]
    assert steps == list(range(1, result["steps"] + 1)) == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in result["validation_loss"]] == [0, 2, 4, 6]
    first, last = result["validation_loss"][0][1], result["validation_loss"][-1][1]
    assert last < first - 0.02
    assert sum(loss for _, loss in result["train_loss"][3:]) < sum(
        loss for _, loss in result["train_loss"][:3]
    )
    assert result["best_step"] == min(result["validation_loss"], key=lambda pair: pair[1])[0]
    assert result["rows_in"] == result["rows_kept"] + len(result["dropped"]) == 14
    assert result["tokens_per_second"] > 0
    assert result["peak_memory_bytes"] > 100 << 20


def test_the_adapter_folder_names_no_path_of_the_machine(straight, base, models_dir):
    _, output = straight
    assert {file.name for file in output.iterdir()} == {
        "adapter_model.safetensors", "adapter_config.json", "run_card.json",
    }  # fmt: skip
    for name in ("adapter_config.json", "run_card.json"):
        text = (output / name).read_text("utf-8")
        assert str(base.path) not in text
        assert str(models_dir) not in text
    assert json.loads((output / "adapter_config.json").read_text())["base_model_name_or_path"] == (
        base.name
    )


def test_what_was_trained_is_what_is_loaded(straight, base):
    import torch

    result, output = straight
    model, tokenizer = load_adapter(base, output, ModelSettings())
    exact = restore(load_base(base, ModelSettings(), quantized=True), METHODS["qlora"], output)
    ids = torch.tensor([tokenizer("The pump starts when the soil is dry.")["input_ids"]])
    with torch.no_grad():
        assert torch.equal(model(ids).logits, exact(ids).logits), "dequantized once = each time"
    rows = tokenize(make_examples(14, 2), tokenizer, 512)
    batch = collate(rows.validation[:], "cpu")
    run = Run(model, rows, TrainSettings(**SETTINGS), output)
    loaded = run.validation_loss(supervised_loss(model, *batch))
    best = dict(map(tuple, result["validation_loss"]))[result["best_step"]]
    assert loaded == best


def test_an_adapter_is_refused_on_another_base_template_or_precision(straight, base, tmp_path):
    _, output = straight
    other = replace(base, digest="0" * 64)
    with pytest.raises(TrainingError, match="base model is smollm2"):
        load_adapter(other, output, ModelSettings())
    with pytest.raises(TrainingError, match="base asked for is not quantized"):
        check_fit(base, output, load_tokenizer(base.path), quantized=False)
    folder = tmp_path / "base"
    shutil.copytree(base.path, folder)
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("helpful", "grumpy"))
    with pytest.raises(TrainingError, match="chat template"):
        load_adapter(replace(base, path=folder), output, ModelSettings())
    with pytest.raises(TrainingError, match=r"run_card\.json cannot be read"):
        load_adapter(base, tmp_path, ModelSettings())


def settings(**changes):
    return TrainSettings(**({**SETTINGS, "method": "lora", "dropout": 0.0} | changes))


def test_rows_that_cannot_be_trained_on_are_in_the_ledger(tiny_base, tmp_path):
    examples = make_examples(6, 1)
    long = [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "Because the soil was dry. " * 40},
    ]
    first = examples["pair_id"][0]
    rows = [
        row | ({"messages": long} if row["pair_id"] == first else {})
        for row in examples.iter_rows(named=True)
    ]
    changed = pl.DataFrame(rows, schema=examples.schema)
    result = train(
        changed, tiny_base, settings(max_steps=1, max_tokens=200), ModelSettings(),
        tmp_path / "work", tmp_path / "output",
    )  # fmt: skip
    assert result.rows_in == result.rows_kept + result.dropped.height == 6
    (drop,) = result.dropped.to_dicts()
    assert (drop["id"], drop["reason"], drop["threshold"]) == (first, "response_too_long", 200)
    assert drop["value"] > 200
    with pytest.raises(TrainingError, match=r"no row can be trained on \(response_too_long\)"):
        train(
            changed.filter(pl.col("pair_id") == first), tiny_base, settings(max_tokens=200),
            ModelSettings(), tmp_path / "work", tmp_path / "output",
        )  # fmt: skip


def test_it_stops_early_keeps_the_best_and_leaves_the_random_state(tiny_base, tmp_path):
    import torch

    torch.manual_seed(5)
    state = torch.get_rng_state()
    seen = []
    with listening(lambda *report: seen.append(report)):
        result = train(
            make_examples(6, 2).reverse(), tiny_base,
            settings(epochs=4, evaluations=4, patience=2, min_delta=50.0),
            ModelSettings(), tmp_path / "work", tmp_path / "output",
        )  # fmt: skip
    assert result.stopped_early
    assert result.steps == 2 < 4
    assert seen[-1] == (2, 4, "steps")
    assert result.best_step == min(result.validation_loss, key=lambda pair: pair[1])[0] > 0
    assert torch.equal(torch.get_rng_state(), state)


def test_a_loss_that_is_no_number_stops_the_run(tiny_base, tmp_path):
    with pytest.raises(TrainingError, match=r"loss nan|norm nan|norm inf|loss inf"):
        train(
            make_examples(6, 1), tiny_base, settings(learning_rate=1e30, epochs=4, evaluations=1),
            ModelSettings(), tmp_path / "work", tmp_path / "output",
        )  # fmt: skip
    assert not (tmp_path / "output").exists()
