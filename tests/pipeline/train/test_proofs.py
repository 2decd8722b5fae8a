"""Each mistake that a loss curve would hide stops the training before its first step, by name."""

import json
import re
import shutil
from dataclasses import replace

import polars as pl
import pytest
import torch
from datasets import Dataset
from peft.tuners.lora import LoraLayer

from pipeline.core.errors import TrainingError
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.text.chat import IGNORED
from pipeline.train.batch.rows import tokenize
from pipeline.train.loop.trainer import train
from pipeline.train.methods import METHODS
from pipeline.train.models.adapter import attach_adapter, load_base, trainable
from pipeline.train.models.base_model import load_tokenizer
from pipeline.train.proofs.data import prove_mask, prove_no_leak, prove_template, shown_masks
from pipeline.train.proofs.model import prove_adapter, prove_model, prove_together
from tests.pipeline.train.seed_examples import make_examples

SETTINGS = TrainSettings(method="lora", rank=4, max_steps=1, evaluations=1, learning_rate=1e-3)


@pytest.fixture(scope="module")
def tokenizer(tiny_base):
    return load_tokenizer(tiny_base.path)


@pytest.fixture(scope="module")
def rows(tokenizer):
    return tokenize(make_examples(8, 2), tokenizer, 512)


@pytest.fixture
def model(tiny_base):
    torch.manual_seed(0)
    return attach_adapter(
        load_base(tiny_base, ModelSettings(threads=1), False), METHODS["lora"], SETTINGS
    )


def start(base, tmp_path, settings=SETTINGS, examples=None):
    examples = make_examples(8, 2) if examples is None else examples
    return train(
        examples, base, settings, ModelSettings(threads=1), tmp_path / "work", tmp_path / "out"
    )


def test_a_training_tells_what_was_proven_and_shows_the_mask(tiny_base, tmp_path):
    result = start(tiny_base, tmp_path, TrainSettings(method="qlora", rank=4, max_steps=1))
    told = result.to_dict()
    assert [proof["name"] for proof in told["proofs"]] == [
        "template", "loss mask", "stop token", "rows without supervised tokens", "target layers",
        "4-bit gradients", "padded logits", "gradients", "adapter",
    ]  # fmt: skip
    by_id = {row["pair_id"]: row["messages"] for row in make_examples(8, 2).to_dicts()}
    assert len(told["masks"]) == 3
    for mask in told["masks"]:
        question, answer = (turn["content"] for turn in by_id[mask["pair_id"]])
        spelt = "".join(text for text, _ in mask["tokens"])
        trained = "".join(text for text, trained in mask["tokens"] if trained)
        assert question in spelt
        assert trained == f"{answer}<|im_end|>"


def with_labels(rows, change):
    """The rows with the labels of the last train row changed."""
    train_rows = rows.train.to_list()
    train_rows[-1]["labels"] = change(train_rows[-1])
    return replace(rows, train=Dataset.from_list(train_rows))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda row: [IGNORED] * len(row["labels"]),
            "no tokens supervised in example 5",
        ),
        (lambda row: row["input_ids"], "loss mask: all tokens supervised in example 5"),
        (
            lambda row: [*row["labels"][:-2], IGNORED, IGNORED],
            "end of turn not trained in example 5",
        ),
    ],
)
def test_a_wrong_mask_is_caught_by_name(rows, tokenizer, change, message):
    assert {proof.name for proof in prove_mask(rows, tokenizer)} >= {"loss mask", "stop token"}
    with pytest.raises(TrainingError, match=message):
        prove_mask(with_labels(rows, change), tokenizer)


def with_template(base, tmp_path, template):
    folder = tmp_path / "base"
    shutil.copytree(base.path, folder)
    (folder / "chat_template.jinja").write_text(template)
    return replace(base, path=folder)


TURNS = "{% for turn in messages %}<|im_start|>{{ turn['role'] }}\n{{ turn['content'] }}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{% if not add_generation_prompt %}{{ messages[-1]['content'] }}<|im_end|>{% endif %}",
            "loss mask: all tokens supervised",
        ),
        (
            "{% for turn in messages if turn['role'] == 'user' %}{{ turn['content'] }}{% endfor %}",
            "no row can be trained on (no_tokens_supervised)",
        ),
        (
            TURNS
            + "\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
            "loss mask: end of turn not trained",
        ),
        (
            TURNS + "<|endoftext|>{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
            "end of turn not trained in example 0 (the response ends with '<|endoftext|>', and the "
            "model stops at '<|im_end|>'",
        ),
    ],
)
def test_a_wrong_template_stops_the_training_by_name(tiny_base, tmp_path, template, message):
    with pytest.raises(TrainingError, match=re.escape(message)):
        start(with_template(tiny_base, tmp_path, template), tmp_path)
    assert not (tmp_path / "out").exists()


