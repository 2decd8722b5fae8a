"""Merge an adapter into its base: plain weights that any server loads.

The exact rule: take the base as it was trained on (NF4 weights dequantized, not the weights that
they were quantized from), add the adapter's change in float32, round once. Adding it to a 4-bit
base and quantizing again erases a small adapter, and adding it to the weights before quantization
makes another model. Rounding is to the type that the base is stored in, which servers compute in: a
bfloat16 base whose activations exceed 65504 is not a number in float16. Bfloat16 keeps 8 bits of a
weight, float16 11: the smaller the adapter, the sooner two nearly equal words swap places. Float32
loses nothing, at twice the size. (``python -m tests.benchmarks.merge_parity`` shows them all.)
"""

import json
import math
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors.torch import load_file

from pipeline.core.errors import TrainingError
from pipeline.core.progress import track
from pipeline.settings import ModelSettings
from pipeline.text.chat_template import stop_ids
from pipeline.train.export.blocks import ModelFolder, Tensors, hollow, write_blocks
from pipeline.train.methods import METHODS
from pipeline.train.models.adapter import CONFIG, WEIGHTS, check_fit, on_plain_base
from pipeline.train.models.base_model import BESIDE, EYES, BaseModel, load_tokenizer
from pipeline.train.models.device import configure_torch

Stored = Literal["float16", "bfloat16", "float32"]  # float16 holds no more than 65504 (IEEE 754)
_Norms = tuple[float, float, float, float]
"""Of a layer: norms of its change, its weight before, what rounding loses; its largest value."""
WIDE = 2**24  # values of a weight whose norms are computed at once, in float32


