"""The peak memory of a training, item by item."""

from dataclasses import dataclass
from typing import Literal

from pipeline.settings import TrainSettings
from pipeline.train.methods import METHODS
from pipeline.train.models.quantized import dequantizes_once
from pipeline.train.plan.activations import FLOAT32, Batch, activation_bytes, logits_bytes
from pipeline.train.plan.shapes import BASE, Shape, read_folder, trainable_parameters

Kind = Literal["cpu", "gpu"]

NF4_BYTES = 0.5 + 1 / 64 + FLOAT32 / (64 * 256)
"""Bytes of a weight in NF4 with double quantization: 4 bits, an 8-bit scale for each block of 64,
a float32 scale for each 256 of those (4.127 bits: Dettmers et al. 2023, section 3)."""

MEBIBYTE = 2**20

CPU_RUNTIME = 660 * MEBIBYTE
"""Interpreter, libraries and their tables, resident on a CPU before the base model is loaded, and
what the first step adds (measured: 663 + 26 MB of 1e6 bytes, torch 2.13, transformers 5.23)."""

GPU_RUNTIME = 600 * MEBIBYTE
"""CUDA context and the workspaces of cuBLAS: 0.5 to 0.7 GB on current cards."""

GPU_RETAINED = 0.05
"""What torch's caching allocator holds beyond what is asked for, as a share of activations, logits
and workspace."""

CPU_RETAINED = 0.8
"""The same of glibc's malloc, which keeps freed pieces of less than 32 MB between others that live
on, and of what oneDNN compiled. ``python -m tests.benchmarks.plan_accuracy`` holds it against
measured peaks."""


@dataclass(frozen=True)
class Item:
    """One part of the memory."""

    name: str
    bytes: int
    about: str


def memory(
    shape: Shape, settings: TrainSettings, batch: Batch, kind: Kind, value: int
) -> tuple[Item, ...]:
    """Return what is in memory at the peak of a training step; the sum is the peak.

    A value of the compute type has 2 bytes (bfloat16) or 4.

    Raises:
        TrainingError: a model that is distilled from cannot be counted.
    """
    trained, moments = trainable_parameters(shape, settings), moment_bytes(settings, kind)
    quantized = METHODS[settings.method].quantized
    whole = settings.method in BASE
    frozen = shape.parameters - (trained if whole else 0)
    items = []
    once = dequantizes_once(settings, {"cpu": "cpu", "gpu": "cuda"}[kind])
    if quantized and not once:
        linear = shape.linear_parameters
        rest = (frozen - linear) * value
        items += [
            Item("weights", rest, "embedding, head and norms, in the compute type"),
            Item("quantized weights", round(linear * NF4_BYTES), "linear layers in NF4"),
        ]
    else:
        about = "frozen, in the compute type"
        if quantized:
            about += ": NF4, unpacked once (train.dequantize)"
        items.append(Item("weights", frozen * value, about))
    name = "trained weights" if whole else "adapter"
    items.append(Item(name, trained * FLOAT32, "float32"))
    if whole and value < FLOAT32:
        items.append(Item("rounded weights", trained * value, "what the forward pass sees"))
    if settings.distill_model is not None and settings.distill_weight:
        teacher = read_folder(settings.distill_model)
        items.append(Item("teacher", teacher.parameters * value, "distilled from, frozen"))
    items += [
        Item("gradients", trained * FLOAT32, "of what is trained, float32"),
        Item("optimizer", round(trained * moments), f"two moments of AdamW, {moments:.3g} bytes"),
        Item("best step", trained * FLOAT32, "what is kept of the best step so far"),
    ]
    activations = activation_bytes(shape, settings, batch, value, cpu=kind == "cpu")
    logits = logits_bytes(shape, settings, batch.supervised, value)
    workspace = _workspace(shape, settings, quantized and not once, batch, value)
    retained = CPU_RETAINED if kind == "cpu" else GPU_RETAINED
    slack = round(retained * (activations + logits + workspace))
    runtime = CPU_RUNTIME if kind == "cpu" else GPU_RUNTIME
    return (
        *items,
        Item("activations", activations, "kept for the backward pass"),
        Item("logits", logits, f"of {batch.supervised:,} supervised tokens, and their gradient"),
        Item("workspace", workspace, "what one layer needs while it computes"),
        Item("allocator", slack, "held, but not asked for"),
        Item("runtime", runtime, "interpreter and libraries, or the context of the GPU"),
    )


def moment_bytes(settings: TrainSettings, kind: Kind) -> float:
    """Return the bytes of both moments of a parameter.

    In 8 bits a value has a byte, and a block of 256 a float32 scale (Dettmers et al. 2022). Paged
    ones count as if they stayed: they move to the host only when memory is short.
    """
    name = settings.optimizer
    if name == "auto":  # as pipeline.train.loop.optimizers chooses
        name = "paged_adamw_8bit" if kind == "gpu" else "adamw"
    return 2 * (1 + FLOAT32 / 256) if "8bit" in name else 2.0 * FLOAT32


def _workspace(
    shape: Shape, settings: TrainSettings, quantized: bool, batch: Batch, value: int
) -> int:
    """Return the bytes that come and go: gradients of one block's activations, one weight."""
    inner = -(-shape.inner // shape.layers)
    passing = batch.size * (2 * inner + 2 * shape.hidden) * FLOAT32
    largest = max(layer.weights for layer in shape.linear)
    weight = largest * value if quantized else 0
    if settings.method == "dora":  # the changed weight in float32, for the length of its rows
        weight += 2 * largest * FLOAT32
    return passing + weight


def total(items: tuple[Item, ...]) -> int:
    """Return the sum of all items, in bytes."""
    return sum(item.bytes for item in items)
