"""A plain model as one GGUF file, which llama.cpp and Ollama load, and a Modelfile for the latter.

Written with llama.cpp's own ``gguf`` package, for the Llama architecture alone: matrices in
float16, norms in float32, tokenizer and chat template inside the file. The Modelfile says to a
model, token for token, what its training said: Ollama sends the bare text where it does not know a
chat template (ollama #6823), so it is written out from pieces that are first proven against the
real template.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from accelerate import init_empty_weights
from gguf import TokenType
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers import modeling_gguf_pytorch_utils as reading

from pipeline.core.errors import TrainingError
from pipeline.text.chat import end_of_turn
from pipeline.text.chat_template import Message, render
from pipeline.train.export.blocks import write_blocks
from pipeline.train.models.base_model import load_tokenizer
from pipeline.train.models.device import silence_transformers

ROTARY = ("q_proj.weight", "k_proj.weight")  # rows by rotary pair in llama.cpp, not by half
DIGITS = {"type": "Digits", "individual_digits": True}  # first step of what llama.cpp calls smollm
STORED = {"F16": "float16", "F32": "float32"}  # torch's names of the types that are written
_SAID = ("system", "zero"), ("user", "one\n\ntwo  three"), ("assistant", "four"), ("user", "five")
_TURNS = [Message(role=role, content=content) for role, content in _SAID]
CONVERSATIONS = _TURNS[1:2], _TURNS[:2], _TURNS[1:], _TURNS
"""What the pieces are proven on: with and without a system message, one turn and several."""


def write_gguf(model: Path, output: Path, name: str) -> None:
    """Write a model folder as a GGUF file; refuses with TrainingError what it does not know."""
    config = json.loads((model / "config.json").read_text("utf-8"))
    _check(config, name)
    writer = gguf.GGUFWriter(output, "llama")
    heads, layers = config["num_attention_heads"], config["num_hidden_layers"]
    heads_kv = config.get("num_key_value_heads") or heads
    width = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_block_count(layers)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads_kv)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    _add_tokenizer(writer, model, config)
    for key, array in _arrays(model, config, name):  # first what there will be
        writer.add_tensor_info(key, array.shape, array.dtype, array.nbytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for _, array in _arrays(model, config, name):
        writer.write_tensor_data(array)
    writer.close()


def unpack_gguf(file: Path, output: Path) -> Any:
    """Write the model in a GGUF file as a plain folder, and return the tokenizer in the file.

    By transformers' rules, a tensor at a time, in the types that the file has them in.
    """
    silence_transformers()
    where = {"gguf_file": file.name, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(file.parent, **where)
    automatic: Any = AutoModelForCausalLM
    with init_empty_weights():
        model = automatic.from_config(config, dtype=torch.float16)
    read: Any = reading
    rules = read.TENSOR_PROCESSORS[config.model_type](config.to_dict())
    names = read.get_gguf_hf_weights_map(model, rules)

    def tensors() -> Iterator[dict[str, Any]]:
        for each in gguf.GGUFReader(file).tensors:
            array = rules.process(gguf.dequantize(each.data, each.tensor_type), each.name).weights
            stored = getattr(torch, STORED[each.tensor_type.name])
            yield {names[each.name]: torch.from_numpy(array.copy()).to(stored)}

    write_blocks(model, tensors(), output)
    return AutoTokenizer.from_pretrained(file.parent, **where)


def by_rotary_pair(array: Any, heads: int) -> Any:
    """Order the rows (heads x width) of a matrix so that each rotary pair is side by side."""
    rows, columns = array.shape
    halves = array.reshape(heads, 2, rows // heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)


def pre_tokenizer(tokenizer: dict[str, Any], name: str) -> str:
    """Return llama.cpp's name of a pre-tokenizer, by its steps; TrainingError for another one."""
    found = tokenizer.get("pre_tokenizer") or {}
    steps = found.get("pretokenizers", []) if found.get("type") == "Sequence" else [found]
    *before, last = steps or [{}]
    bytes_last = last.get("type") == "ByteLevel" and last.get("use_regex", True)
    if bytes_last and not last.get("add_prefix_space") and tokenizer.get("normalizer") is None:
        if before == []:
            return "gpt-2"
        if before == [DIGITS]:
            return "smollm"
    raise TrainingError(
        f"export: the pre-tokenizer of {name} ({', '.join(str(step.get('type')) for step in steps)}"
        ") is none that this exporter can name to llama.cpp; expected the byte-level one of GPT-2 "
        "or SmolLM; export with --format merged and convert with llama.cpp"
    )


def _check(config: dict[str, Any], name: str) -> None:
    rope = config.get("rope_parameters") or {}
    wrong = [
        f"{key} = {found!r}"
        for key, found, fits in (
            ("architectures", config.get("architectures"), ["LlamaForCausalLM"]),
            ("rope_type", rope.get("rope_type", "default"), "default"),
            ("attention_bias", config.get("attention_bias", False), False),
            ("mlp_bias", config.get("mlp_bias", False), False),
            ("hidden_act", config.get("hidden_act"), "silu"),
        )
        if found != fits
    ]
    if wrong:
        raise TrainingError(
            f"export: {name} has {', '.join(wrong)}; expected LlamaForCausalLM with plain rotary "
            "embeddings and no biases, which is what is written as GGUF here; export with --format "
            "merged and convert with llama.cpp's convert_hf_to_gguf.py"
        )


