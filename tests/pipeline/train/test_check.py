"""A base model that cannot be trained is told before anything is paid for it; Qwen3 can be."""

import json
import shutil

import pytest

from flows.models.loaded_model import base_model
from pipeline.core.cache import short_id
from pipeline.core.errors import TrainingError
from pipeline.core.outcome import table
from pipeline.settings import EvaluateSettings, ModelSettings, Settings, TrainSettings
from pipeline.text.chat import answer_text, encode
from pipeline.text.chat_template import prompt_ids, render, stop_ids
from pipeline.train.export.exporters import TEMPLATE, Source, _keep_system_prompt
from pipeline.train.models.base_model import load_model, load_tokenizer, resolve_model
from pipeline.train.models.check import check_base
from schemas.pairs import Examples
from tests.pipeline.families import TEMPLATES, write_qwen3, write_tokenizer


@pytest.fixture(scope="module")
def qwen3(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "qwen3"
    write_qwen3(folder)
    return folder


@pytest.fixture
def changed(qwen3, tmp_path):
    """The folder of the base model with some of its files changed."""

    def change(**files):
        folder = tmp_path / "base"
        shutil.copytree(qwen3, folder)
        for name, content in files.items():
            file = folder / {"template": "chat_template.jinja"}.get(name, f"{name}.json")
            if isinstance(content, dict):
                content = json.dumps(json.loads(file.read_text()) | content)
            file.write_text(content)
        return folder

    return change


def look_at(folder, tmp_path, **settings):
    home = tmp_path / "home"
    model = {"base_model": str(folder), "threads": 1} | settings
    return base_model(Settings.model_validate({"paths": {"home": home}, "model": model}))


def test_a_base_that_was_found_right_is_not_looked_at_again(qwen3, tmp_path, monkeypatch):
    base = look_at(qwen3, tmp_path)
    monkeypatch.setattr("pipeline.train.models.check.load_tokenizer", None)
    check_base(base, tmp_path / "home/models")
    with pytest.raises(TypeError):
        check_base(base, tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"template": "{{ messages[0]['content'] }}"}, "loss mask: no tokens supervised"),
        ({"generation_config": {"eos_token_id": 3}}, "loss mask: end of turn not trained"),
        ({"template": "{% for m in messages %}"}, r"loss mask: not rendered .*Unexpected end"),
    ],
)
def test_what_cannot_be_trained_is_told_by_name(changed, files, message, tmp_path):
    folder = changed(**files)
    if "generation_config" in files:
        (folder / "chat_template.jinja").write_text(
            TEMPLATES["qwen3"].replace("<|im_end|>", "<|im_start|>")
        )
    for _ in range(2):  # nothing is noted of one that was refused
        with pytest.raises(TrainingError, match=message):
            look_at(folder, tmp_path)


def test_a_base_without_a_template_gets_chatml_which_is_said_once_and_exported(
    changed, tmp_path, capsys
):
    from pipeline.train.export.merge import write_serving

    folder = changed(template="")
    base = look_at(folder, tmp_path)
    said = capsys.readouterr().err
    assert "has no chat template: it is trained, asked and exported with ChatML" in said
    look_at(folder, tmp_path)
    assert not capsys.readouterr().err
    tokenizer = load_tokenizer(base.path)
    messages = [{"role": "user", "content": "How often?"}]
    chatml = "<|im_start|>user\nHow often?<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(prompt_ids(tokenizer, messages)) == chatml
    (folder / "chat_template.jinja").unlink()
    served = tmp_path / "served"
    shutil.copytree(folder, served)
    write_serving(base, served)
    assert (served / "chat_template.jinja").read_text() == tokenizer.chat_template
    assert not load_tokenizer(served).attached


@pytest.mark.parametrize(
    ("special", "style", "text"),
    [
        (["<s>", "</s>"], "legacy", "<|im_start|>user\none</s>\n<|im_start|>assistant\ntwo</s>\n"),
        (["<s>", None], "bytes", ""),
    ],
)
def test_chatml_of_a_base_ends_its_turns_as_the_base_ends_a_text(tmp_path, special, style, text):
    named = {"eos_token": special[1]}
    write_tokenizer(tmp_path, "", style, [word or "</s>" for word in special], named=named)
    if not text:
        with pytest.raises(TrainingError, match="no chat template and no end token found"):
            load_tokenizer(tmp_path)
        return
    turns = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    assert render(load_tokenizer(tmp_path), turns) == text


def test_a_switch_for_thoughts_that_the_template_has_not_is_refused(changed, tmp_path):
    folder = changed(template=TEMPLATES["qwen3_instruct_2507"])
    look_at(folder, tmp_path)
    with pytest.raises(TrainingError, match=r"model\.thinking: on, and the chat template of base"):
        look_at(folder, tmp_path, thinking=True)


