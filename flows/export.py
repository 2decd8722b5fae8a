"""Export a model for a server: merged weights, an adapter for vLLM, or GGUF for Ollama.

Each form is loaded back and compared with the adapter on the model's own questions; a form that
does not say the same is not left behind.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flows.console import StageProgress, console
from flows.inspect import Home
from flows.models import base_model, free_memory
from pipeline.cache import digest, write_atomically
from pipeline.dataset.template import prompt_ids, stop_ids
from pipeline.errors import GateFailed, InputError
from pipeline.progress import listening
from pipeline.settings import ExportSettings, Settings
from pipeline.store import Dataset
from pipeline.train.base_model import BaseModel, compute_dtype, load_model, load_tokenizer
from schemas.pairs import Examples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.evaluate.parity import Parity, Predictions

Form = Literal["merged", "adapter", "gguf"]
RECORD = "export.json"
GGUF = "model.gguf"
SPLIT_ORDER = {"test": 0, "validation": 1, "train": 2}
"""Test rows first: the model has not seen them."""


@dataclass(frozen=True, slots=True)
class Source:
    """The model to export, with what its forms are compared on."""

    dataset: Dataset
    adapter: Path
    base: BaseModel
    prompts: list[list[int]]
    settings: Settings


def export(settings: Settings, model: str, form: Form, folder: Path) -> dict[str, Any]:
    """Write a model in a form that servers load, proven to say what the adapter says.

    Args:
        settings: all settings.
        model: ``champion``, ``challenger`` or a fingerprint.
        form: ``merged``, ``adapter`` or ``gguf``.
        folder: a new or empty folder, or one with the same export.

    Returns:
        What export.json says, with ``folder``, ``base_folder`` and ``reused``; in ``next``, the
        command that serves it, ``{folder}`` and ``{base_folder}`` stand for these.

    Raises:
        InputError: there is no such model, or the folder holds something else.
        TrainingError: the model cannot take this form.
        GateFailed: the form does not say what the adapter says; the folder is not made.
    """
    home = Home.at(settings.paths.home)
    dataset = home.model(model)
    base = base_model(settings)
    recipe = digest([dataset.content, base.digest, form, settings.export.model_dump(mode="json")])
    done = _present(folder, recipe)
    if done is not None:
        return done | _places(folder, base) | {"reused": True}
    prompts = parity_prompts(home, dataset, base, settings.export.prompts)
    source = Source(dataset, home.store.path(dataset), base, prompts, settings)
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with _stage("export"):
            facts = FORMS[form](source, temporary)
        record = {"model": str(dataset), "form": form, "base": base.name, "recipe": recipe} | facts
        record["files"] = _digests(temporary)
        write_atomically(temporary / RECORD, (json.dumps(record, indent=1) + "\n").encode())
        if folder.exists():
            folder.rmdir()  # empty, or _present had refused it
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return record | _places(folder, base) | {"reused": False}


def parity_prompts(home: Home, model: Dataset, base: BaseModel, count: int) -> list[list[int]]:
    """Return the prompts of the model's own examples as tokens: test rows first, then the rest."""
    manifest = home.store.manifest(model.name, model.fingerprint)
    examples = home.dataset(manifest.inputs["from"])
    rows = home.store.read(examples, Examples).to_dicts()
    rows.sort(key=lambda row: (SPLIT_ORDER[row["split"]], row["pair_id"]))
    tokenizer = load_tokenizer(base.path, base.thinking)
    return [prompt_ids(tokenizer, row["messages"][:-1]) for row in rows[:count]]


def _merged(source: Source, output: Path) -> dict[str, Any]:
    """Merged weights; the gate compares them with the adapter, both computing in float32.

    They are stored in float16, or in float32 where rounding to float16 changes what is said.
    """
    from pipeline.train.merge import load_float32, merge

    settings = source.settings
    exact, served = _reference(source)
    facts = merge(source.base, source.adapter, settings.model, output)
    parity = _compare(source, exact, load_float32(output))
    if failures(parity, settings.export):
        shutil.rmtree(output)
        facts = merge(source.base, source.adapter, settings.model, output, "float32")
        parity = _compare(source, exact, load_float32(output))
    check(parity, settings.export, "merged weights")
    free_memory()
    as_served = _compare(source, served, load_model(output))
    return {
        "merge": facts.to_dict(),
        "parity": parity.to_dict(),
        "parity_as_served": as_served.to_dict() | {"dtype": _served_dtype()},
        # left to itself, vLLM rounds float32 weights to 16 bits
        "next": "vllm serve {folder}" + " --dtype float32" * (facts.stored == "float32"),
    }


def _adapter(source: Source, output: Path) -> dict[str, Any]:
    """The adapter, with the base it was trained on where that is quantized."""
    from pipeline.train.adapter import on_plain_base, read_run_card
    from pipeline.train.merge import load_float32, served_template
    from pipeline.train.methods import METHODS
    from pipeline.train.servable import BASE, copy_adapter, save_dequantized

    settings = source.settings
    copy_adapter(source.adapter, settings.export.max_lora_rank, output)
    name, parity = source.base.name if "/" in source.base.name else "{base_folder}", None
    if METHODS[read_run_card(source.adapter)["method"]].quantized:
        exact, _ = _reference(source)
        save_dequantized(source.base, settings.model, output / BASE)
        free_memory()
        plain = load_float32(output / BASE)
        parity = _compare(source, exact, on_plain_base(plain, output))
        check(parity, settings.export, "adapter on its dequantized base")
        name = "{folder}/" + BASE
    elif template := served_template(source.base):
        (output / "chat_template.jinja").write_text(template, "utf-8")
        name += " --chat-template {folder}/chat_template.jinja"
    rank = settings.export.max_lora_rank
    return {
        "parity": parity.to_dict() if parity else None,
        "next": f"vllm serve {name} --enable-lora --max-lora-rank {rank} "
        "--lora-modules tuned={folder}",
    }


