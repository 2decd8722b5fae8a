"""The shelf of exporters: each writes a trained model in a form that servers load.

The command line reads names and help from here, so what takes time to import waits for its use.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import GateFailed, TrainingError

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from pipeline.train.export.merge import Stored
    from pipeline.train.models.base_model import BaseModel

GGUF = "model.gguf"
TEMPLATE = "chat_template.jinja"
BASE = "base"  # folder beside the adapter with its base, where that is not the original


@dataclass(frozen=True, slots=True)
class Source:
    """The model to export."""

    adapter: Path
    base: "BaseModel"
    prompts: list[list[int]]  # token ids of its own questions, on which both are compared
    settings: "Settings"
    scratch: Path  # a new folder for what is needed only while the export is proven
    system_prompt: str = ""  # of its training rows: a server is to add it by itself


@dataclass(frozen=True, slots=True)
class Written:
    """What an exporter wrote, and how it is loaded back to be compared with the adapter."""

    what: str
    stored: "Stored"
    next: str  # command that serves it; `{folder}` and `{base_folder}` stand for these
    load: Callable[[str, str], Any] | None  # on a device, in a type; None: what was trained itself
    in_stored_type: bool = True  # whether servers compute in the type of the weights; or in float32
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exporter:
    """One form that a model is written in."""

    name: str
    about: str  # what it writes, and for which server: one line for `--help`
    takes: str
    write: Callable[[Source, Path, "Stored"], Written]
    """Fills a new folder, with the weights in a type, or raises TrainingError."""
    types: Callable[["BaseModel"], tuple["Stored", ...]]  # the next one where one is too coarse


def _merged(source: Source, output: Path, stored: "Stored") -> Written:
    from pipeline.train.export.merge import merge
    from pipeline.train.export.streaming import load_or_stream

    done = merge(source.base, source.adapter, source.settings.model, output, stored)
    _keep_system_prompt(source, output)
    # left to itself, vLLM rounds float32 weights to 16 bits
    serve = "vllm serve {folder}" + " --dtype float32" * (stored == "float32")
    return Written(
        "merged weights", stored, serve, partial(load_or_stream, output), facts={"merge": done}
    )


def _keep_system_prompt(source: Source, output: Path) -> None:
    """Let the chat template of what is exported begin with the system prompt, if there is one."""
    from pipeline.train.export.merge import served_template
    from pipeline.train.models.base_model import load_tokenizer

    if not source.system_prompt:
        return
    own = (output / "tokenizer.json").is_file()
    template = None if own else served_template(source.base)
    template = template or load_tokenizer(output if own else source.base.path).chat_template
    said = json.dumps(source.system_prompt, ensure_ascii=False)
    (output / TEMPLATE).write_text(
        "{%- if not messages or messages[0]['role'] != 'system' -%}"
        f"{{%- set messages = [{{'role': 'system', 'content': {said}}}] + messages -%}}"
        f"{{%- endif -%}}{template}",
        "utf-8",
    )


def _adapter(source: Source, output: Path, stored: "Stored") -> Written:
    """The files that vLLM loads, with the base they were trained on where that is quantized."""
    from pipeline.train.export.merge import save_dequantized, served_template
    from pipeline.train.export.servable import unservable
    from pipeline.train.export.streaming import load_or_stream
    from pipeline.train.methods import METHODS
    from pipeline.train.models.adapter import CONFIG, WEIGHTS, on_plain_base, read_run_card

    base, rank, config = source.base, source.settings.export.max_lora_rank, source.adapter / CONFIG
    reasons = ["it is a whole model"]
    if config.is_file():
        reasons = unservable(json.loads(config.read_text("utf-8")), rank)
    if reasons:
        raise TrainingError(
            f"export: vLLM cannot serve adapter {source.adapter.name}: {'; '.join(reasons)}; "
            "expected plain LoRA of one rank; export it with --format merged, or train again with "
            'export.serve_with = "vllm", which says so before training'
        )
    output.mkdir(parents=True, exist_ok=True)
    for file in (WEIGHTS, CONFIG, "run_card.json"):
        shutil.copyfile(source.adapter / file, output / file)
    name, load = base.name if "/" in base.name else "{base_folder}", None
    if METHODS[read_run_card(source.adapter)["method"]].quantized:
        save_dequantized(base, output / BASE)
        name = "{folder}/" + BASE

        def load(device: str, dtype: str) -> Any:
            return on_plain_base(load_or_stream(output / BASE, device, dtype), output)

    elif template := served_template(base):
        (output / TEMPLATE).write_text(template, "utf-8")
    _keep_system_prompt(source, output)
    if (output / TEMPLATE).is_file():
        name += " --chat-template {folder}/" + TEMPLATE
    serve = f"vllm serve {name} --enable-lora --max-lora-rank {rank} --lora-modules "
    return Written("adapter on its dequantized base", stored, serve + "tuned={folder}", load)


def _gguf(source: Source, output: Path, stored: "Stored") -> Written:
    from pipeline.train.export.gguf_file import chatml, modelfile, unpack_gguf, write_gguf
    from pipeline.train.export.merge import merge
    from pipeline.train.export.streaming import load_or_stream
    from pipeline.train.models.base_model import load_tokenizer
    from pipeline.train.peak_memory import free_memory

    tokenizer = load_tokenizer(source.base.path, source.base.thinking)
    pieces = chatml(tokenizer)
    plain = output / "merged"
    done = merge(source.base, source.adapter, source.settings.model, plain, stored)
    write_gguf(plain, output / GGUF, source.base.name)
    context = json.loads((plain / "config.json").read_text("utf-8"))["max_position_embeddings"]
    said = modelfile(pieces, GGUF, context, source.system_prompt)
    (output / "Modelfile").write_text(said, "utf-8")
    shutil.rmtree(plain)
    free_memory()

    def load(device: str, dtype: str) -> Any:
        read_back = unpack_gguf(output / GGUF, source.scratch)
        _check_tokenizer(source.prompts, tokenizer, read_back)
        return load_or_stream(source.scratch, device, dtype)

    serve = "ollama create tuned -f {folder}/Modelfile"
    return Written("GGUF file", stored, serve, load, in_stored_type=False, facts={"merge": done})


def _check_tokenizer(prompts: list[list[int]], ours: Any, other: Any) -> None:
    """Raise GateFailed when another tokenizer cuts the prompts in other tokens."""
    texts = [ours.decode(prompt, clean_up_tokenization_spaces=False) for prompt in prompts]
    cut, expected = (
        [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        for tokenizer in (other, ours)
    )
    changed = sum(a != b for a, b in zip(cut, expected, strict=True))
    if changed or other.chat_template != ours.chat_template:
        raise GateFailed(
            f"export: the tokenizer in the GGUF file cuts {changed} of {len(prompts)} prompts in "
            "other tokens, or has another template; expected the same; nothing was exported: use "
            "--format merged"
        )


def _own_type(base: "BaseModel") -> tuple["Stored", ...]:
    from pipeline.train.export.merge import own_type

    return (own_type(base),)


EXPORTERS = {
    exporter.name: exporter
    for exporter in (
        Exporter(
            "merged", "merged weights for vLLM and transformers",
            "every method that changes weights", _merged,
            lambda base: tuple(dict.fromkeys((*_own_type(base), "float32"))),
        ),
        Exporter(
            "adapter", "the adapter for vLLM, beside its base where that is quantized",
            "plain LoRA of one rank", _adapter, _own_type,
        ),
        Exporter(
            "gguf", "a GGUF file with a Modelfile for Ollama and llama.cpp",
            "every method that changes weights, on a Llama architecture with ChatML",
            _gguf, lambda base: ("float16",),  # llama.cpp reads it everywhere, computes in float32
        ),
    )
}  # fmt: skip
"""Every exporter by its name in ``tuneloop export --format``; the first one is the default."""