def test_another_setting_of_thoughts_is_another_base_with_other_results(qwen3, tmp_path):
    folder = qwen3
    one, other = (look_at(folder, tmp_path, thinking=thinking) for thinking in (False, True))
    assert (one.thinking, other.thinking) == (False, True)
    assert one.digest != other.digest
    assert load_tokenizer(other.path, other.thinking).thinking


def test_chat_stops_where_evaluation_stops(qwen3, tmp_path):
    from pipeline.evaluate.answers.answers import reply
    from pipeline.evaluate.scoring import evaluating, greedy, prefill

    model, tokenizer = load_model(qwen3), load_tokenizer(qwen3)
    messages = [{"role": "user", "content": "How often?"}]
    with evaluating(model):
        (said,), _ = greedy(model, prefill(model, [prompt_ids(tokenizer, messages)]), {-1}, 6)
    assert tokenizer.eos_token_id not in said
    assert reply(model, tokenizer, messages, 6) == answer_text(tokenizer, said)
    tokenizer.stop_ids.add(said[2])
    assert reply(model, tokenizer, messages, 6) == answer_text(tokenizer, said[:3])


def learnt_by_heart(*texts):
    """Rows that are train and validation rows at once, so that the last step is the best."""
    rows = [
        {
            "pair_id": short_id(split, text), "doc_id": "", "cluster_id": short_id(text),
            "split": split, "origin": "gold", "status": "gold",
            "messages": [
                {"role": "user", "content": text[:9]}, {"role": "assistant", "content": text},
            ],
        }
        for text in texts
        for split in ("train", "validation")
    ]  # fmt: skip
    return table(Examples, rows)


def test_qwen3_is_trained_evaluated_exported_and_stops_as_it_was_trained(qwen3, tmp_path):
    from transformers import AutoTokenizer

    from pipeline.evaluate.answers.answers import reply
    from pipeline.train.export.merge import merge
    from pipeline.train.loop.trainer import train
    from pipeline.train.models.adapter import load_adapter
    from tests.pipeline.evaluate.answering import answer

    models = ModelSettings(base_model=str(qwen3), threads=1, device="cpu")
    base, out = resolve_model(models, tmp_path / "models"), tmp_path / "out"
    examples = learnt_by_heart("The filter is rinsed once a week.", "Valve 4 is in zone 2.")
    settings = TrainSettings(method="full", epochs=300, learning_rate=1e-2, evaluations=1)
    result = train(examples, base, settings, models, tmp_path / "work", out)
    assert result.train_loss[-1][1] < 0.1 < result.train_loss[0][1]
    text, is_trained = zip(*result.masks[0].tokens, strict=True)
    first = is_trained.index(True)
    assert "".join(text[:first]).endswith("assistant\n<think>\n\n</think>\n\n")
    assert "".join(text[first:]).endswith("<|im_end|>\n") and not is_trained[-1]
    model, tokenizer = load_adapter(base, out, models)
    row = examples.filter(split="train").sort("pair_id").row(0, named=True)
    wanted = row["messages"][-1]["content"]
    assert reply(model, tokenizer, row["messages"][:-1], 200) == wanted
    asked = examples.filter(pair_id=row["pair_id"])
    found = answer("challenger", asked, model, tokenizer, EvaluateSettings(max_new_tokens=200))
    assert (found["answer"][0], found["stopped"][0]) == (wanted, 1.0)
    labels = [label for label in encode(tokenizer, row["messages"], 300).labels if label >= 0]
    assert answer_text(tokenizer, labels) == wanted and labels[-1] in stop_ids(tokenizer)
    merge(base, out, models, tmp_path / "merged")
    stored = json.loads((tmp_path / "merged/generation_config.json").read_text())["eos_token_id"]
    assert set(stored) == stop_ids(tokenizer)
    served = AutoTokenizer.from_pretrained(tmp_path / "merged")
    asked = {"conversation": row["messages"][:-1], "add_generation_prompt": True}
    prompt = served.apply_chat_template(**asked)["input_ids"]
    assert prompt == prompt_ids(tokenizer, row["messages"][:-1]), "a server is told nothing"
    thinking = served.apply_chat_template(**asked, enable_thinking=True)["input_ids"]
    assert thinking == prompt[: len(thinking)] != prompt
    _keep_system_prompt(Source(out, base, [], Settings(), tmp_path, "Be brief."), tmp_path)
    asked["chat_template"] = (tmp_path / TEMPLATE).read_text("utf-8")  # beside an adapter
    told = [{"role": "system", "content": "Be brief."}, *row["messages"][:-1]]
    assert served.apply_chat_template(**asked)["input_ids"] == prompt_ids(tokenizer, told)
