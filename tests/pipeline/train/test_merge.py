"""Merging: the exact rule on real adapters, and what is refused."""

import json
import shutil
import subprocess
import sys

import pytest

from pipeline.core.errors import TrainingError
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.export import blocks
from pipeline.train.export.merge import merge, to_float32
from pipeline.train.export.streaming import stream_adapter
from pipeline.train.loop.trainer import train
from pipeline.train.models.adapter import load_adapter, load_base, on_plain_base
from pipeline.train.models.base_model import empty_model, load_model
from pipeline.train.models.device import configure_torch
from pipeline.train.models.quantized import dequantize, linear4bit_layers
from tests.pipeline.train.architectures import add_tokenizer
from tests.pipeline.train.seed_examples import make_examples

SETTINGS = {
    "method": "qlora", "epochs": 1, "max_steps": 2, "batch_size": 4, "micro_batch_size": 4,
    "evaluations": 1, "learning_rate": 1e-2, "rank": 8, "max_tokens": 200,
}  # fmt: skip
PLACE = ModelSettings(threads=1)


@pytest.fixture(scope="module")
def trained(tiny_base, tmp_path_factory):
    """Makes really trained adapters on the tiny base, one a method."""
    made = {}

    def adapter(method):
        if method not in made:
            folder = tmp_path_factory.mktemp(method)
            whole = method in ("full", "selective")
            used = SETTINGS | {"method": method, "rank": None if whole else 8}
            train(
                make_examples(10, 2), tiny_base, TrainSettings(**used),
                PLACE, folder / "work", folder / "adapter",
            )  # fmt: skip
            made[method] = folder / "adapter"
        return made[method]

    return adapter


def tokens():
    import torch

    return torch.tensor([[1, 4093, 198, 2683, 260, 9576, 25, 1812, 436, 357, 2]])


def weights_of(model):
    """The parameters that are no adapter's."""
    named = model.named_parameters()
    return [part for name, part in named if "lora_" not in name and part.dim() == 2]


def logits(model):
    import torch

    with torch.no_grad():
        return model(input_ids=tokens()).logits.float()


def changed(adapter, output, name, change):
    """Copy an adapter with some of its tensors changed."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(adapter, output)
    file = output / "adapter_model.safetensors"
    tensors = {
        key: change(value) if name in key else value for key, value in load_file(file).items()
    }
    save_file({key: value.contiguous() for key, value in tensors.items()}, file)
    return output


def test_merged_weights_are_the_dequantized_base_plus_b_a_rounded_once(
    trained, tiny_base, tmp_path
):
    import torch
    from safetensors.torch import load_file

    adapter = trained("qlora")
    facts = merge(tiny_base, adapter, PLACE, tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    halves = load_file(adapter / "adapter_model.safetensors")
    plain = dequantize(load_base(tiny_base, PLACE, quantized=True)).state_dict()
    config = json.loads((adapter / "adapter_config.json").read_text())
    scale = config["lora_alpha"] / config["r"]
    assert scale != 1, "one that could be forgotten"
    found = 0
    for name, weight in stored.items():
        assert weight.dtype == torch.bfloat16, "as the base is stored"
        expected = plain[name].float()
        key = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{key}.lora_A.weight" in halves:
            found += 1
            half_a, half_b = halves[f"{key}.lora_A.weight"], halves[f"{key}.lora_B.weight"]
            expected = expected + scale * (half_b @ half_a)
        assert torch.equal(weight, expected.bfloat16()), name
    assert found == facts["layers"] == facts["changed"] == 14
    assert facts["delta_norm"] > 0
    halved = merge(tiny_base, adapter, PLACE, tmp_path / "half", "float16")
    assert halved["storage_error"] < 0.01, "float16 keeps the adapter's effect"
    assert 6 < facts["storage_error"] / halved["storage_error"] < 10, "bfloat16 has 3 bits less"


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_the_merged_model_says_what_the_adapter_says(trained, tiny_base, tmp_path, method):
    import torch

    adapter = trained(method)
    merge(tiny_base, adapter, PLACE, tmp_path, "float16")
    with_adapter, _ = load_adapter(tiny_base, adapter, PLACE)
    base = dequantize(load_base(tiny_base, PLACE, quantized=method == "qlora"))
    expected = logits(to_float32(with_adapter))
    effect = (logits(to_float32(base)) - expected).abs().max()
    merged = logits(load_model(tmp_path, dtype=torch.float32))
    assert (merged - expected).abs().max() < 0.01 * effect


def test_merging_into_the_four_bits_instead_loses_much_of_a_small_adapter(
    trained, tiny_base, tmp_path
):
    """What peft's own merge of a 4-bit layer does: the reason for the rule."""
    import torch

    adapter = changed(trained("qlora"), tmp_path / "small", "lora_B", lambda part: part / 20)
    configure_torch(PLACE)
    expected = logits(to_float32(load_adapter(tiny_base, adapter, PLACE)[0]))
    base = dequantize(load_base(tiny_base, PLACE, quantized=True))
    effect = (logits(to_float32(base)) - expected).norm()
    naive = on_plain_base(load_base(tiny_base, PLACE, quantized=True), adapter)
    with pytest.warns(UserWarning, match="[Mm]erg"):
        naive = naive.merge_and_unload()
    assert len(linear4bit_layers(naive)) == 14
    quantized_again = logits(to_float32(dequantize(naive)))
    merge(tiny_base, adapter, PLACE, tmp_path / "merged", "float16")
    merged = logits(load_model(tmp_path / "merged", dtype=torch.float32))
    assert (merged - expected).norm() < 0.05 * effect
    assert (quantized_again - expected).norm() > 0.5 * effect


