"""Parameters are counted exactly from the config alone."""

import json
import struct

import pytest

from pipeline.core.errors import TrainingError
from pipeline.train.plan.catalogue import CATALOGUE
from pipeline.train.plan.shapes import read_folder, read_shape


def stored_parameters(folder):
    """Parameters in the safetensors files of a folder, from their headers."""
    counted = 0
    for file in folder.glob("*.safetensors"):
        with file.open("rb") as stream:
            header = json.loads(stream.read(struct.unpack("<Q", stream.read(8))[0]))
        for name, tensor in header.items():
            size = 1
            for extent in tensor.get("shape", ()):
                size *= extent
            counted += size if name != "__metadata__" else 0
    return counted


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_built_in_description_has_the_published_parameters(name):
    known = CATALOGUE[name]
    assert read_shape(known.config, name).parameters == known.parameters


def test_the_embedded_model_has_as_many_parameters_as_its_config_says(embedded_model):
    shape = read_folder(embedded_model)
    assert shape.parameters == stored_parameters(embedded_model) == 134_515_008
    assert shape.linear_parameters == 106_168_320


def test_the_built_in_135m_is_the_embedded_model(embedded_model):
    described = read_shape(CATALOGUE["135m"].config, "x")
    assert described == read_shape(json.loads((embedded_model / "config.json").read_text()), "x")


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "qwen3"])
def test_each_architecture_is_counted_as_transformers_builds_it(kind):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = {
        "model_type": kind, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 128,
    }  # fmt: skip
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    assert read_shape(config, kind).parameters == sum(p.numel() for p in model.parameters())


def test_an_architecture_that_cannot_be_counted_is_refused():
    with pytest.raises(TrainingError, match="model_type 'mixtral'; expected one of llama"):
        read_shape({"model_type": "mixtral"}, "x")


def test_a_folder_without_a_config_is_named(tmp_path):
    with pytest.raises(TrainingError, match="can be read"):
        read_folder(tmp_path)
