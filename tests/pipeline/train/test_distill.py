"""Distillation: the student comes nearer to the teacher, and without weight it is not there."""

import shutil

import pytest
import torch

from pipeline.core.errors import TrainingError
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.batch.batches import collate
from pipeline.train.batch.rows import tokenize
from pipeline.train.loop.trainer import train
from pipeline.train.models.adapter import load_adapter
from pipeline.train.models.base_model import load_model, load_tokenizer
from pipeline.train.models.distill import divergence
from tests.pipeline.train.seed_examples import make_examples

THREADS = ModelSettings(threads=1)


@pytest.fixture(scope="module")
def teacher(tiny_base, tmp_path_factory):
    """Folder of another random model with the same tokenizer: sharp, so that there is a goal."""
    folder = tmp_path_factory.mktemp("teacher") / "teacher"
    shutil.copytree(tiny_base.path, folder)
    model = load_model(tiny_base.path)
    torch.manual_seed(7)
    with torch.no_grad():
        for name, part in model.named_parameters():
            if "norm" in name:
                part.mul_(6.0)
    model.save_pretrained(folder)
    return folder


def settings(**changes):
    used = {"method": "lora", "rank": 8, "batch_size": 4, "learning_rate": 1e-2, "evaluations": 1}
    return TrainSettings(**(used | changes))


def distance(model, teacher, tokenizer):
    """Nats a supervised token from the teacher's distribution."""
    rows = tokenize(make_examples(10, 2), tokenizer, 256).train[:]
    ids, labels = collate(rows, "cpu")
    wanted = labels[:, 1:] != -100
    with torch.no_grad():
        ours, theirs = (
            net(input_ids=ids).logits[:, :-1][wanted].float() for net in (model, teacher)
        )
    return divergence(ours, theirs, 1.0).item() / int(wanted.sum())


def run(base, folder, used):
    return train(make_examples(10, 2), base, used, THREADS, folder / "work", folder / "out")


def test_the_student_comes_nearer_to_the_teacher(tiny_base, teacher, tmp_path):
    run(tiny_base, tmp_path, settings(epochs=6, distill_model=teacher, distill_weight=1.0))
    student, tokenizer = load_adapter(tiny_base, tmp_path / "out", THREADS)
    guide = load_model(teacher).eval()
    before = distance(load_model(tiny_base.path).eval(), guide, tokenizer)
    assert distance(student, guide, tokenizer) < 0.9 * before
    assert '"distilled_from"' in (tmp_path / "out" / "run_card.json").read_text()


def test_a_teacher_without_weight_changes_no_bit(tiny_base, teacher, tmp_path):
    used = settings(max_steps=2)
    run(tiny_base, tmp_path / "plain", used)
    without = used.model_copy(update={"distill_model": teacher, "distill_weight": 0.0})
    run(tiny_base, tmp_path / "without", without)
    mixed = used.model_copy(update={"distill_model": teacher, "distill_weight": 0.5})
    run(tiny_base, tmp_path / "mixed", mixed)
    adapters = [
        (tmp_path / name / "out" / "adapter_model.safetensors").read_bytes()
        for name in ("plain", "without", "mixed")
    ]
    assert adapters[0] == adapters[1] != adapters[2]


def test_the_divergence_is_that_of_the_definition():
    torch.manual_seed(0)
    logits, target = torch.randn(3, 5), torch.randn(3, 7)
    p, q = (torch.softmax(part[:, :5] / 2, -1) for part in (target, logits))
    assert divergence(logits, target, 2.0).item() == pytest.approx(
        4 * (p * (p / q).log()).sum().item(), rel=1e-5
    )


def test_a_teacher_with_another_tokenizer_is_an_error(tiny_base, teacher, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(teacher, other)
    tokenizer = load_tokenizer(teacher)
    tokenizer.add_tokens(["<|another|>"])
    tokenizer.save_pretrained(other)
    with pytest.raises(TrainingError, match=r"another tokenizer than the base model's"):
        run(tiny_base, tmp_path, settings(distill_model=other))