def test_the_folder_is_a_plain_model_with_tokenizer_and_template(trained, tiny_base, tmp_path):
    adapter = trained("qlora")
    for folder in ("one", "two"):
        merge(tiny_base, adapter, PLACE, tmp_path / folder)
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names == {
        "config.json", "model.safetensors", "generation_config.json", "tokenizer.json",
        "tokenizer_config.json", "chat_template.jinja",
    }  # fmt: skip
    for name in names:
        data = (tmp_path / "one" / name).read_bytes()
        assert data == (tmp_path / "two" / name).read_bytes(), f"{name}: the same bytes again"
        assert str(tiny_base.path).encode() not in data
        if name not in ("config.json", "model.safetensors"):
            assert data == (tiny_base.path / name).read_bytes()
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    assert "quantization_config" not in config


MEASURED = """
import json, sys
from pathlib import Path
from pipeline.settings import ModelSettings
import torch
from pipeline.train.export import blocks, merge, streaming
from pipeline.train.models.base_model import resolve_model
from pipeline.train.peak_memory import peak_memory

where, blocks.SHARD_BYTES = Path(sys.argv[1]), 10**8
base = resolve_model(ModelSettings(base_model=str(where / "llama")), where / "models")
folder = blocks.ModelFolder(base.path, quantized=False)
plain = folder.plain("bfloat16")
merge.save_plain(plain, map(folder.read, folder.blocks), base, where / "written")
said = streaming.stream(where / "written", "bfloat16")(torch.tensor([[1, 2, 3]])).logits
json.dump([peak_memory(), said.tolist()], sys.stdout)
"""


def make_large_base(folder):
    """Write 1.5 GB of bfloat16 weights, a file a block, out of one random pool."""
    import torch
    from safetensors.torch import save_file
    from transformers import LlamaConfig

    size = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 44}
    named = {"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16", "vocab_size": 259}
    config = LlamaConfig(**size, **named, num_attention_heads=8, max_position_embeddings=512)
    config.save_pretrained(folder)
    pool, files, places = torch.randn(1024 * 4096).mul(0.02).bfloat16(), {}, {}
    for name, part in empty_model(folder).named_parameters():
        file = f"model-{name.partition('layers.')[2].partition('.')[0]}.safetensors"
        files.setdefault(file, {})[name] = pool[: part.numel()].view(part.shape).clone()
        places[name] = file
    for file, tensors in files.items():
        save_file(tensors, folder / file)
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return add_tokenizer(folder)