def _gguf(source: Source, output: Path) -> dict[str, Any]:
    """The merged model as a GGUF file, read back and compared with the adapter in float32."""
    from pipeline.train.gguf_file import load_gguf, write_gguf
    from pipeline.train.merge import merge
    from pipeline.train.ollama import chatml, modelfile

    tokenizer = load_tokenizer(source.base.path, source.base.thinking)
    pieces = chatml(tokenizer)
    exact, _ = _reference(source)
    output.mkdir(parents=True)
    plain = output / "merged"
    facts = merge(source.base, source.adapter, source.settings.model, plain)
    write_gguf(plain, output / GGUF, source.base.name)
    context = json.loads((plain / "config.json").read_text("utf-8"))["max_position_embeddings"]
    (output / "Modelfile").write_text(modelfile(pieces, GGUF, context), "utf-8")
    shutil.rmtree(plain)
    free_memory()
    model, read_back = load_gguf(output / GGUF)
    parity = _compare(source, exact, model)
    check(parity, source.settings.export, "GGUF file")
    check_tokenizer(source.prompts, tokenizer, read_back)
    return {
        "merge": facts.to_dict(),
        "parity": parity.to_dict(),
        "next": "ollama create tuned -f {folder}/Modelfile",
    }


def check_tokenizer(prompts: list[list[int]], ours: Any, other: Any) -> None:
    """Raise GateFailed when another tokenizer cuts the prompts in other tokens."""
    texts = [ours.decode(prompt, clean_up_tokenization_spaces=False) for prompt in prompts]
    changed = sum(
        other(text, add_special_tokens=False)["input_ids"]
        != ours(text, add_special_tokens=False)["input_ids"]
        for text in texts
    )
    if changed or other.chat_template != ours.chat_template:
        raise GateFailed(
            f"export: the tokenizer in the GGUF file cuts {changed} of {len(prompts)} prompts in "
            "other tokens, or has another template; expected the same; nothing was exported: use "
            "--format merged"
        )


FORMS: dict[Form, Callable[[Source, Path], dict[str, Any]]] = {
    "merged": _merged,
    "adapter": _adapter,
    "gguf": _gguf,
}


def _reference(source: Source) -> "tuple[Predictions, Predictions]":
    """Let the adapter answer in float32, and in the type it is served in."""
    from pipeline.evaluate.parity import predict
    from pipeline.train.adapter import load_adapter
    from pipeline.train.merge import to_float32

    settings = source.settings
    on_cpu = settings.model.model_copy(update={"device": "cpu"})
    model, tokenizer = load_adapter(source.base, source.adapter, on_cpu)
    stops, tokens = stop_ids(tokenizer), settings.export.new_tokens
    exact = served = predict(model, source.prompts, stops, tokens)
    if _served_dtype() != "float32":
        exact = predict(to_float32(model), source.prompts, stops, tokens)
    return exact, served


def _compare(source: Source, reference: "Predictions", model: Any) -> "Parity":
    from pipeline.evaluate.parity import compare

    tokenizer = load_tokenizer(source.base.path, source.base.thinking)
    tokens = source.settings.export.new_tokens
    return compare(reference, model, stop_ids(tokenizer), tokens)


def failures(parity: "Parity", limits: ExportSettings) -> list[str]:
    """Return by how much two forms of a model differ more than the settings allow."""
    changed = parity.prompts - parity.equal_prompts
    return [
        f"{name} {value:.4g} (at most {limit:g})"
        for name, value, limit in (
            ("prompts with other greedy tokens", changed, limits.max_changed_prompts),
            ("largest logit difference", parity.max_logit_difference, limits.max_logit_difference),
            ("largest KL divergence", parity.max_kl, limits.max_kl),
        )
        if not value <= limit
    ]


def check(parity: "Parity", limits: ExportSettings, what: str) -> None:
    """Raise GateFailed when two forms of a model differ by more than the settings allow."""
    found = failures(parity, limits)
    if found:
        raise GateFailed(
            f"export: {what} and adapter differ on {parity.prompts} prompts: "
            f"{', '.join(found)}; expected the same model; nothing was exported: serve the "
            "adapter, or look at the [export] limits"
        )


def _served_dtype() -> str:
    return str(compute_dtype("cpu")).removeprefix("torch.")


def _places(folder: Path, base: BaseModel) -> dict[str, str]:
    """Paths of this machine, which are told and not written down."""
    return {"folder": str(folder), "base_folder": str(base.path)}


@contextmanager
def _stage(name: str) -> "Iterator[None]":
    with StageProgress(name) as bar, listening(bar):
        yield


def _present(folder: Path, recipe: str) -> dict[str, Any] | None:
    """Return the record of the same export, None for room to write, or refuse."""
    if (folder / RECORD).is_file():
        record: dict[str, Any] = json.loads((folder / RECORD).read_text("utf-8"))
        if record.get("recipe") == recipe and record["files"] == _digests(folder):
            console.print(f"export                 reused {folder}", markup=False)
            return record
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"export: {folder} holds something else; expected a new or an empty folder; name "
            "another with --to, or delete it"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    return None


def _digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file but the record, by path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != RECORD:
            with path.open("rb") as stream:
                name = path.relative_to(folder).as_posix()
                found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found
