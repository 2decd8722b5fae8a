"""A model whose weights stay on the disk: one block of them is in memory while it computes.

As accelerate's ``disk_offload``, on which peft 0.21 can put no adapter.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors.torch import load_file

from pipeline.core.progress import announce
from pipeline.train.export.blocks import ModelFolder, hollow
from pipeline.train.export.merge import save_dequantized
from pipeline.train.models import base_model
from pipeline.train.models.adapter import WEIGHTS, check_fit, on_plain_base
from pipeline.train.models.base_model import BaseModel, load_tokenizer
from pipeline.train.models.device import compute_dtype
from pipeline.train.peak_memory import memory

ROOM = 0.7  # share of the free memory that a whole model may take; the rest is for what it computes


def fits(path: Path, dtype: str) -> bool:
    """Return whether a model, in a type, has room in the memory free now; announces if not."""
    size = sum(
        part.nbytes for part in base_model.empty_model(path, getattr(torch, dtype)).parameters()
    )
    _, free = memory()
    if size > ROOM * free:
        announce(
            f"export: {size / 1e9:,.1f} GB of weights in {dtype} for {free / 1e9:,.1f} GB of free "
            "memory: they are read from the disk block by block, which takes longer"
        )
    return bool(size <= ROOM * free)


def load_or_stream(path: Path, device: str, dtype: str) -> Any:
    """Return a plain model for answers, whole or, where it has no room, block by block."""
    if device == "cpu" and not fits(path, dtype):
        return stream(path, dtype, dtype)
    return base_model.load_model(path, device, dtype)


def stream_adapter(base: BaseModel, adapter: Path, scratch: Path) -> Any:
    """Return base and adapter (of peft, or a whole model) computing in float32, block by block.

    ``scratch``, a new folder, gets a base in 4 bits as plain weights. Raises TrainingError where
    the adapter belongs to another base.
    """
    method = check_fit(base, adapter, load_tokenizer(base.path, base.thinking))
    path = base.path
    if method.stored == "model":
        return stream(adapter, "float32")
    if method.quantized:
        save_dequantized(base, scratch, "float32")
        path = scratch
    if method.stored == "tensors":
        return stream(path, "float32", trained=load_file(adapter / WEIGHTS))
    return on_plain_base(stream(path, "float32"), adapter)


def stream(
    path: Path, dtype: str, stored: str | None = None, trained: Mapping[str, Any] | None = None
) -> Any:
    """Return a model that reads each block of its weights when the turn is its, on the CPU.

    It gives the logits of the loaded model to the rounding of float32, with an adapter of peft too;
    each pass reads all files. It computes in ``dtype``, with weights rounded to ``stored`` before,
    by default the compute type of a CPU; ``trained`` tensors stand for those of the folder.
    """
    config, automatic, kind = base_model.model_class(path)
    with init_empty_weights(include_buffers=False):
        model = automatic.from_config(
            config,
            dtype=getattr(torch, dtype),
            attn_implementation="sdpa" if kind._supports_sdpa else "eager",
        )
    model.tie_weights()

    @functools.cache  # a weight that is tied stays one
    def emptied(part: Any) -> Any:
        return torch.nn.Parameter(hollow(part), requires_grad=False)

    for module in model.modules():
        for name, part in module._parameters.items():
            module._parameters[name] = None if part is None else emptied(part)
    rounded = getattr(torch, stored) if stored else compute_dtype("cpu")
    folder = ModelFolder(path, quantized=False, dtype=rounded)
    instead = {name: part.to(rounded) for name, part in (trained or {}).items()}
    for block in folder.blocks:
        _attach(model, folder, block, instead)
    return model.eval()


def _attach(model: Any, folder: ModelFolder, block: str, trained: Mapping[str, Any]) -> None:
    """Let each module that a block of weights is for read it before, and drop it after.

    That is the module of this name, and whatever holds a weight of it elsewhere: a head that is
    tied to the embedding, layers that share one.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    own = parameters | dict(model.named_buffers())
    weights = [parameters[name] for name in folder.read(block) if name in parameters]
    here, inside = set(map(id, weights)), f"{block}."
    depth = 0  # of modules at work that need it, one in the other

    def read(*_: Any) -> None:
        nonlocal depth
        depth += 1
        if depth == 1:
            for name, tensor in folder.read(block).items():
                own[name].data = trained.get(name, tensor).to(own[name].dtype)

    def drop(*_: Any) -> None:
        nonlocal depth
        depth -= 1
        for part in weights if not depth else ():
            part.data = hollow(part)

    for path, module in model.named_modules(remove_duplicate=False):
        elsewhere = not path.startswith(inside) and module._parameters.values()
        if path == block or any(id(part) in here for part in elsewhere or ()):
            module.register_forward_pre_hook(read)
            module.register_forward_hook(drop)
