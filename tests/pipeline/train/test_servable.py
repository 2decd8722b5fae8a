"""What vLLM can serve: said of settings before training as of adapters after it."""

import json

import pytest

from pipeline.core.errors import SettingsError
from pipeline.settings import ExportSettings, ModelSettings, TrainSettings
from pipeline.train.export.servable import RANKS, check_settings, unservable
from pipeline.train.methods import METHODS, resolved
from pipeline.train.models.adapter import attach_adapter, load_base, store

PLACE = ModelSettings(threads=1)
ROWS = [[1, 4093, 198, 2683, 260, 9576, 25, 1812, 436, 357, 2] * 4] * 2


@pytest.mark.parametrize("name", [name for name, each in METHODS.items() if each.stored == "peft"])
def test_the_table_says_of_each_method_what_its_adapter_shows(name, tiny_base, tmp_path):
    settings = resolved(TrainSettings(method=name))
    method = METHODS[name]
    model = attach_adapter(load_base(tiny_base, PLACE, method.quantized), method, settings, ROWS)
    store(model, settings, tiny_base.name, tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (unservable(config, max(RANKS)) == []) == bool(method.served_rank)
    if method.served_rank:
        assert config["r"] == settings.rank * method.served_rank
        assert unservable(config, config["r"] - 1) == [
            f"rank {config['r']} is above export.max_lora_rank = {config['r'] - 1}"
        ]


@pytest.mark.parametrize("name", [name for name, each in METHODS.items() if each.stored != "peft"])
def test_other_methods_are_refused_before_training(name):
    vllm = ExportSettings(serve_with="vllm")
    with pytest.raises(SettingsError, match=rf"train\.method = {name} \(expected qlora, lora"):
        check_settings(resolved(TrainSettings(method=name)), vllm)


@pytest.mark.parametrize(
    ("method", "rank", "limit", "message"),
    [
        ("lora", 12, 16, "rank 12 is not among 1, 8, 16"),
        ("lora", 32, 16, r"rank 32 is above export\.max_lora_rank = 16"),
        ("pissa", 16, 16, "rank 32 is above"),  # stored as LoRA of twice the rank
        ("rslora", 64, 64, None),
        ("qlora", 16, 16, None),
    ],
)
def test_ranks_are_those_of_the_server(method, rank, limit, message):
    train = resolved(TrainSettings(method=method, rank=rank))
    export = ExportSettings(serve_with="vllm", max_lora_rank=limit)
    if message is None:
        check_settings(train, export)
    else:
        with pytest.raises(SettingsError, match=message):
            check_settings(train, export)


def test_what_vllm_would_apply_wrongly_is_refused_too():
    plain = {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "bias": "none"}
    assert unservable(plain, 16) == []
    for change, message in (
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern"),
        ({"alpha_pattern": {"q_proj": 4}}, "alpha_pattern"),
        ({"bias": "all"}, "biases"),
    ):
        (reason,) = unservable(plain | change, 16)
        assert message in reason
