"""The loop on a tiny model: what a step adds up, what a killed run loses, what noise is added."""

import math

import pytest
import torch

from pipeline.core.errors import TrainingError
from pipeline.core.progress import listening
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.batch.rows import tokenize
from pipeline.train.loop import loop
from pipeline.train.loop.loop import EmbeddingNoise, Run
from pipeline.train.loop.optimizers import make_optimizer, optimizer_name
from pipeline.train.loop.trainer import train
from pipeline.train.methods import METHODS
from pipeline.train.models.adapter import attach_adapter, trainable
from pipeline.train.models.base_model import load_model, load_tokenizer
from pipeline.train.models.device import configure_torch
from pipeline.train.peak_memory import naming_the_setting
from tests.pipeline.train.seed_examples import make_examples

FILES = ("adapter_model.safetensors", "adapter_config.json", "run_card.json")


def settings(**changes):
    few = {
        "method": "lora", "rank": 4, "batch_size": 8, "micro_batch_size": 2, "epochs": 1,
        "learning_rate": 1e-3, "evaluations": 2, "max_tokens": 256,
    }  # fmt: skip
    return TrainSettings(**(few | changes))


@pytest.fixture(scope="module")
def rows(tiny_base):
    return tokenize(make_examples(10, 2), load_tokenizer(tiny_base.path), 256)


def updates(base, rows, work, limit=None, **changes):
    """The adapter after a run of few steps in float32, and its losses.

    A pass of more tokens than the limit asks for more memory than there is.
    """
    configure_torch(ModelSettings(threads=1))
    used = settings(**changes)
    torch.manual_seed(used.seed)
    model = load_model(base.path, dtype=torch.float32)
    model = attach_adapter(model, METHODS[used.method], used)

    def take(decoder, arguments, named):
        if limit and named["input_ids"].numel() > limit:
            torch.empty(2**46)  # more than any machine has: what torch raises is real

    model.get_base_model().get_decoder().register_forward_pre_hook(take, with_kwargs=True)
    history, _ = Run(model, rows, used, work).go("x")
    return {name: part.detach() for name, part in trainable(model).items()}, history


def assert_equal_updates(one, other):
    """Equal within float32 rounding, which AdamW's division carries into the first updates."""
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=1e-4, atol=2e-6, msg=name)


@pytest.mark.parametrize(
    "changes", [{}, {"packing": True, "max_tokens": 1024}], ids=["padded", "packed"]
)
def test_a_pass_without_memory_is_halved_and_the_step_repeated(tiny_base, rows, tmp_path, changes):
    large = {"micro_batch_size": 8, "micro_batch_tokens": 4096} | changes
    said = []
    whole, expected = updates(tiny_base, rows, tmp_path / "whole", **large)
    with listening(lambda *_: None, said.append):
        halved, found = updates(tiny_base, rows, tmp_path / "halved", limit=300, **large)
    assert 0 < found.room <= 300 and expected.room == 0
    assert "the step is repeated with half of them (train.micro_batch_tokens)" in said[0]
    assert_equal_updates(whole, halved)
    for (_, one), (_, other) in zip(expected.train_loss, found.train_loss, strict=True):
        assert one == pytest.approx(other, rel=1e-5)


@pytest.mark.parametrize(("dropout", "passes"), [(0.0, 2), (0.1, 1)])
def test_what_rows_begin_with_is_computed_once_unless_dropout_differs(
    tiny_base, rows, tmp_path, dropout, passes
):
    used, seen = settings(dropout=dropout), []
    few = [0] * 4  # one row four times
    model = load_model(tiny_base.path, dtype=torch.float32)
    model = attach_adapter(model, METHODS["lora"], used)
    run = Run(model, rows, used, tmp_path)
    loss, _ = run._losses([few])
    model.get_base_model().get_decoder().register_forward_pre_hook(lambda *_: seen.append(1))
    loss(*run._batch(rows.train, few))
    assert len(seen) == passes


def test_what_is_left_when_a_single_row_does_not_fit_names_the_setting(tiny_base, rows, tmp_path):
    with (
        pytest.raises(TrainingError, match=r"^memory: there is none left .*; lower it$"),
        naming_the_setting("lower it"),
    ):
        updates(tiny_base, rows, tmp_path, limit=20, micro_batch_size=1)


@pytest.mark.parametrize(
    "changes",
    [{"micro_batch_size": 1}, {"micro_batch_size": 3}, {"packing": True}],
    ids=["8 x 1", "3 x 3", "packed"],
)
def test_each_token_weighs_the_same_however_a_step_is_cut(tiny_base, rows, tmp_path, changes):
    whole, history = updates(tiny_base, rows, tmp_path / "a", micro_batch_size=8)
    cut, other = updates(tiny_base, rows, tmp_path / "b", **changes)
    assert history.step == other.step == 1
    assert math.isclose(history.train_loss[0][1], other.train_loss[0][1], rel_tol=1e-6)
    for (_, a), (_, b) in zip(history.validation_loss, other.validation_loss, strict=True):
        assert math.isclose(a, b, rel_tol=1e-5)
    assert_equal_updates(whole, cut)


@pytest.mark.parametrize("dropout", [0.0, 0.1], ids=["fused", "not fused"])
def test_a_base_unpacked_once_trains_the_very_same_adapter(tiny_base, tmp_path, dropout):
    for how in ("once", "each_time"):
        used = settings(method="qlora", dequantize=how, batch_size=4, dropout=dropout)
        run(tiny_base, tmp_path / how, used)
    one, other = (
        (tmp_path / how / "out" / "adapter_model.safetensors").read_bytes()
        for how in ("once", "each_time")
    )
    assert one == other


class Killed(Exception):
    """Stands for a process that ends between two steps."""


