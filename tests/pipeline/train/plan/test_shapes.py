"""Parameters are counted exactly from the config alone."""

import json
import struct

import pytest

from pipeline.core.errors import TrainingError
from pipeline.settings import TrainSettings
from pipeline.train.methods import METHODS, resolved
from pipeline.train.models.adapter import trainable
from pipeline.train.models.base_model import empty_model
from pipeline.train.plan.catalogue import CATALOGUE, built_in
from pipeline.train.plan.shapes import read_folder, read_shape, trainable_parameters
from tests.pipeline.train.architectures import ARCHITECTURES
from tests.pipeline.train.test_families import FAMILIES

CONFIGS = ARCHITECTURES | {kind: config for kind, (_, config) in FAMILIES.items() if config}


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
    assert built_in(name).parameters == known.parameters
    assert built_in(name) == read_shape(known.config, known.source)


def test_the_embedded_model_has_as_many_parameters_as_its_config_says(embedded_model):
    shape = read_folder(embedded_model)
    assert shape.parameters == stored_parameters(embedded_model) == 134_515_008
    assert shape.linear_parameters == 106_168_320


def test_the_built_in_135m_is_the_embedded_model(embedded_model):
    described = read_shape(CATALOGUE["135m"].config, "x")
    assert described == read_shape(json.loads((embedded_model / "config.json").read_text()), "x")


@pytest.mark.parametrize("method", ["lora", "full", "selective", "ia3"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_each_decoder_is_counted_as_it_is_built_and_trained(kind, method):
    config = {"model_type": kind, "pad_token_id": None} | CONFIGS[kind]
    shape, settings = read_shape(config, kind), resolved(TrainSettings(method=method))
    model = empty_model(config)
    assert shape.parameters == sum(part.numel() for part in model.parameters())
    model = METHODS[method].build(model, settings, ())
    assert trainable_parameters(shape, settings) == sum(
        part.numel() for part in trainable(model).values()
    )


def test_what_is_no_language_model_is_refused():
    with pytest.raises(TrainingError, match=r"wav2vec2.*writes no text"):
        read_shape({"model_type": "wav2vec2"}, "x")
    with pytest.raises(TrainingError, match="llama99"):
        read_shape({"model_type": "llama99"}, "x")


def test_a_folder_without_a_config_is_named(tmp_path):
    with pytest.raises(TrainingError, match="can be read"):
        read_folder(tmp_path)
