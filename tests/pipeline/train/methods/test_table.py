"""The table of methods: presets are used, and what a method does not use is refused."""

from dataclasses import fields
from typing import get_args

import pytest

from flows.engine.settings_file import load_settings
from pipeline.core.errors import SettingsError
from pipeline.settings import TrainSettings
from pipeline.train.methods.table import METHODS, Preset, rate_at, resolved

every_method = pytest.mark.parametrize("method", list(METHODS))

VALUES = {
    "learning_rate": 3e-3, "rank": 4, "alpha": 5, "targets": "mlp", "dropout": 0.1,
    "rate_ratio": 4.0, "bottleneck": 8, "virtual_tokens": 7,
}  # fmt: skip


def test_each_setting_that_a_preset_gives_is_tried_here():
    assert set(VALUES) == {field.name for field in fields(Preset)}


def test_the_setting_knows_the_methods_of_the_table():
    assert set(get_args(TrainSettings.model_fields["method"].annotation)) == set(METHODS)


@every_method
def test_what_is_empty_becomes_the_preset_and_stays_it(method):
    settings = resolved(TrainSettings(method=method))
    preset = METHODS[method].preset
    assert {name: getattr(settings, name) for name in VALUES} == {
        name: getattr(preset, name) for name in VALUES
    }
    assert resolved(settings) == settings


@every_method
@pytest.mark.parametrize("name", list(VALUES))
def test_a_given_setting_is_kept_or_refused_by_name(method, name):
    settings = TrainSettings(method=method, **{name: VALUES[name]})
    if getattr(METHODS[method].preset, name) is None:
        with pytest.raises(SettingsError, match=rf"train\.{name} found, which method {method}"):
            resolved(settings)
    else:
        assert getattr(resolved(settings), name) == VALUES[name]


def test_another_rank_keeps_the_scale_of_lora_and_the_alpha_of_rslora():
    assert resolved(TrainSettings(method="lora", rank=4)).alpha == 8
    assert resolved(TrainSettings(method="pissa", rank=4)).alpha == 4
    assert resolved(TrainSettings(method="rslora", rank=4)).alpha == 64
    assert resolved(TrainSettings(method="lora", rank=4, alpha=3)).alpha == 3


def test_a_setting_in_vain_is_found_when_settings_are_loaded(tmp_path):
    file = tmp_path / "tuneloop.toml"
    file.write_text('[train]\nmethod = "full"\nrank = 8\nalpha = ""\n')
    with pytest.raises(SettingsError, match=r"train\.rank found, which method full does not use"):
        load_settings(file)
    file.write_text('[train]\nmethod = "full"\nrank = ""\n')
    assert load_settings(file).train.rank is None


def test_a_prefix_and_gradient_checkpointing_exclude_each_other():
    with pytest.raises(SettingsError, match=r"train\.gradient_checkpointing found with method pre"):
        resolved(TrainSettings(method="prefix", gradient_checkpointing=True))


@pytest.mark.parametrize(
    ("method", "width", "rate"),
    [
        ("lora", 576, 1e-3),
        ("qlora", 4096, 2e-4),  # QLoRA's paper at 7B
        ("lora", 64, 1e-3),
        ("full", 576, 1e-4),
        ("full", 4096, 1.41e-5),
        ("ia3", 4096, 5e-3),
    ],
)
def test_the_learning_rate_follows_the_width_of_the_model(method, width, rate):
    assert rate_at(method, width) == rate
    assert resolved(TrainSettings(method=method), width).learning_rate == rate
    given = TrainSettings(method=method, learning_rate=3e-4)
    assert resolved(given, width).learning_rate == 3e-4


@pytest.mark.parametrize("method", METHODS)
def test_at_the_width_of_the_embedded_model_each_preset_is_as_it_was_measured(method):
    assert resolved(TrainSettings(method=method)).learning_rate == (
        METHODS[method].preset.learning_rate
    )
