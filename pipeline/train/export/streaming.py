"""A model whose weights stay on the disk: one block of them is in memory while it computes.

As accelerate's ``disk_offload``, on which peft 0.21 can put no adapter.
"""

import functools
from pathlib import Path
from typing import Any

from pipeline.core.progress import announce
from pipeline.train.export.blocks import ModelFolder
from pipeline.train.export.merge import save_dequantized
from pipeline.train.methods import METHODS
from pipeline.train.models.adapter import check_fit, on_plain_base, read_run_card
from pipeline.train.models.base_model import (
    BaseModel,
    empty_model,
    load_model,
    load_tokenizer,
    model_class,
)
from pipeline.train.models.device import compute_dtype

ROOM = 0.7
"""Share of the free memory that a whole model may take; the rest is for what it computes."""


def fits(path: Path, dtype: str) -> bool:
    """Return whether a model has room in the memory that is free now, and say so if it has not.

    Args:
        path: a model folder.
        dtype: that its weights would be in, such as ``float32``.
    """
    import psutil  # type: ignore[import-untyped]
    import torch

    size = sum(part.nbytes for part in empty_model(path, getattr(torch, dtype)).parameters())
    free = psutil.virtual_memory().available
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
    return load_model(path, device, dtype)


def stream_adapter(base: BaseModel, adapter: Path, scratch: Path) -> Any:
    """Return base and adapter computing in float32, block by block.

    Args:
        base: that the adapter was trained on.
        adapter: of peft, or a whole model.
        scratch: a new folder, for a base in 4 bits as it lay before it was quantized.

    Raises:
        TrainingError: the adapter belongs to another base.
    """
    card = read_run_card(adapter)
    check_fit(card, base, load_tokenizer(base.path, base.thinking), adapter, quantized=None)
    method, path = METHODS[card["method"]], base.path
    if method.stored == "model":
        return stream(adapter, "float32")
    if method.quantized:
        save_dequantized(base, scratch, "float32")
        path = scratch
    return on_plain_base(stream(path, "float32"), adapter)


def stream(path: Path, dtype: str, stored: str | None = None) -> Any:
    """Return a model that reads each block of its weights when the turn is its, on the CPU.

    It gives the logits of the loaded model to the rounding of float32, with an adapter of peft too;
    each pass reads all files.

    Args:
        path: a model folder with plain weights.
        dtype: that it computes in.
        stored: that the weights are rounded to before, by default the compute type of a CPU.
    """
    import torch
    from accelerate import init_empty_weights

    config, automatic, kind = model_class(path)
    with init_empty_weights(include_buffers=False):
        model = automatic.from_config(
            config,
            dtype=getattr(torch, dtype),
            attn_implementation="sdpa" if kind._supports_sdpa else "eager",
        )
    model.tie_weights()

    @functools.cache  # a weight that is tied stays one
    def hollow(part: Any) -> Any:
        # Not on meta, where peft would leave its own weights as well.
        empty = torch.zeros((), dtype=part.dtype).expand(part.shape)
        return torch.nn.Parameter(empty, requires_grad=False)

    for module in model.modules():
        for name, part in module._parameters.items():
            module._parameters[name] = None if part is None else hollow(part)
    rounded = getattr(torch, stored) if stored else compute_dtype("cpu")
    folder = ModelFolder(path, quantized=False, dtype=rounded)
    for block in folder.blocks:
        _attach(model, folder, block)
    return model.eval()


def _attach(model: Any, folder: ModelFolder, block: str) -> None:
    """Let each module that a block of weights is for read it before, and drop it after."""
    own = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers())
    hollow: dict[str, Any] = {}

    def read(*_: Any) -> None:
        for name, value in folder.read(block).items():
            hollow[name] = own[name].data
            own[name].data = value.to(own[name].dtype)

    def drop(*_: Any) -> None:
        for name, value in hollow.items():
            own[name].data = value

    single = own.get(block, model)  # a weight in no block, such as the embedding's
    for path, module in model.named_modules():
        if path == block or any(part is single for part in module._parameters.values()):
            module.register_forward_pre_hook(read)
            module.register_forward_hook(drop)