def test_rows_rendered_with_another_template_are_refused(rows, tiny_base, tokenizer, tmp_path):
    assert prove_template(rows, tiny_base).name == "template"
    other = with_template(tiny_base, tmp_path, tokenizer.chat_template.replace("helpful", "rude"))
    with pytest.raises(TrainingError, match="wrong template: the rows were rendered with"):
        prove_template(rows, other)


def let_rows_see_each_other(model):
    """Pass a mask of ones, as collators do: transformers then joins packed rows, without a word."""

    def with_mask(_, args, kwargs):
        return args, kwargs | {"attention_mask": torch.ones_like(kwargs["input_ids"])}

    model.get_base_model().register_forward_pre_hook(with_mask, with_kwargs=True)


@pytest.mark.parametrize("packing", [True, False])
def test_rows_together_have_the_logits_they_have_alone(model, rows, packing):
    few = [{key: row[key][:40] for key in ("input_ids", "labels")} for row in rows.train]
    assert prove_together(model, few[:3], packing).value < 0.02
    let_rows_see_each_other(model)
    if packing:
        with pytest.raises(TrainingError, match="packed logits: rows behind another change"):
            prove_together(model, few[:3], packing)
    else:  # padding on the right is never seen, whatever the mask
        assert prove_together(model, few[:3], packing).value < 0.02


def probe(rows):
    return torch.tensor([rows.train[0]["input_ids"][:48]])


def test_an_adapter_that_changes_nothing_is_caught_by_name(model, rows):
    gradients, adapter = prove_adapter(model, probe(rows), 1e-3)
    assert (gradients.value, gradients.threshold) == (28, 28)
    assert adapter.value > 0
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.scaling = {"default": 0.0}
    with pytest.raises(TrainingError, match="adapter: the adapter changes nothing"):
        prove_adapter(model, probe(rows), 1e-3)


def test_a_tensor_that_no_gradient_reaches_is_named(model, rows):
    model.get_base_model().register_parameter("stray", torch.nn.Parameter(torch.zeros(2)))
    with pytest.raises(TrainingError, match=r"none arrives at 1 of 29 .* such as .*stray"):
        prove_adapter(model, probe(rows), 1e-3)


def test_the_proofs_leave_weights_mode_and_random_state(model, rows):
    before = {name: part.detach().clone() for name, part in trainable(model).items()}
    state = torch.get_rng_state()
    prove_model(model, rows.train, packing=True, rate=1e-3)
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(part, before[name]) for name, part in trainable(model).items())
    assert all(part.grad is None for part in model.parameters())


def test_a_planted_test_row_among_the_train_rows_stops_the_training(tiny_base, tmp_path):
    examples = make_examples(8, 2)
    planted = examples.head(1).with_columns(
        pair_id=pl.lit("f" * 16), cluster_id=pl.lit("f" * 16), split=pl.lit("test")
    )
    with pytest.raises(TrainingError, match=r"leak: 1 rows of train .* \(question\)"):
        start(tiny_base, tmp_path, examples=pl.concat([examples, planted]))
    messages = [
        {"role": "user", "content": "Whose boat lies at the northern pier tonight?"},
        {"role": "assistant", "content": "Anna's."},
    ]
    clean = planted.with_columns(messages=pl.Series([messages], dtype=examples.schema["messages"]))
    (proof,) = prove_no_leak(pl.concat([examples, clean]))
    assert (proof.name, proof.value) == ("leak", 0)
    assert prove_no_leak(examples) == [], "nothing to look at"


def test_the_text_of_a_mask_keeps_the_bytes_of_a_character_together(tokenizer):
    examples = make_examples(2, 1)
    messages = [
        {"role": "user", "content": "Wie heißt das?"},
        {"role": "assistant", "content": "Größe 🙂 über alles"},
    ]
    rows = examples.to_dicts()
    rows[0]["messages"] = messages
    rows[0]["split"] = "train"
    changed = pl.DataFrame(rows[:1], schema=examples.schema)
    (mask,) = shown_masks(tokenize(changed, tokenizer, 512), tokenizer)
    text = "".join(text for text, trained in mask.tokens if trained)
    assert text == "Größe 🙂 über alles<|im_end|>"


def test_replayed_rows_are_counted_apart_on_the_run_card(tiny_base, tmp_path):
    examples = make_examples(8, 2).with_columns(
        origin=pl.when(pl.int_range(8) < 2).then(pl.lit("replay")).otherwise(pl.col("origin"))
    )
    start(tiny_base, tmp_path, examples=examples)
    card = json.loads((tmp_path / "out" / "run_card.json").read_text())
    assert card["rows"] == {"train": 6, "validation": 2, "dropped": 0, "replay": 2}
