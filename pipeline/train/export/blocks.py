"""A model folder read and written block by block: a block and a file of it are in memory at once.

transformers' own loader puts a block together from what the files call it (experts one by one,
fused layers, 4 bits), and takes it apart again.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pipeline.core.errors import TrainingError
from pipeline.train.models.base_model import empty_model
from pipeline.train.models.device import compute_dtype
from pipeline.train.models.quantized import four_bits, linear4bit_layers
from pipeline.train.peak_memory import free_memory

SHARD_BYTES = 10**9  # largest file of weights; a tensor that is larger has one of its own
_BLOCK = re.compile(r".*?\.\d+(?=\.)")
Tensors = dict[str, Any]


class ModelFolder:
    """The weights of a base model, or of one whose own weights were trained."""

    def __init__(self, path: Path, quantized: bool, dtype: Any = None) -> None:
        """Look at the names in the files; with ``quantized``, weights go through NF4.

        They are read in a torch dtype, by default the compute type of a CPU.
        """
        from transformers import core_model_loading as loading
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.modeling_utils import LoadStateDictConfig
        from transformers.quantizers.auto import get_hf_quantizer

        self._path, self._type = path, dtype or compute_dtype("cpu")
        model = self._model = empty_model(path, self._type)
        given, place = four_bits(path, self._type) if quantized else None, {"": "cpu"}
        quantizer, *_ = get_hf_quantizer(  # type: ignore[no-untyped-call]
            model.config, given, place, True, {}
        )
        if quantizer:
            quantizer.preprocess_model(model, device_map=place)
        self._cast = quantized and given is None  # stored in 4 bits, the rest in any type
        self._empty = {name: self._place(name)[2] for name in model.state_dict()}
        conversions: list[Any] = list(get_model_conversion_mapping(model, None, quantizer))
        self._config = LoadStateDictConfig(
            dtype=self._type,
            dtype_plan=model._get_dtype_plan(self._type),
            hf_quantizer=quantizer,
            weight_mapping=conversions,
        )
        renamings = [each for each in conversions if isinstance(each, loading.WeightRenaming)]
        converters = [each for each in conversions if isinstance(each, loading.WeightConverter)]
        blocks: dict[str, list[tuple[Path, str]]] = defaultdict(list)
        for file, key in _keys(path):
            name, _ = loading.rename_source_key(
                key, renamings, converters, model.base_model_prefix, self._empty
            )
            found = _BLOCK.match(name)
            blocks[found[0] if found else name].append((file, key))
        self._used = [each for each in conversions if each.was_used()]
        self._files = blocks
        self.blocks = sorted(blocks, key=loading.dot_natural_key)
        """Names of the blocks, and of what is in none: embedding, last norm, head."""

    def plain(self, stored: str) -> Any:
        """Return a model without weights, to be written in a type under the names of this one."""
        from transformers.integrations.bitsandbytes import Bnb4bitDeserialize

        model, dtype = empty_model(self._path), getattr(torch, stored)
        model._weight_conversions = [  # unpacking 4 bits is never turned round
            each
            for each in self._used
            if not any(isinstance(x, Bnb4bitDeserialize) for x in getattr(each, "operations", ()))
        ]
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        for part in model.config.sub_configs:
            getattr(model.config, part).dtype = dtype
        return model.to(dtype)

    def read(self, block: str) -> Tensors:
        """Return a block as loaded, unpacked, with its buffers; TrainingError for a misfit."""
        from transformers.core_model_loading import convert_and_load_state_dict_in_model

        places = self._files.get(block, ())
        with ExitStack() as opened:
            # pread: pages of a mapped file count as the process's own, and stay.
            files = {
                file: opened.enter_context(safe_open(file, "pt", backend="pread"))
                for file in dict(places)
            }
            slices = {key: files[file].get_slice(key) for file, key in places}
            info, _ = convert_and_load_state_dict_in_model(self._model, slices, self._config)
        if wrong := [*info.conversion_errors, *info.mismatched_keys]:
            raise TrainingError(
                f"base model: {wrong[0]} does not fit its configuration; expected the weights that "
                "config.json describes; fetch the model again"
            )
        for path, layer in linear4bit_layers(self._model).items():
            if not layer.weight.is_meta:
                self._set(f"{path}.weight", _unpacked(layer, self._type))
        found = {name: self._place(name)[2] for name in self._empty}
        found = {name: part.detach() for name, part in found.items() if not part.is_meta}
        for name in found:
            self._set(name, self._empty[name])
            if self._cast and self._empty[name].requires_grad:  # no buffer
                found[name] = found[name].to(self._type)
        return found

    def _place(self, name: str) -> tuple[Any, str, Any]:
        """Return the module of a tensor, the tensor's name in it, and the tensor."""
        path, _, last = name.rpartition(".")
        module = self._model.get_submodule(path)
        return module, last, getattr(module, last)

    def _set(self, name: str, value: Any) -> None:
        module, last, _ = self._place(name)
        (module._parameters if last in module._parameters else module._buffers)[last] = value


