"""Merge an adapter into its base: plain weights that any server loads.

The exact rule: take the base as it was trained on (NF4 weights dequantized, not the weights that
they were quantized from), add the adapter's change in float32, round once. Adding it to a 4-bit
base and quantizing again erases a small adapter, and adding it to the weights before quantization
makes another model; this way leaves the rounding. It is to the type that the base is stored in,
which servers take from the files and compute in: a bfloat16 base whose activations exceed 65504
is not a number in float16. Bfloat16 keeps 8 bits of a weight, float16 11: the smaller the adapter
beside the weights, the sooner two nearly equal words swap places. Float32 loses nothing, at twice
the size. (``python -m tests.benchmarks.merge_parity`` shows them all.)
"""

import json
import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from pipeline.core.errors import TrainingError
from pipeline.core.progress import advance
from pipeline.settings import ModelSettings
from pipeline.text.chat_template import stop_ids
from pipeline.train.methods import METHODS
from pipeline.train.models.adapter import (
    check_fit,
    load_adapter,
    load_base,
    on_plain_base,
    read_run_card,
)
from pipeline.train.models.base_model import BESIDE, EYES, BaseModel, load_tokenizer
from pipeline.train.models.quantized import dequantize

Stored = Literal["float16", "bfloat16", "float32"]
"""Types that weights are stored in; beyond float16's 65504 (IEEE 754) one would become infinite."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did to the weights."""

    layers: int
    """Layers that carry the adapter."""
    changed: int
    """Of these, layers whose weights the adapter changes."""
    delta_norm: float
    """Frobenius norm of the change over all layers."""
    relative_delta: float
    """The same, over the norm of the layers before."""
    storage_error: float
    """Norm of what rounding to ``stored`` loses, over ``delta_norm``."""
    largest_weight: float
    """Largest absolute value stored."""
    stored: Stored

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return asdict(self)


def merge(
    base: BaseModel,
    adapter: Path,
    model_settings: ModelSettings,
    output: Path,
    stored: Stored | None = None,
) -> Merged:
    """Write base and adapter as one model: safetensors, config, tokenizer, template.

    Each layer is merged in float32, one at a time, and rounded once, to the type of the base
    unless one is given. Runs on the CPU, whatever ``model_settings.device`` says: the result does
    not depend on the machine's GPU.

    Raises:
        TrainingError: the method cannot be merged, the adapter belongs to another base or
            template, it changes nothing, or a weight does not fit into the type.
    """
    stored = stored or own_type(base)
    card = read_run_card(adapter)
    tokenizer = load_tokenizer(base.path, base.thinking)
    check_fit(card, base, tokenizer, adapter, quantized=None)
    method = METHODS[card["method"]]
    if not method.mergeable:
        possible = ", ".join(name for name, each in METHODS.items() if each.mergeable)
        raise TrainingError(
            f"merge: {adapter.name} was trained with method {method.name}, which adds layers or "
            f"tokens rather than changing weights; expected one of {possible}; serve base and "
            "adapter apart, or train with another method"
        )
    on_cpu = model_settings.model_copy(update={"device": "cpu"})
    model = load_base(base, on_cpu, method.quantized)
    if method.stored == "peft":
        adapted = on_plain_base(dequantize(model), adapter)
        facts = merge_layers(adapted, adapter.name, stored)
        plain = store_as(adapted.unload(), stored)
    else:  # trained weights of the base itself
        plain, _ = load_adapter(base, adapter, on_cpu)
        facts = round_weights(plain, model, adapter.name, stored)
    save_plain(plain, base, output)
    return facts


def own_type(base: BaseModel) -> Stored:
    """Return the type that the weights of a base model are stored in, by its configuration."""
    config = json.loads((base.path / "config.json").read_text("utf-8"))
    parts = (config, config.get("text_config") or {})
    declared = [part.get(key) for part in parts for key in ("dtype", "torch_dtype")]
    known: tuple[Stored, ...] = get_args(Stored)
    return next((each for each in known if each in declared), "float32")


def merge_layers(adapted: Any, name: str, stored: Stored) -> Merged:
    """Merge the adapter of a PEFT model into its base layers, in place, rounded to a type.

    Raises:
        TrainingError: the adapter changes nothing, or a weight does not fit into the type.
    """
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers: dict[str, Any] = {
        path: part for path, part in adapted.named_modules() if isinstance(part, BaseTunerLayer)
    }
    norms: list[_Norms] = []
    for done, (path, layer) in enumerate(layers.items(), start=1):
        inner = layer.get_base_layer()
        weight = getattr(inner, getattr(layer, "parameter_name", "weight"))  # or stacked experts
        before = weight.data.float()
        weight.data = before.clone()
        if getattr(inner, "bias", None) is not None:
            inner.bias.data = inner.bias.data.float()
        with torch.no_grad():
            layer.merge(safe_merge=True)
        weight.data = _rounded(path, before, weight.data, stored, norms)
        advance(done, len(layers), "layers")
    return _facts(norms, name, stored)


