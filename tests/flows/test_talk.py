"""`tuneloop chat`: adapters change on one base, and each answers as if it were alone."""

import io
import json
import shutil

import pytest
from click.testing import CliRunner

from flows.cli.main import main
from flows.models.chat import talk
from pipeline.core.errors import TrainingError
from pipeline.core.store import Store
from pipeline.train.models.adapter_swap import Swap
from tests.flows.trained_home import TRAIN, crown, settings_of, train_into

QUESTION = "Why does the pump stop?"


@pytest.fixture(scope="module")
def project(tiny_base, tmp_path_factory):
    """A home with two LoRA adapters and one QLoRA adapter, each really trained, and all unlike."""
    home = tmp_path_factory.mktemp("talk") / "home"
    rate = {"learning_rate": 5e-2, "max_steps": 3}
    adapters = {
        "a": train_into(home, tiny_base, method="lora", **rate),
        "b": train_into(home, tiny_base, method="lora", seed=99, rank=16, **rate),
        "q": train_into(home, tiny_base, **rate),
    }
    crown(home, adapters["a"])
    settings = settings_of(
        tiny_base, home, train=TRAIN, evaluate={"max_new_tokens": 4}, paths={"home": home}
    )
    folders = {name: Store(home / "store").path(item) for name, item in adapters.items()}
    return settings, folders


def said(project, model, *lines):
    """What is on stdout and stderr after these lines went through a pipe."""
    settings, _ = project
    done = CliRunner().invoke(
        main,
        [
            "chat", "--adapter", str(model), "--json",
            "--set", f"paths.home={settings.paths.home}", "--set", "model.threads=1",
            "--set", f"model.base_model={settings.model.base_model}",
            "--set", "evaluate.max_new_tokens=4",
        ],
        input="\n".join(lines) + "\n",
    )  # fmt: skip
    return done


def answers(done):
    return [turn["assistant"] for turn in json.loads(done.stdout)["turns"]]


def test_swapped_adapters_answer_like_freshly_loaded_ones(project):
    _, folders = project
    fresh = {
        name: answers(said(project, name if name == "base" else folders[name], QUESTION))[0]
        for name in ("a", "b", "base")
    }
    assert len(set(fresh.values())) == 3, "the adapters were trained to differ"
    lines = [
        QUESTION, f"/adapter {folders['b']}", QUESTION, "/base", QUESTION, "/adapter champion",
        QUESTION, f"/adapter {folders['b'].name[:12]}", QUESTION,
    ]  # fmt: skip
    done = said(project, folders["a"], *lines)
    assert done.exit_code == 0, done.stderr
    order = ["a", "b", "base", "a", "b"]
    assert answers(done) == [fresh[name] for name in order]
    turns = json.loads(done.stdout)["turns"]
    assert turns[3]["adapter"] == "champion"
    assert "base answers now; a new conversation" in done.stderr


def test_an_adapter_can_join_a_base_that_was_loaded_alone(project):
    _, folders = project
    fresh = answers(said(project, folders["b"], QUESTION))
    assert answers(said(project, "base", f"/adapter {folders['b']}", QUESTION)) == fresh


def test_the_base_is_loaded_once(project, tiny_base):
    settings, folders = project
    swap = Swap(tiny_base, settings.model, folders["a"])
    weights = swap.model.get_input_embeddings().weight
    for adapter in (folders["b"], None, folders["a"], folders["b"]):
        swap.use(adapter)
        assert swap.model.get_input_embeddings().weight is weights
        assert not any(part.requires_grad for part in swap.model.parameters())
    assert sorted(swap.model.peft_config) == ["adapter-1", "default"], "each adapter once"


def test_what_does_not_fit_is_refused_in_one_line_and_the_one_before_stays(
    project, tiny_base, tmp_path
):
    settings, folders = project
    stranger = tmp_path / "stranger"
    shutil.copytree(folders["b"], stranger)
    card = json.loads((stranger / "run_card.json").read_text())
    swap = Swap(tiny_base, settings.model, folders["a"])
    for change, message in (
        ({"base_model": {"name": "other", "digest": "0" * 64}}, "the base model is"),
        ({"template_digest": "0" * 64}, "the chat template is"),
    ):
        (stranger / "run_card.json").write_text(json.dumps(card | change))
        with pytest.raises(TrainingError, match=message) as refused:
            swap.use(stranger)
        assert "\n" not in str(refused.value)
    with pytest.raises(TrainingError, match="it was trained with NF4"):
        swap.use(folders["q"])
    assert swap.active == folders["a"]


def test_a_pipe_stops_at_a_command_that_fails_and_a_person_goes_on(project, capsys):
    settings, folders = project
    done = said(project, folders["a"], QUESTION, "/adaptor x", QUESTION)
    assert done.exit_code == 2
    assert "'/adaptor x' is no command" in done.stderr
    assert done.stdout == ""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    talk(settings, str(folders["a"]), Terminal(f"/adapter nobody\n{QUESTION}\n/help\n"), True)
    out, err = capsys.readouterr()
    assert len(json.loads(out)["turns"]) == 1
    assert "model 'nobody': not found" in err
    assert "/adapters    list the trained models" in err


def test_the_trained_models_are_listed(project):
    _, folders = project
    done = said(project, "base", "/adapters")
    assert done.exit_code == 0
    for name, folder in folders.items():
        (line,) = [line for line in done.stderr.splitlines() if folder.name in line]
        assert ("champion" in line) == (name == "a")


def test_weights_that_were_cut_are_said_in_one_line(project, tmp_path):
    cut = tmp_path / "cut"
    shutil.copytree(project[1]["a"], cut)
    weights = cut / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-200])
    done = said(project, cut, QUESTION)
    assert done.exit_code == 2
    assert "tuneloop: weights: " in done.stderr and "tuneloop fsck" in done.stderr
    assert "Traceback" not in done.stderr


def test_weights_that_changed_on_the_disk_answer_nobody(project):
    """One flipped byte loads without an error: only the manifest knows."""
    _, folders = project
    weights = folders["q"] / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    done = said(project, folders["q"].name, QUESTION)
    weights.write_bytes(whole)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{weights}: {len(whole)} bytes differ from the manifest" in done.stderr
