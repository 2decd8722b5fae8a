"""Two reference points for the memory of a 7B model: a stated convention, and a measurement.

The convention is the usual one of documents about fine-tuning: parameters times bytes, a lump for
the adapter, no activations. The measurement is litgpt's own table.
"""

from dataclasses import dataclass

from pipeline.settings import TrainSettings
from pipeline.train.plan.activations import FLOAT32, Batch, activation_bytes, logits_bytes
from pipeline.train.plan.catalogue import CATALOGUE
from pipeline.train.plan.memory import NF4_BYTES
from pipeline.train.plan.shapes import Shape, read_shape

GIGABYTE = 1e9

FULL_BYTES = 12
"""A parameter in full fine-tuning: bfloat16 weight and gradient, two float32 moments of Adam."""
HALF_BYTES = 2
"""A frozen parameter in 16 bits."""

ADAPTER_BYTES = 2e9
"""Adapter, its gradients and moments, and activations of a short row, with LoRA on 7B."""


@dataclass(frozen=True)
class Convention:
    """What the convention says of a method."""

    method: str
    gigabytes: float
    formula: str


def convention(shape: Shape) -> tuple[Convention, ...]:
    """Return the memory by the convention, in GB of 1e9 bytes, for full, LoRA and QLoRA.

    "7B" means 7.0e9 parameters there; so the size is rounded to whole billions from 1 on.
    """
    billions = shape.parameters / GIGABYTE
    nominal = float(round(billions)) if billions >= 1 else billions
    linear = shape.linear_parameters / shape.parameters * nominal
    rest = nominal - linear
    extra = nominal / 7  # the lumps are those of 7B
    quantized = NF4_BYTES * linear + HALF_BYTES * rest
    return (
        Convention("full", FULL_BYTES * nominal, f"{FULL_BYTES} B x {nominal:g}B parameters"),
        Convention(
            "lora",
            HALF_BYTES * nominal + ADAPTER_BYTES / GIGABYTE * extra,
            f"{HALF_BYTES} B x {nominal:g}B + {ADAPTER_BYTES / GIGABYTE * extra:.1f} GB for "
            "adapter, optimizer and short rows",
        ),
        Convention(
            "qlora",
            quantized + ADAPTER_BYTES / GIGABYTE * extra,
            f"{NF4_BYTES:.3f} B x {linear:.2f}B linear + {HALF_BYTES} B x {rest:.2f}B others + "
            f"{ADAPTER_BYTES / GIGABYTE * extra:.1f} GB",
        ),
    )


@dataclass(frozen=True)
class Measured:
    """A published peak, and what the counting of this package says of the same training."""

    method: str
    measured: float
    """GB of 1e9 bytes, ``max_memory_allocated``: without the CUDA context."""
    estimate: float
    about: str


LITGPT_TOKENS = 1304
LITGPT_RANK = 8


def litgpt() -> tuple[Measured, ...]:
    """Compare with litgpt 0.5 (docs: resource tables): Llama-2-7B on an A100, rows of 1,304 tokens.

    Micro batch 1, no gradient checkpointing, LoRA on queries and values alone, everything in
    bfloat16, the head on all tokens.
    """
    shape = read_shape(CATALOGUE["7b"].config, "7b")
    frozen = activation_bytes(
        shape, TrainSettings(method="prompt"), Batch(1, LITGPT_TOKENS, LITGPT_TOKENS), HALF_BYTES
    )
    # Its layers are not fused: norms keep float32, gates their product.
    norms = (2 * shape.layers + 1) * (FLOAT32 - HALF_BYTES) * shape.hidden
    gates = shape.layers * HALF_BYTES * shape.intermediate
    frozen += LITGPT_TOKENS * (norms + gates)
    inputs = HALF_BYTES * (shape.hidden + 2 * LITGPT_RANK) * shape.layers * LITGPT_TOKENS
    logits = logits_bytes(shape, TrainSettings(method="full"), LITGPT_TOKENS, HALF_BYTES)
    adapter = 4 * HALF_BYTES * 4 * LITGPT_RANK * shape.hidden * shape.layers
    passing = (frozen + inputs + logits + adapter) / GIGABYTE
    linear = shape.linear_parameters / GIGABYTE
    rest = shape.parameters / GIGABYTE - linear
    about = f"LoRA r {LITGPT_RANK} on queries and values in bfloat16"
    return (
        Measured("lora", 21.3, HALF_BYTES * (linear + rest) + passing, about),
        Measured("qlora", 13.8, NF4_BYTES * linear + HALF_BYTES * rest + passing, about),
    )
