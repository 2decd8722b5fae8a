"""Every method: it trains, saves, loads elsewhere with the same logits, and merges if it can."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import TrainingError
from pipeline.evaluate.scoring import (
    continuation_log_probs,
    evaluating,
    greedy,
    prefill,
    text_log_probs,
)
from pipeline.settings import TrainSettings
from pipeline.train.batch.batches import collate
from pipeline.train.batch.loss import supervised_loss
from pipeline.train.batch.rows import tokenize
from pipeline.train.export.merge import merge
from pipeline.train.loop.loop import Run
from pipeline.train.methods import METHODS, resolved
from pipeline.train.models.adapter import identity, load_adapter, load_base, read_run_card
from pipeline.train.models.base_model import load_model
from pipeline.train.models.quantized import dequantize
from tests.pipeline.train.methods.runs import CPU, logits_digest, run_examples, train_once

ROOT = Path(__file__).parents[4]

every_method = pytest.mark.parametrize("method", list(METHODS))


@pytest.fixture(scope="module")
def trained(tiny_base, tmp_path_factory):
    """The results of a short training with each method, by name, and their folder."""
    folder = tmp_path_factory.mktemp("trained")
    return {name: train_once(name, tiny_base, folder / name) for name in METHODS}, folder


@pytest.fixture(scope="module")
def fresh(trained, tiny_base, tmp_path_factory):
    """What another process says of the same adapters, and its own runs of the same trainings."""
    again = tmp_path_factory.mktemp("again")
    args = {
        "base": [tiny_base.name, str(tiny_base.path), tiny_base.digest],
        "trained": str(trained[1]), "again": str(again),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tests.pipeline.train.methods.runs", json.dumps(args)],
        cwd=ROOT, capture_output=True, text=True, timeout=800, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "a run is silent"
    return json.loads(done.stdout), again


@pytest.fixture
def in_float32(monkeypatch):
    """Models are loaded in float32: rounding hides nothing."""
    import torch

    for place in ("models.base_model", "models.quantized", "export.blocks"):
        monkeypatch.setattr(f"pipeline.train.{place}.compute_dtype", lambda _: torch.float32)


@every_method
def test_it_trains(trained, method):
    result = trained[0][method]
    assert result.method == method
    (_, before), *_, (_, after) = result.validation_loss
    assert after < before - 0.01
    assert result.best_step == result.steps == 4
    losses = [loss for _, loss in result.train_loss]
    assert losses[-1] < losses[0]


@every_method
def test_what_is_loaded_is_what_was_trained(trained, tiny_base, method):
    result, folder = trained[0][method], trained[1] / method / "output"
    model, tokenizer = load_adapter(tiny_base, folder, CPU)
    assert not any(part.requires_grad for part in model.parameters())
    rows = tokenize(run_examples(), tokenizer, 200)
    run = Run(model, rows, TrainSettings(micro_batch_size=3), folder)
    batch = collate(rows.validation[:], "cpu")
    found = run.validation_loss(supervised_loss(model, *batch))
    # a head that was trained sums in another order than one that is frozen
    assert found == pytest.approx(
        result.validation_loss[-1][1], rel=1e-6 * (method == "full"), abs=0
    )


@every_method
def test_a_fresh_process_gives_the_same_logits_bit_for_bit(trained, fresh, tiny_base, method):
    loaded = load_adapter(tiny_base, trained[1] / method / "output", CPU)
    here = logits_digest(*loaded)
    assert fresh[0][method] == here
    assert here != logits_digest(*load_adapter(tiny_base, None, CPU)), "it changes the base"


@every_method
def test_equal_runs_write_equal_bytes_and_no_path(trained, fresh, tiny_base, method):
    one, other = (folder / method / "output" for folder in (trained[1], fresh[1]))
    names = sorted(file.name for file in one.iterdir())
    assert names == sorted(file.name for file in other.iterdir())
    assert {"run_card.json", *identity(one)} <= set(names)
    assert len(identity(one)) == 2
    for name in names:
        data = (one / name).read_bytes()
        assert data == (other / name).read_bytes(), name
        assert str(tiny_base.path.parent).encode() not in data
    card = read_run_card(one)
    assert TrainSettings(**card["settings"]) == resolved(TrainSettings(**card["settings"]))
    assert card["settings"]["learning_rate"] is not None


@every_method
def test_left_padding_and_the_cache_change_no_score(trained, tiny_base, method, in_float32):
    model, tokenizer = load_adapter(tiny_base, trained[1] / method / "output", CPU)
    texts = ["Why?", "How often should the filter of the pump be cleaned?", "Name two valves."]
    prompts = [tokenizer(text)["input_ids"] for text in texts]
    answer = tokenizer(" Once a month, in spring.")["input_ids"]
    with evaluating(model):
        together = prefill(model, prompts)
        batch = continuation_log_probs(model, together, [[answer, answer[:3]]] * 3)
        drawn, _ = greedy(model, together, [], 6)
        for row, prompt in enumerate(prompts):
            alone = prefill(model, [prompt])
            single = continuation_log_probs(model, alone, [[answer, answer[:3]]])[0]
            whole = text_log_probs(model, [prompt + answer])[0][len(prompt) - 1 :]
            np.testing.assert_allclose(batch[row][0], whole, atol=1e-4)
            for ours, theirs in zip(batch[row], single, strict=True):
                np.testing.assert_allclose(ours, theirs, atol=1e-4)
            (lonely,), _ = greedy(model, alone, [], 6)
            assert drawn[row] == lonely == by_full_forward(model, prompt, 6)


def by_full_forward(model, prompt, count):
    import torch

    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[len(prompt) :]


@every_method
def test_packed_rows_have_the_logits_of_single_rows(trained, tiny_base, method, in_float32):
    import torch

    model, tokenizer = load_adapter(tiny_base, trained[1] / method / "output", CPU)
    rows = [tokenizer(text)["input_ids"] for text in ("The soil is dry today.", "Why is it?")]
    with torch.no_grad():
        packed = model(
            input_ids=torch.tensor([rows[0] + rows[1]]),
            position_ids=torch.tensor([[*range(len(rows[0])), *range(len(rows[1]))]]),
            use_cache=False,
        ).logits[0]
        alone = [model(input_ids=torch.tensor([row]), use_cache=False).logits[0] for row in rows]
    torch.testing.assert_close(packed, torch.cat(alone), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].mergeable])
def test_merged_weights_have_the_logits_of_the_adapter(
    trained, tiny_base, method, in_float32, tmp_path
):
    import torch

    folder, used = trained[1] / method / "output", METHODS[method]
    facts = merge(tiny_base, folder, CPU, tmp_path / "merged", "float16")
    assert facts["changed"] > 0
    plain = load_model(tmp_path / "merged", dtype="float32")
    model, tokenizer = load_adapter(tiny_base, folder, CPU)
    base = dequantize(load_base(tiny_base, CPU, used.quantized))
    ids = torch.tensor([tokenizer("The pump starts when the soil is dry.")["input_ids"]])
    with torch.no_grad():
        expected, found, before = (each(input_ids=ids).logits for each in (model, plain, base))
    assert (before - expected).norm() > 0.01 * expected.norm(), "there is something to merge"
    # Stored in float16, whose 11 bits leave 5e-4 of each weight.
    assert (found - expected).norm() < 1e-3 * expected.norm()


@pytest.mark.parametrize("method", [name for name in METHODS if not METHODS[name].mergeable])
def test_what_cannot_be_merged_says_so(trained, tiny_base, method, tmp_path):
    folder = trained[1] / method / "output"
    with pytest.raises(TrainingError, match=f"trained with method {method}, which adds layers or"):
        merge(tiny_base, folder, CPU, tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_whole_model_loads_without_the_weights_of_the_base(trained, tiny_base, tmp_path):
    expected = logits_digest(*load_adapter(tiny_base, trained[1] / "full" / "output", CPU))
    for file in tiny_base.path.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    bare = replace(tiny_base, path=tmp_path)
    assert logits_digest(*load_adapter(bare, trained[1] / "full" / "output", CPU)) == expected