def hollow(part: Any) -> Any:
    """Return a tensor without memory; not on meta, where peft would leave its own weights, too."""
    return torch.zeros((), dtype=part.dtype).expand(part.shape)


def write_blocks(model: Any, blocks: Iterable[Tensors], output: Path) -> None:
    """Write a plain model: its configuration, and its tensors in files of bounded size."""
    model.save_pretrained(output, state_dict={})
    places: dict[str, int] = {}
    count = size = values = 0
    for count, tensors in enumerate(_shards(model, blocks), start=1):
        save_file(tensors, output / _named(count, 0), metadata={"format": "pt"})
        places |= dict.fromkeys(tensors, count)
        size += sum(part.nbytes for part in tensors.values())
        values += sum(part.numel() for part in tensors.values())
        tensors.clear()
        free_memory()
    for number in range(1, count + 1):
        (output / _named(number, 0)).rename(output / _named(number, count))
    if count > 1:
        metadata = {"total_parameters": values, "total_size": size}
        files = {name: _named(number, count) for name, number in places.items()}
        index = {"metadata": metadata, "weight_map": files}
        text = json.dumps(index, indent=2, sort_keys=True) + "\n"
        (output / "model.safetensors.index.json").write_text(text, "utf-8")


def _shards(model: Any, blocks: Iterable[Tensors]) -> Iterator[Tensors]:
    """Yield the tensors under the names of the files, as many at a time as one file has."""
    from transformers.core_model_loading import revert_weight_conversion

    held: Tensors = {}
    for block in blocks:
        tied = model.all_tied_weights_keys
        own = {name: part for name, part in block.items() if name not in tied}
        for name, part in revert_weight_conversion(model, own).items():
            if held and sum(each.nbytes for each in held.values()) + part.nbytes > SHARD_BYTES:
                yield held
                held = {}
            held[name] = part.contiguous()
    yield held


def _named(number: int, of: int) -> str:
    """Return the name of a file of weights, as transformers has it; of 0 while they are written."""
    return "model.safetensors" if of == 1 else f"model-{number:05}-of-{of:05}.safetensors"


def _keys(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield each key of a folder's weights with its file: those of the index where there is one."""
    index = path / "model.safetensors.index.json"
    if index.is_file():
        for key, file in json.loads(index.read_text("utf-8"))["weight_map"].items():
            yield path / file, key
        return
    for file in sorted(path.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            yield from ((file, key) for key in sorted(tensors.keys()))


def _unpacked(layer: Any, dtype: Any) -> Any:
    from transformers.integrations.bitsandbytes import dequantize_bnb_weight
    from transformers.pytorch_utils import Conv1D

    layer.weight.quant_state.dtype = dtype
    plain = dequantize_bnb_weight(layer.weight, layer.weight.quant_state)
    return plain.T.contiguous() if layer.source_cls is Conv1D else plain
