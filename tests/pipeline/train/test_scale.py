"""A scaled adapter is that factor of the trained change, in memory and on disk."""

import json

import pytest

from pipeline.core.errors import TrainingError
from pipeline.settings import EvaluateSettings, ModelSettings, TrainSettings
from pipeline.train.export.scale import check_scalable, scale_adapter, scaled
from pipeline.train.loop.trainer import train
from pipeline.train.models.adapter import load_adapter
from pipeline.train.models.base_model import load_tokenizer
from tests.pipeline.train.seed_examples import make_examples

pytestmark = pytest.mark.model
SMALL = {
    "max_steps": 2, "batch_size": 4, "micro_batch_size": 4, "evaluations": 1,
    "learning_rate": 2e-2, "max_tokens": 200,
}  # fmt: skip


def trained(tiny_base, tmp, method):
    settings = TrainSettings(method=method, **SMALL)
    rows = make_examples(8, 0)  # no validation: the last step is kept, better or not
    train(rows, tiny_base, settings, ModelSettings(), tmp / "work", tmp / method)
    return tmp / method


@pytest.fixture(scope="module")
def adapters(tiny_base, tmp_path_factory):
    tmp = tmp_path_factory.mktemp("scale")
    return {method: trained(tiny_base, tmp, method) for method in ("lora", "qlora", "pissa")}


def logits(model, tokenizer):
    import torch

    ids = torch.tensor([tokenizer("How many valves can one controller handle?")["input_ids"]])
    with torch.no_grad():
        return model(input_ids=ids).logits.float()


@pytest.mark.parametrize("method", ["lora", "qlora", "pissa"])
def test_the_copy_on_disk_computes_what_the_scaled_model_in_memory_does(
    adapters, method, tiny_base, tmp_path
):
    import torch

    model, tokenizer = load_adapter(tiny_base, adapters[method], ModelSettings())
    whole = logits(model, tokenizer)
    with scaled(model, 0.5):
        half = logits(model, tokenizer)
    assert torch.equal(logits(model, tokenizer), whole)  # as before
    scale_adapter(adapters[method], 0.5, tmp_path / "half")
    copy, _ = load_adapter(tiny_base, tmp_path / "half", ModelSettings())
    assert torch.equal(logits(copy, tokenizer), half)
    assert not torch.equal(half, whole)


def test_the_change_of_a_weight_is_the_factor_of_the_trained_one(adapters, tmp_path):
    from safetensors.torch import load_file

    scale_adapter(adapters["lora"], 0.75, tmp_path / "a")
    scale_adapter(tmp_path / "a", 0.5, tmp_path / "b")
    before = load_file(adapters["lora"] / "adapter_model.safetensors")
    after = load_file(tmp_path / "b/adapter_model.safetensors")
    assert before.keys() == after.keys()
    name = next(name for name in before if "lora_A" in name)
    other = name.replace("lora_A", "lora_B")
    change = (after[other] @ after[name]) / (before[other] @ before[name])
    assert change.nanmedian().item() == pytest.approx(0.375, rel=1e-4)
    assert json.loads((tmp_path / "b/run_card.json").read_text())["scale"] == 0.375


def test_scaled_to_nothing_the_model_is_the_base(adapters, tiny_base):
    import torch

    model, tokenizer = load_adapter(tiny_base, adapters["lora"], ModelSettings())
    base, _ = load_adapter(tiny_base, None, ModelSettings())
    with scaled(model, 0.0):
        assert torch.equal(logits(model, tokenizer), logits(base, tokenizer))
    with pytest.raises(TrainingError, match="no LoRA matrices"), scaled(base, 0.5):
        pass


@pytest.mark.parametrize(
    ("method", "words"),
    [("dora", "its row lengths are trained"), ("ia3", "it is not LoRA")],
)
def test_a_method_whose_change_is_not_linear_says_so(method, words, tiny_base, tmp_path):
    with pytest.raises(TrainingError, match=f"method {method} cannot be scaled .{words}"):
        check_scalable(trained(tiny_base, tmp_path, method))


def test_scales_are_measured_on_validation_rows_and_general_texts_alone(adapters, tiny_base):
    from pipeline.evaluate.answers.answers import response_losses
    from pipeline.evaluate.retention.frontier import measure_scales
    from pipeline.evaluate.retention.general import general_loss

    rows = make_examples(10, 2)
    validation = rows.filter(split="validation")
    texts = ["The sea is deep and the ships are small.", "A heart has four chambers."]
    model, tokenizer = load_adapter(tiny_base, adapters["lora"], ModelSettings())
    settings = EvaluateSettings()
    points = measure_scales((0.5, 1.0), model, tokenizer, validation, texts, 10.0, settings)
    assert [point.scale for point in points] == [0.5, 1.0]
    whole = general_loss(texts, model, load_tokenizer(tiny_base.path))
    expected = sum(loss * n for loss, n in whole) / sum(n for _, n in whole)
    assert points[1].general_loss == pytest.approx(expected)
    assert points[1].rise == pytest.approx(expected - 10.0)
    losses = response_losses(validation, model, tokenizer, settings)
    (low, _), (high, _) = min(losses.values()), max(losses.values())
    assert low <= points[1].validation_loss <= high
    assert points[0] != points[1]
