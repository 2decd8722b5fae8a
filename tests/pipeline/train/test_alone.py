"""A training in a process of its own: the same adapter, its own peak, its errors."""

from pathlib import Path

import pytest

from pipeline.core.errors import TrainingError
from pipeline.core.progress import listening
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.launch import launch
from pipeline.train.loop.trainer import train
from pipeline.train.models.base_model import BaseModel
from tests.pipeline.train.seed_examples import make_examples

SETTINGS = TrainSettings(
    method="lora", max_steps=2, batch_size=4, micro_batch_size=4, evaluations=1, rank=8,
    max_tokens=200,
)  # fmt: skip


def test_it_writes_the_bytes_of_a_training_in_this_process(
    tiny_base: BaseModel, tmp_path: Path
) -> None:
    examples, model = make_examples(8, 2), ModelSettings()
    heard: list[tuple[int, int, str]] = []
    ballast = bytearray(1_500_000_000)  # what this process holds is not counted
    ballast[::4096] = b"x" * len(ballast[::4096])
    with listening(lambda *said: heard.append(said)):
        facts = launch(
            examples, tiny_base, SETTINGS, model, tmp_path / "work", tmp_path / "alone", alone=True
        )
    del ballast
    train(examples, tiny_base, SETTINGS, model, tmp_path / "other", tmp_path / "here")
    for file in ("adapter_model.safetensors", "run_card.json"):
        assert (tmp_path / "alone" / file).read_bytes() == (tmp_path / "here" / file).read_bytes()
    assert (2, 2, "steps") in heard
    assert 100e6 < facts["peak_memory_bytes"] < 1.5e9
    assert facts["seconds"] > 0 and facts["steps"] == 2
    assert facts["fused_layers"] == 2 * (7 + 2 + 1) + 1  # a block: linear ones, norms, the gate


def test_what_the_training_refuses_is_refused_here_in_its_words(
    tiny_base: BaseModel, tmp_path: Path
) -> None:
    examples = make_examples(4, 1)
    with pytest.raises(TrainingError, match="no row can be trained on"):
        launch(
            examples.filter(split="validation"), tiny_base, SETTINGS, ModelSettings(),
            tmp_path / "work", tmp_path / "out", alone=True,
        )  # fmt: skip