def _arrays(model: Path, config: dict[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    """Yield each tensor with its name in GGUF, one at a time, in a fixed order."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    heads = config["num_attention_heads"]
    heads_kv = config.get("num_key_value_heads") or heads
    for file in sorted(model.glob("*.safetensors")):
        with safe_open(file, "np", backend="pread") as tensors:
            for key in sorted(tensors.keys()):
                if (gguf_name := names.get_name(key, try_suffixes=(".weight",))) is None:
                    raise TrainingError(
                        f"export: {name} has a tensor {key}, which GGUF's llama architecture does "
                        "not know; expected a plain Llama model; export it with --format merged"
                    )
                array = tensors.get_tensor(key).astype(np.float32)
                if key.endswith(ROTARY):
                    array = by_rotary_pair(array, heads if "q_proj" in key else heads_kv)
                yield gguf_name, array.astype(np.float16) if array.ndim > 1 else array


def _add_tokenizer(writer: Any, model: Path, config: dict[str, Any]) -> None:
    tokenizer = load_tokenizer(model)
    spec = json.loads((model / "tokenizer.json").read_text("utf-8"))
    if spec["model"].get("type") != "BPE" or spec["model"].get("byte_fallback"):
        raise TrainingError(
            f"export: the tokenizer of {model.name} is {spec['model'].get('type')}; expected a "
            "byte-level BPE; export with --format merged and convert with llama.cpp"
        )
    size = config["vocab_size"]
    tokens = [f"[PAD{number}]" for number in range(size)]
    types = [int(TokenType.UNUSED)] * size  # rows of the embedding beyond the vocabulary
    for token, number in spec["model"]["vocab"].items():
        tokens[number], types[number] = token, int(TokenType.NORMAL)
    for added in spec["added_tokens"]:
        kind = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
        tokens[added["id"]], types[added["id"]] = added["content"], int(kind)
    merges = [
        merge if isinstance(merge, str) else " ".join(merge) for merge in spec["model"]["merges"]
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer(spec, model.name))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    for name in ("bos", "eos", "unk", "pad"):
        number = getattr(tokenizer, f"{name}_token_id")
        if number is not None:
            getattr(writer, f"add_{name}_token_id")(number)
    writer.add_add_bos_token(False)  # the chat template writes it where it belongs
    writer.add_add_space_prefix(False)
    writer.add_chat_template(tokenizer.chat_template)


@dataclass(frozen=True, slots=True)
class ChatML:
    """A template that writes each turn as start, role, line break, content, end, line break."""

    start: str
    end: str
    system: str | None  # system message that the template writes when there is none

    def render(self, messages: Sequence[Message]) -> str:
        """Return the text of a conversation up to where the assistant begins."""
        turns = list(messages)
        if self.system is not None and turns[0]["role"] != "system":
            turns.insert(0, {"role": "system", "content": self.system})
        text = "".join(
            f"{self.start}{turn['role']}\n{turn['content']}{self.end}\n" for turn in turns
        )
        return f"{text}{self.start}assistant\n"


def chatml(tokenizer: Any) -> ChatML:
    """Read the pieces of a ChatML-like template, and prove them; TrainingError for another one."""
    marked = CONVERSATIONS[1]
    start = render(tokenizer, marked).partition("system\nzero")[0]
    end = tokenizer.decode(end_of_turn(tokenizer) or tokenizer.eos_token_id)
    bare = render(tokenizer, marked[1:])
    system = None
    if bare.startswith(opening := f"{start}system\n"):
        system = bare.removeprefix(opening).partition(end)[0]
    pieces = ChatML(start, end, system)
    for messages in CONVERSATIONS:
        expected = render(tokenizer, messages, generation_prompt=True)
        if not start or (found := pieces.render(messages)) != expected:
            raise TrainingError(
                f"export: the chat template is not ChatML ({expected[:60]!r} where ChatML would be "
                f"{found[:60] if start else ''!r}); expected one that a Modelfile can say; export "
                "with --format merged and write the Modelfile by hand"
            )
    return pieces


def modelfile(pieces: ChatML, weights: str, context: int, prompt: str = "") -> str:
    """Return a Modelfile: weights, template, system prompt, where to stop, greedy decoding."""
    system = prompt or pieces.system
    for text in (pieces.start, pieces.end, system or ""):
        if '"""' in text or "{{" in text:
            raise TrainingError(
                f"export: {text[:40]!r} cannot be written into a Modelfile; expected no triple "
                "quotes and no double braces; export with --format merged"
            )
    # In Go's template language; Ollama puts SYSTEM among the messages.
    turn = f"{pieces.start}{{{{ .Role }}}}\n{{{{ .Content }}}}{pieces.end}\n"
    template = f"{{{{- range .Messages }}}}{turn}{{{{ end }}}}{pieces.start}assistant\n"
    lines = [
        f"FROM ./{weights}",
        f'TEMPLATE """{template}"""',
        f'PARAMETER stop "{pieces.end}"',
        f"PARAMETER num_ctx {context}",
        "PARAMETER temperature 0",
        "PARAMETER repeat_penalty 1",
    ]
    if system is not None:
        lines.insert(2, f'SYSTEM """{system}"""')
    return "\n".join(lines) + "\n"
