"""`tuneloop export`: what is written says what the adapter says, or is not written."""

import json
import math
import shutil
from dataclasses import replace

import pytest
from click.testing import CliRunner

from flows.cli.main import main
from flows.models.export import Judged, failures
from pipeline.evaluate.measures.parity import Parity
from pipeline.settings import ExportSettings
from pipeline.train.export import streaming
from pipeline.train.models.base_model import load_model
from tests.flows.trained_home import crown, train_into


@pytest.fixture(scope="module")
def home(tiny_base, tmp_path_factory):
    """A home with a QLoRA champion and a LoRA challenger."""
    folder = tmp_path_factory.mktemp("export") / "home"
    crown(folder, train_into(folder, tiny_base))
    crown(folder, train_into(folder, tiny_base, method="lora"), "model/challenger")
    return folder


@pytest.fixture
def export(home, tiny_base):
    """Runs the command with --json; returns exit code, what it printed, and its error line."""

    def call(*arguments, changes=()):
        line = [
            "export", *map(str, arguments), "--json", "--set", f"paths.home={home}",
            "--set", f"model.base_model={tiny_base.path}", "--set", "export.prompts=4",
            "--set", "export.new_tokens=5", "--set", "model.threads=1",
        ]  # fmt: skip
        for change in changes:
            line += ["--set", change]
        done = CliRunner().invoke(main, line)
        return done.exit_code, json.loads(done.stdout) if done.stdout else None, done.stderr

    return call


def test_merged_weights_are_proven_written_and_reused(export, tmp_path):
    code, record, _ = export("champion", "--to", tmp_path / "out")
    assert code == 0
    parity = record["parity"]
    assert parity["equal_prompts"] == parity["prompts"] == 4
    assert 0 < parity["max_logit_difference"] < 0.08
    assert record["parity_as_served"]["dtype"] == record["merge"]["stored"] == "bfloat16"
    assert record["parity_as_served"]["max_kl"] > parity["max_kl"], "rounding on the way, too"
    assert record["merge"]["delta_norm"] > 0
    assert set(record["files"]) >= {"model.safetensors", "config.json", "chat_template.jinja"}
    written = json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))
    assert str(tmp_path) not in json.dumps(written)
    before = (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns
    code, again, _ = export("champion", "--to", tmp_path / "out")
    assert (code, again["reused"]) == (0, True)
    assert (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns == before
    code, _, error = export("challenger", "--to", tmp_path / "out")
    assert code == 2
    assert "holds something else" in error
    assert written == json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))


@pytest.mark.parametrize("form", ["merged", "gguf"])
def test_without_room_for_the_model_the_proof_is_the_same(export, tmp_path, monkeypatch, form):
    _, whole, _ = export("champion", "--format", form, "--to", tmp_path / "whole")
    monkeypatch.setattr(streaming, "ROOM", 0.0)
    code, record, shown = export("champion", "--format", form, "--to", tmp_path / "streamed")
    assert code == 0 and "from the disk block by block" in " ".join(shown.split())
    assert record["files"] == whole["files"]
    assert record["parity"] == pytest.approx(whole["parity"], rel=0.01)
    assert record["parity_as_served"]["max_kl"] == pytest.approx(
        whole["parity_as_served"]["max_kl"], rel=0.01
    )
    assert not list(tmp_path.glob(".*"))


def test_where_bfloat16_is_too_coarse_the_weights_are_float32(export, tmp_path):
    _, coarse, _ = export("champion", "--to", tmp_path / "coarse")
    assert coarse["merge"]["stored"] == "bfloat16"
    assert coarse["next"] == "vllm serve {folder}"
    limit = coarse["parity"]["max_logit_difference"] / 10
    code, record, _ = export(
        "champion", "--to", tmp_path / "out", changes=[f"export.max_logit_difference={limit}"]
    )
    assert code == 0
    assert record["merge"]["stored"] == "float32"
    assert record["merge"]["storage_error"] == 0
    assert record["parity"]["max_logit_difference"] <= limit
    assert record["next"] == "vllm serve {folder} --dtype float32"
    config = json.loads((tmp_path / "out" / "config.json").read_text("utf-8"))
    assert config["dtype"] == "float32"
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("coarse", "out")]
    assert sizes[1] > 1.9 * sizes[0]


@pytest.mark.parametrize(("stored", "passes"), [("bfloat16", True), ("float16", False)])
def test_the_gate_looks_at_activations_in_the_type_that_is_served(stored, passes):
    """Weights that agree, and a model that is no number once it computes in float16."""
    same = Parity(4, 20, 4, 0.0, 0.0, 0.0, 0.0)
    served = replace(same, max_kl=0.01 if passes else math.inf)
    found = failures(Judged(stored, same, served), ExportSettings())
    assert found == (
        [] if passes else ["largest KL divergence computing in float16 inf (at most 0.001)"]
    )