def merge(
    base: BaseModel, adapter: Path, model_settings: ModelSettings, output: Path,
    stored: Stored | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Write base and adapter as one model, and return what that did to the weights.

    Layer by layer in float32, on the CPU (so that no GPU decides the result), rounded once, to the
    type of the base unless one is given. Raises TrainingError where the method cannot be merged,
    the adapter is of another base, it changes nothing, or a weight does not fit into the type.
    Returned are the number of ``layers``, how many the adapter ``changed``, Frobenius norms over
    all layers (``delta_norm`` of the change, ``relative_delta`` over that of the layers before,
    ``storage_error``: what rounding loses, over ``delta_norm``), and the ``largest_weight``.
    """
    stored = stored or own_type(base)
    method = check_fit(base, adapter, load_tokenizer(base.path, base.thinking))
    if not method.mergeable:
        possible = ", ".join(name for name, each in METHODS.items() if each.mergeable)
        raise TrainingError(
            f"merge: {adapter.name} was trained with method {method.name}, which adds layers or "
            f"tokens rather than changing weights; expected one of {possible}; serve base and "
            "adapter apart, or train with another method"
        )
    configure_torch(model_settings.model_copy(update={"device": "cpu"}))
    folder = ModelFolder(base.path, method.quantized)
    plain = folder.plain(stored)
    norms: list[_Norms] = []
    take = _merge_layers if method.stored == "peft" else _take_trained
    try:
        save_plain(plain, take(folder, plain, adapter, stored, norms), base, output)
        return _facts(norms, adapter.name, stored)
    except TrainingError:
        shutil.rmtree(output, ignore_errors=True)
        raise


def own_type(base: BaseModel) -> Stored:
    """Return the type that the weights of a base model are stored in, by its configuration."""
    config = json.loads((base.path / "config.json").read_text("utf-8"))
    parts = (config, config.get("text_config") or {})
    declared = [part.get(key) for part in parts for key in ("dtype", "torch_dtype")]
    known: tuple[Stored, ...] = get_args(Stored)
    return next((each for each in known if each in declared), "float32")


def _merge_layers(
    folder: ModelFolder, plain: Any, adapter: Path, stored: Stored, norms: list[_Norms]
) -> Iterator[Tensors]:
    """Yield the blocks of a base with the change of a PEFT adapter, made layer by layer."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    paths = {module: path for path, module in plain.named_modules()}
    layers = {}
    plain._apply(hollow)
    for layer in on_plain_base(plain, adapter).modules():
        if isinstance(layer, BaseTunerLayer):
            inner, last = layer.get_base_layer(), getattr(layer, "parameter_name", "weight")
            layers[f"{paths[inner]}.{last}"] = layer, inner  # an inner layer, or stacked experts
    for block in track(folder.blocks, "blocks"):
        tensors = folder.read(block)
        for name in [name for name in tensors if name in layers]:
            layer, inner = layers[name]
            bias = f"{name.rpartition('.')[0]}.bias"
            own = {part: tensors[part] for part in (name, bias) if part in tensors}
            for part, value in own.items():
                wide = torch.nn.Parameter(value.to(torch.float32, copy=True), requires_grad=False)
                setattr(inner, part.rpartition(".")[2], wide)
            with torch.no_grad():
                layer.merge(safe_merge=True)
            tensors |= {part: getattr(inner, part.rpartition(".")[2]).data for part in own}
            inner._apply(hollow)  # type: ignore[no-untyped-call]
            tensors[name] = _rounded(name, own[name], tensors[name], stored, norms)
        yield tensors


def _take_trained(
    folder: ModelFolder, plain: Any, adapter: Path, stored: Stored, norms: list[_Norms]
) -> Iterator[Tensors]:
    """Yield the blocks of a model whose own weights were trained: all of them, or some."""
    some = load_file(adapter / WEIGHTS) if (adapter / CONFIG).is_file() else None
    whole = folder if some is not None else ModelFolder(adapter, quantized=False)
    parameters = dict(plain.named_parameters())
    for block in track(whole.blocks, "blocks"):
        before = folder.read(block)
        if some is None:
            after = whole.read(block)
        else:
            changed = before.keys() & some.keys()
            after = before | {name: some[name].to(before[name].dtype) for name in changed}
        for name in [name for name in after if name in parameters]:
            after[name] = _rounded(name, before[name], after[name], stored, norms)
        yield after


def to_float32(model: Any) -> Any:
    """Let a model compute in float32, in place: the same values, without rounding on the way."""
    # Not model.float(): transformers refuses it to a model that was in 4 bits.
    return torch.nn.Module.float(model)


def save_plain(plain: Any, blocks: Iterable[Tensors], base: BaseModel, output: Path) -> None:
    """Write a plain model of one type as a folder that transformers, vLLM and converters load.

    ``plain`` is of :meth:`ModelFolder.plain`, and ``blocks`` are rounded to its type; what else the
    base has goes along. Raises TrainingError where a weight does not fit into the type.
    """
    types = {name: part.dtype for name, part in plain.named_parameters()}

    def rounded() -> Iterator[Tensors]:
        for block in blocks:
            for name in block.keys() & types.keys():
                if block[name].is_floating_point() and block[name].dtype != types[name]:
                    _largest(name, block[name], types[name])
                    block[name] = block[name].to(types[name])
            yield block

    write_blocks(plain, rounded(), output)
    for name in (*BESIDE, *EYES * hasattr(plain.config, "vision_config")):
        if (base.path / name).is_file():
            shutil.copyfile(base.path / name, output / name)
    write_serving(base, output)


def save_dequantized(base: BaseModel, output: Path, stored: Stored | None = None) -> None:
    """Write the base that a QLoRA adapter was trained on as plain weights, by default of its type.

    The adapter corrects the quantized weights; on the original ones it makes another model.
    """
    folder = ModelFolder(base.path, quantized=True)
    plain = folder.plain(stored or own_type(base))
    save_plain(plain, map(folder.read, folder.blocks), base, output)


def write_serving(base: BaseModel, output: Path) -> None:
    """Let a folder with a base's files be served as its adapters were trained: stops, template."""
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
    """Return the template with ``model.thinking`` as its default, or an attached one, or None."""
    tokenizer = load_tokenizer(base.path)
    template = str(tokenizer.get_chat_template())
    if "enable_thinking" not in template:
        return template if tokenizer.attached else None
    value = str(base.thinking).lower()
    switch = "{%- if enable_thinking is not defined %}{%- set enable_thinking = " + value
    return switch + " %}{%- endif %}" + template


def _rounded(name: str, before: Any, after: Any, stored: Stored, norms: list[_Norms]) -> Any:
    """Return a changed weight rounded to a type, and note the :data:`_Norms` of its layer."""
    dtype = getattr(torch, stored)
    largest, rounded = _largest(name, after, dtype), after.to(dtype)
    rows = max(1, WIDE // max(1, after[0].numel()))
    sums = [0.0, 0.0, 0.0]
    for old, new, kept in zip(*(p.split(rows) for p in (before, after, rounded)), strict=True):
        old, new = old.float(), new.float()
        parts = (new - old, old, kept.float() - new)
        sums = [math.hypot(sum_, part.norm()) for sum_, part in zip(sums, parts, strict=True)]
    norms.append((sums[0], sums[1], sums[2], largest))
    return rounded


def _facts(norms: list[_Norms], name: str, stored: Stored) -> dict[str, Any]:
    changes, before, errors, largest = zip(*norms, strict=True) if norms else [(0.0,)] * 4
    delta = math.hypot(*changes)
    if not delta > 0:
        raise TrainingError(
            f"merge: {name} changes none of {len(norms)} layers (norm of the change {delta}); "
            "expected a trained adapter; look at its training.json and train again"
        )
    return {
        "layers": len(norms),
        "changed": sum(change > 0 for change in changes),
        "delta_norm": delta,
        "relative_delta": delta / math.hypot(*before),
        "storage_error": math.hypot(*errors) / delta,
        "largest_weight": max(largest),
        "stored": stored,
    }


def _largest(name: str, weight: Any, dtype: Any) -> float:
    """Return the largest absolute value of a weight, which must be finite in the type."""
    largest, limit = float(weight.abs().max()), torch.finfo(dtype).max
    if not largest <= limit:
        raise TrainingError(
            f"merge: {name} has a weight of {largest}; expected at most {limit:g}, the largest "
            f"{str(dtype).removeprefix('torch.')}; the adapter is broken: train again with a lower "
            "train.learning_rate"
        )
    return largest
