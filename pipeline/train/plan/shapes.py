"""The shape of a decoder from its config.json; its parameters, and those that a method trains."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.core.errors import TrainingError
from pipeline.settings import TrainSettings
from pipeline.train.methods import METHODS
from pipeline.train.plan.catalogue import CATALOGUE

ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")
"""``model_type`` of the decoders whose parameters are counted here: RMSNorm, rotary positions,
grouped-query attention, gated MLP. Another one may have experts or fused layers."""

LORA = tuple(name for name, method in METHODS.items() if method.preset.targets)
"""Methods that put low-rank matrices on linear layers of a choice: LoRA and its kin."""

PROMPTS = ("prefix", "prompt", "p_tuning")
"""Methods that train places before each row."""

BASE = ("full", "selective")
"""Methods that train weights of the base itself."""


@dataclass(frozen=True)
class Linear:
    """One linear layer of a block."""

    name: str
    """As in ``LlamaForCausalLM``: ``q_proj`` to ``down_proj``."""
    inputs: int
    outputs: int
    bias: bool = False

    @property
    def weights(self) -> int:
        """Parameters without the bias."""
        return self.inputs * self.outputs


@dataclass(frozen=True)
class Shape:
    """What decides about the memory and time of a decoder."""

    name: str
    architecture: str
    """``model_type`` of the config."""
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    tied: bool
    """Whether the output head is the embedding."""
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False

    @property
    def queries(self) -> int:
        """Width of the queries, all heads."""
        return self.heads * self.head_size

    @property
    def keys(self) -> int:
        """Width of the keys, and of the values."""
        return self.kv_heads * self.head_size

    @cached_property
    def attention(self) -> tuple[Linear, ...]:
        """Linear layers of the attention of one block."""
        return (
            Linear("q_proj", self.hidden, self.queries, self.qkv_bias),
            Linear("k_proj", self.hidden, self.keys, self.qkv_bias),
            Linear("v_proj", self.hidden, self.keys, self.qkv_bias),
            Linear("o_proj", self.queries, self.hidden, self.output_bias),
        )

    @cached_property
    def mlp(self) -> tuple[Linear, ...]:
        """Linear layers of the MLP of one block."""
        return (
            Linear("gate_proj", self.hidden, self.intermediate, self.mlp_bias),
            Linear("up_proj", self.hidden, self.intermediate, self.mlp_bias),
            Linear("down_proj", self.intermediate, self.hidden, self.mlp_bias),
        )

    @property
    def block(self) -> tuple[Linear, ...]:
        """All linear layers of one block."""
        return self.attention + self.mlp

    @property
    def linear_parameters(self) -> int:
        """Weights of the linear layers of all blocks: what NF4 holds in 4 bits."""
        return self.layers * sum(linear.weights for linear in self.block)

    @property
    def embedding_parameters(self) -> int:
        """Weights of the embedding, and of the head when it has its own."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def norm_parameters(self) -> int:
        """Weights of all RMSNorms."""
        block = 2 * self.hidden + (2 * self.head_size if self.qk_norm else 0)
        return self.layers * block + self.hidden

    @property
    def bias_parameters(self) -> int:
        """Biases of the linear layers."""
        return self.layers * sum(linear.outputs for linear in self.block if linear.bias)

    @property
    def parameters(self) -> int:
        """All parameters, a tied head counted once."""
        return (
            self.linear_parameters
            + self.embedding_parameters
            + self.norm_parameters
            + self.bias_parameters
        )


def read_shape(config: Mapping[str, Any], name: str) -> Shape:
    """Return the shape that a config.json describes; what it leaves out is transformers' default.

    Raises:
        TrainingError: the architecture is not one of :data:`ARCHITECTURES`, or a size is missing.
    """
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        raise TrainingError(
            f"plan: base model {name!r} has model_type {kind!r}; expected one of "
            f"{', '.join(ARCHITECTURES)}, whose parameters can be counted from the config alone; "
            "name a built-in description of about its size with --base"
        )
    try:
        hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        return Shape(
            name=name,
            architecture=str(kind),
            hidden=hidden,
            intermediate=int(config["intermediate_size"]),
            layers=int(config["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_size=int(config.get("head_dim") or (128 if kind == "qwen3" else hidden // heads)),
            vocabulary=int(config["vocab_size"]),
            tied=bool(config.get("tie_word_embeddings", False)),
            qkv_bias=kind == "qwen2" or bool(config.get("attention_bias", False)),
            output_bias=kind != "qwen2" and bool(config.get("attention_bias", False)),
            mlp_bias=kind == "llama" and bool(config.get("mlp_bias", False)),
            qk_norm=kind == "qwen3",
        )
    except KeyError as missing:
        raise TrainingError(
            f"plan: config of {name!r} has no {missing.args[0]!r}; expected the config.json of a "
            f"{kind} model; name its folder with --base"
        ) from missing


def read_folder(folder: Path) -> Shape:
    """Return the shape of the base model in a local folder.

    Raises:
        TrainingError: there is no config.json, or it cannot be read.
    """
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise TrainingError(
            f"plan: no config.json can be read in {folder} ({error}); expected the folder of a "
            f"base model, or one of {', '.join(CATALOGUE)}; correct --base"
        ) from error
    return read_shape(config, folder.resolve().name)


@dataclass(frozen=True)
class Sites:
    """Where a method works in one block."""

    low_rank: tuple[Linear, ...] = ()
    """Layers with matrices of LoRA."""
    bottlenecks: int = 0
    """Adapters on an output as wide as the hidden state."""
    factors: bool = False
    """IA3: a factor on each output of attention's layers and each input of the MLP's."""


def sites(shape: Shape, settings: TrainSettings) -> Sites:
    """Return where the method of the settings works in each block."""
    if settings.method in LORA:
        layers = {"attention": shape.attention, "mlp": shape.mlp}
        return Sites(low_rank=layers.get(settings.targets or "all", shape.block))
    if settings.method == "hybrid":
        return Sites(low_rank=shape.attention, bottlenecks=1)
    found = {"houlsby": Sites(bottlenecks=2), "pfeiffer": Sites(bottlenecks=1)}
    return found.get(settings.method, Sites(factors=settings.method == "ia3"))


def trainable_parameters(shape: Shape, settings: TrainSettings) -> int:
    """Return how many parameters a method trains."""
    method = settings.method
    if method == "full":
        return shape.parameters
    if method == "selective":
        return shape.norm_parameters + shape.bias_parameters
    if method in PROMPTS:
        return _places(shape, settings)
    work, per_block = sites(shape, settings), 0
    if work.low_rank:
        assert settings.rank is not None
        per_block += sum(settings.rank * (part.inputs + part.outputs) for part in work.low_rank)
        if method == "dora":  # a length for each row of each weight
            per_block += sum(part.outputs for part in work.low_rank)
    if work.bottlenecks:
        width = settings.bottleneck
        assert width is not None
        per_block += work.bottlenecks * (2 * shape.hidden * width + width + shape.hidden)
    if work.factors:
        per_block += sum(part.outputs for part in shape.attention)
        per_block += sum(part.inputs for part in shape.mlp)
    return shape.layers * per_block


def _places(shape: Shape, settings: TrainSettings) -> int:
    places = settings.virtual_tokens
    assert places is not None
    if settings.method == "prefix":
        return places * shape.layers * 2 * shape.keys
    network = 2 * (shape.hidden * shape.hidden + shape.hidden)
    return places * shape.hidden + (network if settings.method == "p_tuning" else 0)