def test_the_limits_of_bfloat16_are_as_much_wider_as_it_is_coarser():
    flipped = Parity(4, 20, 3, 0.3, 1e-3, 0.02, 0.2)
    assert failures(Judged("bfloat16", flipped), ExportSettings()) == []
    assert len(failures(Judged("float16", flipped), ExportSettings())) == 3
    decided = replace(flipped, widest_flip=0.5)
    assert failures(Judged("bfloat16", decided), ExportSettings()) == [
        "prompts with other greedy tokens 1 (at most 0)"
    ]


def test_the_gate_stops_an_export_that_differs_and_leaves_nothing(export, tmp_path):
    code, _, error = export(
        "champion", "--to", tmp_path / "out", changes=["export.max_logit_difference=1e-12"]
    )
    assert code == 1, "a gate said no"
    assert "largest logit difference" in error
    assert "at most 1e-12" in error
    assert list(tmp_path.iterdir()) == []


def test_an_adapter_goes_with_the_base_it_was_trained_on(export, tmp_path):
    """Loaded the plain way, by transformers and peft alone, it says what our adapter says."""
    import torch
    from peft import PeftModel

    from pipeline.train.models.adapter import quiet_peft

    code, record, _ = export("champion", "--format", "adapter", "--to", tmp_path / "out")
    assert code == 0
    assert record["parity"]["equal_prompts"] == 4
    assert "--enable-lora --max-lora-rank 16" in record["next"]
    code, _, _ = export("champion", "--to", tmp_path / "merged")
    assert code == 0
    with quiet_peft():
        model = PeftModel.from_pretrained(
            load_model(tmp_path / "out/base", dtype="float32"), tmp_path / "out"
        )
    ids = torch.tensor([[1, 4093, 198, 2683]])
    with torch.no_grad():
        difference = (
            model(ids).logits - load_model(tmp_path / "merged", dtype="float32")(ids).logits
        )
    assert difference.abs().max() < 0.08, "both rounded to bfloat16"
    code, record, _ = export("challenger", "--format", "adapter", "--to", tmp_path / "lora")
    assert code == 0
    assert not (tmp_path / "lora" / "base").exists(), "trained on the original base"
    assert record["next"].format(folder="F", base_folder="B").startswith("vllm serve B --enable")


def test_what_vllm_cannot_serve_is_refused_at_export_and_at_config_time(export, tmp_path):
    code, _, error = export(
        "champion", "--format", "adapter", "--to", tmp_path / "out",
        changes=["export.max_lora_rank=4"],
    )  # fmt: skip
    assert code == 2
    assert "rank 8 is above export.max_lora_rank = 4" in error
    assert list(tmp_path.iterdir()) == []
    code, _, error = export(
        "champion", "--to", tmp_path / "out", changes=["export.serve_with=vllm", "train.rank=12"]
    )
    assert code == 2
    assert "rank 12 is not among 1, 8, 16" in error


def test_a_model_is_named_by_ref_or_fingerprint(export, home, tmp_path):
    key = json.loads((home / "refs/model/champion").read_text())["fingerprint"]
    code, _, error = export("nobody", "--to", tmp_path / "out")
    assert code == 2
    assert "expected champion, challenger or one of" in error
    assert key in error
    code, record, _ = export(key[:10], "--to", tmp_path / "out")
    assert (code, record["model"]) == (0, f"model/{key}")


def test_a_file_that_was_changed_afterwards_is_no_reuse(export, tmp_path):
    export("champion", "--to", tmp_path / "out")
    (tmp_path / "out" / "config.json").write_text("{}")
    code, _, error = export("champion", "--to", tmp_path / "out")
    assert code == 2
    assert "holds something else" in error
    shutil.rmtree(tmp_path / "out")


def test_gguf_is_read_back_and_goes_with_a_modelfile(export, tmp_path):
    code, record, _ = export("champion", "--format", "gguf", "--to", tmp_path / "out")
    assert code == 0
    assert record["parity"]["equal_prompts"] == 4
    assert sorted(record["files"]) == ["Modelfile", "model.gguf"]
    assert (tmp_path / "out/Modelfile").read_text().startswith("FROM ./model.gguf\n")


@pytest.mark.parametrize("method", ["dora", "ia3", "selective", "full"])
def test_what_vllm_cannot_serve_as_an_adapter_goes_as_merged_weights(
    home, tiny_base, export, tmp_path, method
):
    model = train_into(home, tiny_base, method=method, rank=None)
    code, _, error = export(model.fingerprint, "--format", "adapter", "--to", tmp_path / "out")
    assert code == 2
    assert "vLLM cannot serve" in error
    code, record, error = export(model.fingerprint, "--to", tmp_path / "out")
    assert code == 0, error
    assert record["parity"]["equal_prompts"] == 4
    assert record["merge"]["delta_norm"] > 0


def test_what_cannot_be_merged_is_refused_by_name(home, tiny_base, export, tmp_path):
    model = train_into(home, tiny_base, method="pfeiffer", rank=None)
    for form in ("merged", "gguf"):
        code, _, error = export(model.fingerprint, "--format", form, "--to", tmp_path / "out")
        assert code == 2
        assert "method pfeiffer" in error
    assert list(tmp_path.iterdir()) == []