def run(base, folder, used, kill_after=0):
    def listener(done, total, unit):
        if done and done == kill_after:
            raise Killed

    with listening(listener):
        return train(
            make_examples(14, 2),
            base,
            used,
            ModelSettings(threads=1),
            folder / "work",
            folder / "out",
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"packing": True, "neftune_alpha": 5.0, "dropout": 0.1},
        {"method": "qlora", "neftune_alpha": 5.0, "dropout": 0.1, "weight_decay": 0.1},
        {"optimizer": "adamw_8bit", "rank": 128, "alpha": 8},
    ],
    ids=["packed", "qlora", "8-bit optimizer"],
)
def test_k_steps_and_k_more_are_two_k_steps_bit_for_bit(tiny_base, tmp_path, changes):
    used = settings(batch_size=2, checkpoint_steps=2, **changes)
    straight = run(tiny_base, tmp_path / "straight", used)
    with pytest.raises(Killed):
        run(tiny_base, tmp_path / "killed", used, kill_after=3)
    torch.manual_seed(99)  # another process has another random state
    resumed = run(tiny_base, tmp_path / "killed", used)
    assert straight.steps == resumed.steps == 6
    assert straight.train_loss == resumed.train_loss
    assert straight.validation_loss == resumed.validation_loss
    for name in FILES:
        one, other = (tmp_path / kind / "out" / name for kind in ("straight", "killed"))
        assert one.read_bytes() == other.read_bytes(), name


@pytest.mark.parametrize(
    ("steps", "seconds", "kill_after", "expected"),
    [
        (2, 600, 1, []),
        (2, 600, 2, [2]),
        (2, 600, 3, [2]),
        (2, 0, 5, [4]),
        (None, 600, 5, []),
        (None, 0, 1, [1]),
        (None, 0, 5, [5]),
    ],
)
def test_a_kill_loses_at_most_the_steps_between_two_checkpoints(
    tiny_base, tmp_path, monkeypatch, steps, seconds, kill_after, expected
):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", seconds)
    used = settings(batch_size=2, checkpoint_steps=steps)
    with pytest.raises(Killed):
        run(tiny_base, tmp_path, used, kill_after)
    kept = [int(folder.name[5:]) for folder in (tmp_path / "work").glob("step-*")]
    assert kept == expected
    # What a kill in the middle of writing leaves behind is not taken for a checkpoint.
    (tmp_path / "work" / ".step-000006.tmp").mkdir(parents=True)
    (tmp_path / "work" / "step-000099").mkdir()
    done = []
    with listening(lambda step, total, unit: done.append(step)):
        train(
            make_examples(14, 2), tiny_base, used, ModelSettings(threads=1), tmp_path / "work",
            tmp_path / "out",
        )  # fmt: skip
    assert next(step for step in done if step) == max(kept, default=1)
    assert done[-1] == 6


def embed(model, noise, lengths, packed):
    rows, width = (1, sum(lengths)) if packed else (len(lengths), max(lengths))
    noise.expect(lengths, packed=packed)
    with torch.no_grad():
        return model.get_input_embeddings()(torch.ones((rows, width), dtype=torch.long))


@pytest.mark.parametrize("packed", [False, True])
def test_noise_is_scaled_by_the_length_of_each_row_and_absent_in_evaluation(tiny_base, packed):
    model = load_model(tiny_base.path, dtype=torch.float32)
    noise = EmbeddingNoise(model, 5.0)
    plain = embed(model.eval(), noise, [4, 100], packed)
    noisy = embed(model.train(), noise, [4, 100], packed)
    added = (noisy - plain).abs()
    short, long = (added[:, :4], added[:, 4:]) if packed else (added[0], added[1])
    for part, length in ((short, 4), (long, 100)):
        bound = 5.0 / math.sqrt(length * 64)
        assert 0.95 * bound < part.max() <= bound * 1.0001
        assert part.mean().item() == pytest.approx(bound / 2, rel=0.15)
    assert torch.equal(embed(model.eval(), noise, [4, 100], packed), plain)


def test_without_noise_nothing_is_hooked_or_drawn(tiny_base):
    model = load_model(tiny_base.path).train()
    state = torch.get_rng_state()
    embed(model, EmbeddingNoise(model, 0.0), [4], packed=False)
    assert not model.get_input_embeddings()._forward_hooks
    assert torch.equal(torch.get_rng_state(), state)


def test_a_paged_optimizer_on_a_cpu_is_an_error_and_auto_fits_the_device(tiny_base, tmp_path):
    assert optimizer_name("auto", "cpu", "full") == "adamw"
    assert optimizer_name("auto", "cuda", "full") == "paged_adamw_8bit"
    assert optimizer_name("auto", "cuda", "qlora") == "adamw"
    assert optimizer_name("paged_adamw_32bit", "cuda", "lora") == "paged_adamw_32bit"
    with pytest.raises(TrainingError, match=r"train\.optimizer: 'paged_adamw_8bit' asked for"):
        run(tiny_base, tmp_path, settings(optimizer="paged_adamw_8bit"))


def test_weight_decay_acts_on_matrices_and_keeps_the_rate_of_each_group():
    matrix, bias, fast = (torch.nn.Parameter(torch.ones(shape)) for shape in ((2, 2), (2,), (3, 3)))
    groups = [{"params": [matrix, bias], "lr": 1e-3}, {"params": [fast], "lr": 1e-2}]
    made = make_optimizer(groups, TrainSettings(weight_decay=0.1), "cpu").param_groups
    found = [(group["params"], group["lr"], group["weight_decay"]) for group in made]
    assert found == [([matrix], 1e-3, 0.1), ([bias], 1e-3, 0.0), ([fast], 1e-2, 0.1)]
    assert len(make_optimizer(groups, TrainSettings(), "cpu").param_groups) == 2