def test_a_model_is_written_and_asked_in_less_memory_than_its_weights_take(tmp_path):
    import torch

    base = make_large_base(tmp_path / "llama")
    weights = sum(file.stat().st_size for file in base.path.glob("*.safetensors"))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path)], stdout=subprocess.PIPE, check=True
    )
    peak, said = json.loads(done.stdout)
    assert weights > 1.4e9 and peak < 0.75 * weights
    with torch.no_grad():
        whole = load_model(tmp_path / "written", dtype=torch.bfloat16)(torch.tensor([[1, 2, 3]]))
    assert torch.allclose(whole.logits, torch.tensor(said).bfloat16(), atol=1e-2)
    files = sorted((tmp_path / "written").glob("*.safetensors"))
    assert len(files) > 14 and max(file.stat().st_size for file in files) < 1.01e8


@pytest.mark.parametrize("method", ["qlora", "full"])
def test_what_is_written_in_many_files_is_the_same_model(
    trained, tiny_base, tmp_path, monkeypatch, method
):
    import torch

    facts = merge(tiny_base, trained(method), PLACE, tmp_path / "one")
    monkeypatch.setattr(blocks, "SHARD_BYTES", 50_000)
    assert merge(tiny_base, trained(method), PLACE, tmp_path / "many") == facts
    one, many = (
        load_model(tmp_path / name, dtype=torch.bfloat16).state_dict() for name in ("one", "many")
    )
    assert one.keys() == many.keys()
    assert all(torch.equal(part, many[name]) for name, part in one.items())
    index = json.loads((tmp_path / "many/model.safetensors.index.json").read_text())
    files = {file.name: file.stat().st_size for file in (tmp_path / "many").glob("*.safetensors")}
    assert set(index["weight_map"].values()) == files.keys() and len(files) > 2
    assert index["metadata"]["total_size"] == sum(part.nbytes for part in one.values()) - (
        one["lm_head.weight"].nbytes  # tied
    )


@pytest.mark.parametrize("method", ["lora", "qlora", "dora", "full", "selective"])
def test_what_is_read_block_by_block_answers_as_what_is_loaded(
    trained, tiny_base, tmp_path, method
):
    import torch

    streamed = stream_adapter(tiny_base, trained(method), tmp_path / "scratch")
    loaded, _ = load_adapter(tiny_base, trained(method), PLACE)
    expected = logits(to_float32(loaded))
    for _ in range(2):  # nothing of a pass is left for the next
        assert torch.allclose(logits(streamed), expected, atol=1e-6)
    assert all(part.stride() == (0,) * part.dim() for part in weights_of(streamed))


def test_an_adapter_that_changes_nothing_is_refused(trained, tiny_base, tmp_path):
    adapter = changed(trained("qlora"), tmp_path / "idle", "lora_B", lambda part: part * 0)
    with pytest.raises(TrainingError, match=r"merge: idle changes none of 14 layers"):
        merge(tiny_base, adapter, PLACE, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_weight_beyond_float16_is_refused(trained, tiny_base, tmp_path):
    adapter = changed(trained("lora"), tmp_path / "broken", "lora_B", lambda part: part * 1e9)
    with pytest.raises(TrainingError, match=r"expected at most 65504"):
        merge(tiny_base, adapter, PLACE, tmp_path / "merged", "float16")


def test_an_adapter_of_another_base_is_refused(trained, tiny_base, tmp_path):
    from dataclasses import replace

    with pytest.raises(TrainingError, match="base model is"):
        merge(replace(tiny_base, digest="0" * 64), trained("lora"), PLACE, tmp_path)
