"""The shape of a decoder: its layers by name and size, its parameters, those a method trains.

Read off the model that transformers builds from a config.json on torch's meta device, without
weights.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.core.errors import TrainingError
from pipeline.settings import TrainSettings
from pipeline.train.methods import METHODS, targets
from pipeline.train.models.base_model import empty_model

LORA = tuple(name for name, method in METHODS.items() if method.preset.targets)
"""Methods that put low-rank matrices on linear layers of a choice: LoRA and its kin."""
PROMPTS = ("prefix", "prompt", "p_tuning")  # methods that train places before each row
BASE = ("full", "selective")  # methods that train weights of the base itself
_LLAMA = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


@dataclass(frozen=True)
class Linear:
    """The linear layers of one name and size."""

    name: str
    inputs: int
    outputs: int
    experts: int = 1  # matrices in each, one beside the other
    active: int = 1  # of these, those that a token goes through
    count: int = 1  # layers of the model that are so

    @property
    def weights(self) -> int:
        """Parameters of one matrix, without a bias."""
        return self.inputs * self.outputs

    @property
    def last(self) -> bool:
        """Whether its output joins the residual stream."""
        return self.name in (*targets.AFTER_ATTENTION, *targets.AFTER_MLP)


@dataclass(frozen=True)
class Shape:
    """What decides about the memory and time of a decoder; ``block`` is a class of transformers."""

    name: str
    block: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    attention: tuple[Linear, ...]  # of all blocks; those of linear attention and state spaces, too
    mlp: tuple[Linear, ...]  # of all blocks, experts behind the others
    norms: int  # norms as wide as the hidden state
    head_norms: int  # width of the norms of queries and keys, of all blocks
    window: int | None  # tokens that a layer looks back at most; None: all of them
    eager: bool  # whether scores are in memory: torch's attention does not fit the model
    counted: bool  # whether its layers are Llama's, whose activations are counted tensor by tensor
    parameters: int  # all of them, a tied head counted once
    language: int  # of these, those of the language model: without its eyes
    vectors: int  # of these, norms and biases
    linear_parameters: int
    """Weights of all linear layers but the head: what NF4 holds in 4 bits. Stacked experts, which
    bitsandbytes leaves alone, are not among them."""

    @property
    def queries(self) -> int:
        """Width of the queries, all heads."""
        return self.heads * self.head_size

    @property
    def keys(self) -> int:
        """Width of the keys, and of the values."""
        return self.kv_heads * self.head_size

    @property
    def linear(self) -> tuple[Linear, ...]:
        """All linear layers that a method may work on."""
        return self.attention + self.mlp

    @property
    def apart(self) -> int:
        """Parameters of an embedding that is no head: of its file, only rows in use are read."""
        table = self.vocabulary * self.hidden
        return table if self.parameters - self.linear_parameters >= 2 * table else 0

    @cached_property
    def mixers(self) -> int:
        """Layers in which tokens see each other: a block has one."""
        return sum(part.count for part in self.attention if part.last) or self.layers

    @cached_property
    def inner(self) -> int:
        """Width that the last layers of all MLPs read, for one token."""
        return sum(part.inputs * part.count * part.active for part in self.mlp if part.last)


def low_rank_parameters(layers: Iterable[Linear]) -> int:
    """Return the parameters of LoRA of rank 1 on layers."""
    return sum(part.count * part.experts * (part.inputs + part.outputs) for part in layers)


def read_shape(config: Mapping[str, Any], name: str) -> Shape:
    """Return the shape of a config.json; TrainingError where transformers has no such model."""
    sizes = {key: value for key, value in config.items() if key != "quantization_config"}
    return shape_of(empty_model(sizes), name)


def shape_of(model: Any, name: str) -> Shape:
    """Return the shape of a model; its weights are not read."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    found, head = targets.find_targets(model), model.get_output_embeddings()
    text, named = model.config.get_text_config(), dict(model.named_modules())
    heads, hidden = int(getattr(text, "num_attention_heads", 1)), int(text.hidden_size)
    active = getattr(text, "num_experts_per_tok", None) or 1

    def measured(path: str) -> tuple[Any, ...]:
        name = path.rpartition(".")[2]
        if path not in named:  # stacked experts: (outputs, inputs) each, or the other way
            experts, *sides = model.get_parameter(path).shape
            other = sides[1] if sides[0] == hidden else sides[0]
            inputs, outputs = (other, hidden) if name in targets.AFTER_MLP else (hidden, other)
            return name, inputs, outputs, experts, min(active, experts)
        rows, columns = named[path].weight.shape
        gpt2 = isinstance(named[path], Conv1D)
        return (name, rows, columns) if gpt2 else (name, columns, rows)

    def counted(paths: Iterable[str]) -> tuple[Linear, ...]:
        sizes = Counter(map(measured, paths))
        return tuple(replace(Linear(*size), count=count) for size, count in sizes.items())

    def size(names: Iterable[str]) -> int:
        return sum({id(part): part.numel() for part in map(model.get_parameter, names)}.values())

    norms = [
        (path.rpartition(".")[2], part.weight.shape[-1])
        for path, part in model.get_decoder().named_modules()
        if "Norm" in type(part).__name__ and getattr(part, "weight", None) is not None
    ]
    kv_heads = int(getattr(text, "num_key_value_heads", None) or heads)
    head_size = int(getattr(text, "head_dim", None) or hidden // heads)
    fused = all(hasattr(named[path], "variance_epsilon") for path in named if path.endswith("norm"))
    names = {path.rpartition(".")[2] for path in (*found.attention, *found.mlp)}
    of_heads = {"q_norm": heads * head_size, "k_norm": kv_heads * head_size}
    kinds = set(getattr(text, "layer_types", None) or ())
    windowed = kinds & {"sliding_attention", "chunked_attention"}
    window = getattr(text, "sliding_window", None) or getattr(text, "attention_chunk_size", None)
    linear = (part for part in named.values() if isinstance(part, nn.Linear | Conv1D))
    return Shape(
        name=name,
        block=min(model._no_split_modules or (), default=""),
        hidden=hidden,
        layers=int(text.num_hidden_layers),
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        vocabulary=int(model.get_input_embeddings().weight.shape[0]),
        attention=counted(found.attention),
        mlp=counted(found.mlp + found.experts),
        norms=sum(width == hidden for name, width in norms if name not in of_heads),
        head_norms=sum(of_heads.get(name, 0) for name, _ in norms),
        window=window if windowed or not hasattr(text, "layer_types") else None,
        eager=not model._supports_sdpa,
        counted=fused and not found.experts and model._supports_sdpa and names <= _LLAMA,
        parameters=sum(part.numel() for part in model.parameters()),
        language=size(targets.text_parameters(model)),
        vectors=size(targets.norms_and_biases(model)),
        linear_parameters=sum(part.weight.numel() for part in linear if part is not head),
    )


def read_folder(folder: Path) -> Shape:
    """Return the shape of the base model in a folder; raises TrainingError without a config."""
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise TrainingError(
            f"plan: no config.json can be read in {folder} ({error}); expected the folder of a "
            "base model, or a name that `tuneloop plan --help` lists; correct --base"
        ) from error
    return read_shape(config, folder.resolve().name)


def low_rank(shape: Shape, settings: TrainSettings) -> tuple[Linear, ...]:
    """Return the layers that a method puts low-rank matrices on."""
    kind = "attention" if settings.method == "hybrid" else settings.targets or "all"
    layers = {"attention": shape.attention, "mlp": shape.mlp}.get(kind, shape.linear)
    return layers if settings.method in (*LORA, "hybrid") else ()


def bottlenecks(shape: Shape, method: str) -> int:
    """Return how many adapters a method puts on outputs as wide as the hidden state."""
    mlps = sum(part.count for part in shape.mlp if part.last)
    return {"hybrid": mlps, "houlsby": shape.mixers + mlps, "pfeiffer": mlps}.get(method, 0)


def trainable_parameters(shape: Shape, settings: TrainSettings) -> int:
    """Return how many parameters a method trains."""
    method = settings.method
    if method in BASE:
        return shape.language if method == "full" else shape.vectors
    if method in PROMPTS:
        places = settings.virtual_tokens
        assert places is not None
        network = 2 * (shape.hidden * shape.hidden + shape.hidden) * (method == "p_tuning")
        width = shape.layers * 2 * shape.keys if method == "prefix" else shape.hidden
        return places * width + network
    layers = low_rank(shape, settings)
    found = (settings.rank or 0) * low_rank_parameters(layers)
    if method == "dora":  # a length for each row of each weight
        found += sum(part.count * part.outputs for part in layers)
    narrow = settings.bottleneck or 0
    found += bottlenecks(shape, method) * (2 * shape.hidden * narrow + narrow + shape.hidden)
    if method == "ia3":  # on each output of attention's layers and each input of the MLP's
        found += sum(part.count * part.outputs for part in shape.attention)
        found += sum(part.count * part.inputs for part in shape.mlp if part.experts == 1)
    return found