def round_weights(plain: Any, base: Any, name: str, stored: Stored) -> Merged:
    """Round a model whose own weights were trained, in place.

    Raises:
        TrainingError: nothing has changed, or a weight does not fit into the type.
    """
    norms: list[_Norms] = []
    before = dict(base.named_parameters())
    for key, part in plain.named_parameters():
        part.data = _rounded(key, before[key].float(), part.detach().float(), stored, norms)
    return _facts(norms, name, stored)


def store_as(model: Any, stored: Stored) -> Any:
    """Round all floating-point parameters of a plain model to a type, in place.

    Raises:
        TrainingError: a weight does not fit.
    """
    import torch

    for name, parameter in model.named_parameters():
        if parameter.is_floating_point():
            _fits(name, parameter.data, stored)
            parameter.data = parameter.data.to(getattr(torch, stored))
    return model


def to_float32(model: Any) -> Any:
    """Let a model compute in float32, in place: the same values, without rounding on the way."""
    import torch

    # Not model.float(): transformers refuses it to a model that was in 4 bits.
    return torch.nn.Module.float(model)


def save_plain(model: Any, base: BaseModel, output: Path) -> None:
    """Write a plain model of one type as a folder that transformers, vLLM and converters load.

    What the model says about 4 bits is taken off. Tokenizer, template and generation settings of
    the base go along, byte for byte, but for what :func:`write_serving` changes.
    """
    import torch
    from transformers.integrations.bitsandbytes import Bnb4bitDeserialize
    from transformers.pytorch_utils import Conv1D

    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer, model.is_quantized, model.quantization_method = None, False, None
    # What unpacked a base that is stored in 4 bits would be turned round, and cannot be.
    model._weight_conversions = [
        each
        for each in getattr(model, "_weight_conversions", None) or []
        if not any(isinstance(step, Bnb4bitDeserialize) for step in getattr(each, "operations", ()))
    ]
    model.config.dtype = model.get_input_embeddings().weight.dtype
    for part in model.modules():
        if isinstance(part, torch.nn.Linear) and getattr(part, "source_cls", None) is Conv1D:
            part.weight.data = part.weight.data.T.contiguous()  # as it lay before it was quantized
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    for name in (*BESIDE, *EYES * hasattr(model.config, "vision_config")):
        if (base.path / name).is_file():
            shutil.copyfile(base.path / name, output / name)
    write_serving(base, output)


def write_serving(base: BaseModel, output: Path) -> None:
    """Let a folder with the files of a base be served as its adapters were trained.

    generation_config.json names each token at which the model is to stop; the template of a model
    that thinks unless told otherwise is told; and one that was attached to a base lies beside it.
    """
    stops = stop_ids(load_tokenizer(base.path))
    file = output / "generation_config.json"
    known = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    named = known.get("eos_token_id")
    if stops - set(named if isinstance(named, list) else [named]):
        known["eos_token_id"] = sorted(stops)
        file.write_text(json.dumps(known, indent=2) + "\n", "utf-8")
    if template := served_template(base):
        (output / "chat_template.jinja").write_text(template, "utf-8")


def served_template(base: BaseModel) -> str | None:
    """Return the template with ``model.thinking`` as its default, or the one that was attached.

    None when it has no switch, and is the base's own.
    """
    tokenizer = load_tokenizer(base.path)
    template = str(tokenizer.get_chat_template())
    if "enable_thinking" not in template:
        return template if tokenizer.attached else None
    value = str(base.thinking).lower()
    switch = "{%- if enable_thinking is not defined %}{%- set enable_thinking = " + value
    return switch + " %}{%- endif %}" + template


class _Norms(NamedTuple):
    """Norms of a layer's change, of its weight before, and of what rounding loses."""

    change: float
    before: float
    error: float
    largest: float
    """Absolute value."""


def _rounded(name: str, before: Any, after: Any, stored: Stored, norms: list[_Norms]) -> Any:
    """Return a changed weight rounded to a type, and note its norms."""
    import torch

    largest = _fits(name, after, stored)
    rounded = after.to(getattr(torch, stored))
    change, error = (after - before).norm().item(), (rounded.float() - after).norm().item()
    norms.append(_Norms(change, before.norm().item(), error, largest))
    return rounded


def _facts(norms: list[_Norms], name: str, stored: Stored) -> Merged:
    """Sum up the norms of all layers."""
    delta = math.hypot(*(layer.change for layer in norms))
    if not delta > 0:
        raise TrainingError(
            f"merge: {name} changes none of {len(norms)} layers (norm of the change {delta}); "
            "expected a trained adapter; look at its training.json and train again"
        )
    return Merged(
        layers=len(norms),
        changed=sum(layer.change > 0 for layer in norms),
        delta_norm=delta,
        relative_delta=delta / math.hypot(*(layer.before for layer in norms)),
        storage_error=math.hypot(*(layer.error for layer in norms)) / delta,
        largest_weight=max(layer.largest for layer in norms),
        stored=stored,
    )


def _fits(name: str, weight: Any, stored: Stored) -> float:
    """Return the largest absolute value of a weight, which must be finite in the type."""
    import torch

    largest, limit = float(weight.abs().max()), torch.finfo(getattr(torch, stored)).max
    if not largest <= limit:
        raise TrainingError(
            f"merge: {name} has a weight of {largest}; expected at most {limit:g}, the largest "
            f"{stored}; the adapter is broken: train again with a lower train.learning_rate"
        )
    return largest
