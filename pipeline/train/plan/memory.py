"""The peak memory of a training and of its evaluation, item by item; a merge takes less.

Beside it what the usual convention says: parameters times bytes, and a lump for LoRA.
"""

from dataclasses import dataclass
from typing import Any, Literal

from pipeline.settings import TrainSettings
from pipeline.train.batch.batches import GPU_PIECE, PIECE
from pipeline.train.methods import METHODS
from pipeline.train.plan.activations import FLOAT32, Batch, activation_bytes, logits_bytes
from pipeline.train.plan.shapes import BASE, Shape, read_folder, trainable_parameters

Kind = Literal["cpu", "gpu"]

NF4_BYTES = 0.5 + 1 / 64 + FLOAT32 / (64 * 256)
"""Bytes of a weight in NF4 with double quantization: 4 bits, an 8-bit scale for each block of 64,
a float32 scale for each 256 of those (4.127 bits: Dettmers et al. 2023, section 3)."""

CPU_RUNTIME = 700 * 2**20
"""Interpreter and libraries on a CPU, without a model, a tokenizer of 49,152 words, and what the
first step adds (measured: 671, 40 and 26 MB of 1e6 bytes, torch 2.13, transformers 5.23)."""

GPU_RUNTIME = 600 * 2**20  # CUDA context, workspaces of cuBLAS: 0.5 to 0.7 GB on current cards
GPU_RETAINED = 0.05  # what torch's caching allocator holds, as a share of what comes and goes

CPU_RETAINED = 0.8
"""The same of glibc's malloc, which keeps freed pieces of less than 32 MB, and of what oneDNN
compiled; ``python -m tests.benchmarks.plan_accuracy`` holds it against measured peaks."""

GIGABYTE = 1e9
FULL_BYTES = 12  # bfloat16 weight and gradient, two float32 moments of Adam
HALF_BYTES = 2
ADAPTER_GIGABYTES = 2.0  # adapter, gradients, moments, activations of a short row, with LoRA on 7B

LITGPT = (
    "litgpt measured Llama-2-7B on an A100 at 1304 tokens, micro batch 1; counted as here for the "
    "same training: lora 21.3 GB, counted 19.8 (-7%); qlora 13.8 GB, counted 10.2 (-26%). That is "
    "LoRA on queries and values in bfloat16; the estimate above is of all linear layers, which "
    "keep their inputs, in float32."
)
"""A published peak beside our counting: litgpt 0.5, resource tables; a test counts it again."""


@dataclass(frozen=True)
class Item:
    """One part of the memory."""

    name: str
    bytes: int
    about: str


def memory(
    shape: Shape, settings: TrainSettings, batch: Batch, kind: Kind, value: int, shards: int = 1
) -> tuple[Item, ...]:
    """Return what is in memory at the peak of a training step, for values of 2 bytes or 4.

    Of ``shards`` processes each holds its share of the frozen blocks, and three of them whole.
    """
    trained = trainable_parameters(shape, settings)
    # Paged ones count as if they stayed; those in 8 bits have a scale for each 256 values.
    paged = kind == "gpu" and settings.method == "full"  # by "auto", as the loop's optimizer is
    small = "8bit" in settings.optimizer or (settings.optimizer == "auto" and paged)
    moments = 2 * (1 + FLOAT32 / 256) if small else 2.0 * FLOAT32
    unpacked = shards == 1 and unpacked_once(settings, kind)
    packed = METHODS[settings.method].quantized and not unpacked
    whole = settings.method in BASE
    items = _weights(shape, settings, packed, value, trained if whole else 0)
    if shards > 1:
        items = _spread(shape, items, packed, value, shards)
    name = "trained weights" if whole else "adapter"
    items.append(Item(name, trained * FLOAT32, "float32"))
    if whole and value < FLOAT32:
        items.append(Item("rounded weights", trained * value, "what the forward pass sees"))
    if settings.distill_model is not None and settings.distill_weight:
        teacher = read_folder(settings.distill_model)
        size = (teacher.parameters - (teacher.apart if kind == "cpu" else 0)) * value
        items.append(Item("teacher", size, "distilled from, frozen"))
    gradients = trained * FLOAT32
    if settings.method == "full":  # that of the head comes rounded and is copied before it is added
        gradients += shape.vocabulary * shape.hidden * (value % FLOAT32 + FLOAT32)
    items += [
        Item("gradients", gradients, "of what is trained, float32"),
        Item("optimizer", round(trained * moments), f"two moments of AdamW, {moments:.3g} bytes"),
        Item("best step", trained * FLOAT32, "what is kept of the best step so far"),
    ]
    activations = activation_bytes(shape, settings, batch, value, cpu=kind == "cpu")
    piece = PIECE if kind == "cpu" else GPU_PIECE
    logits = logits_bytes(shape, settings, batch.supervised, value, piece)
    workspace = _workspace(shape, settings, packed, batch, value)
    return (
        *items,
        Item("activations", activations, "kept for the backward pass"),
        Item("logits", logits, f"of {batch.supervised:,} supervised tokens, and their gradient"),
        Item("workspace", workspace, "what one layer needs while it computes"),
        # Pieces of the logits are large enough for glibc to hand them back at once.
        *_machine(kind, activations + workspace + (logits if kind == "gpu" else 0)),
    )


def unpacked_once(settings: TrainSettings, kind: Kind) -> bool:
    """Whether a base in 4 bits is unpacked; on a GPU the plan has put what fits for "auto"."""
    return settings.dequantize == "once" or (settings.dequantize == "auto" and kind == "cpu")


def judging(
    shape: Shape, settings: TrainSettings, batch: Batch, kind: Kind, value: int
) -> tuple[Item, ...]:
    """Return what is in memory while the trained model answers a batch of the test set.

    Keys and values twice: the references are scored with a copy of those of the prompts. A 4-bit
    base is unpacked where there is room: not counted.
    """
    packed = METHODS[settings.method].quantized and kind == "gpu"
    items = _weights(shape, settings, packed, value)
    if settings.method not in BASE:
        trained = trainable_parameters(shape, settings)
        items.append(Item("adapter", trained * FLOAT32, "float32"))
    keys = 2 * 2 * shape.keys * shape.mixers * value * batch.size
    passing = _workspace(shape, settings, packed, batch, value)
    logits = batch.supervised * shape.vocabulary * value
    logits += 2 * batch.supervised // batch.rows * shape.vocabulary * FLOAT32  # a row at a time
    return (
        *items,
        Item("keys and values", keys, f"of {batch.rows} prompts with their answers, twice"),
        Item("logits", logits, f"of {batch.supervised:,} tokens of references"),
        Item("workspace", passing, "what one layer needs while it computes"),
        *_machine(kind, keys + logits + passing),
    )


def _weights(
    shape: Shape, settings: TrainSettings, packed: bool, value: int, trained: int = 0
) -> list[Item]:
    """Return the weights of the base, but for those that are trained."""
    frozen, linear = shape.parameters - trained, shape.linear_parameters
    if packed:
        rest = (frozen - linear) * value
        return [
            Item("weights", rest, "embedding, head and norms, in the compute type"),
            Item("quantized weights", round(linear * NF4_BYTES), "linear layers in NF4"),
        ]
    about = "frozen, in the compute type"
    if METHODS[settings.method].quantized:
        about += ": NF4, unpacked once (train.dequantize)"
    return [Item("weights", frozen * value, about)]


def _spread(shape: Shape, items: list[Item], packed: bool, value: int, shards: int) -> list[Item]:
    """Return the weights of the base as one of several processes holds them (FSDP2).

    The scales of NF4 stay whole on each.
    """
    blocks = round(shape.linear_parameters * (0.5 if packed else value))
    rest = sum(item.bytes for item in items) - blocks
    gathered = 3 * blocks // shape.layers
    return [
        Item("weights", rest + blocks // shards, f"a share of the blocks: one of {shards}"),
        Item("gathered blocks", gathered, "the one that computes, the next, and its buffer"),
    ]


def _machine(kind: Kind, passing: int) -> tuple[Item, Item]:
    """Return what allocator and runtime hold while so many bytes come and go."""
    share, size = (CPU_RETAINED, CPU_RUNTIME) if kind == "cpu" else (GPU_RETAINED, GPU_RUNTIME)
    return (
        Item("allocator", round(share * passing), "held, but not asked for"),
        Item("runtime", size, "interpreter and libraries, or the context of the GPU"),
    )


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


def convention(shape: Shape) -> list[dict[str, Any]]:
    """Return the memory by the convention: ``method``, ``gigabytes`` of 1e9 bytes and ``formula``.

    Of full, LoRA and QLoRA. "7B" means 7.0e9 parameters there; so the size is rounded to whole
    billions from 1 on.
    """
    billions = shape.parameters / GIGABYTE
    nominal = float(round(billions)) if billions >= 1 else billions
    linear = shape.linear_parameters / shape.parameters * nominal
    rest = nominal - linear
    extra = ADAPTER_GIGABYTES * nominal / 7
    half = f"{HALF_BYTES} B x {nominal:g}B + {extra:.1f} GB for adapter, optimizer and short rows"
    packed = f"{NF4_BYTES:.3f} B x {linear:.2f}B linear + {HALF_BYTES} B x {rest:.2f}B others"
    rows = (
        ("full", FULL_BYTES * nominal, f"{FULL_BYTES} B x {nominal:g}B parameters"),
        ("lora", HALF_BYTES * nominal + extra, half),
        ("qlora", NF4_BYTES * linear + HALF_BYTES * rest + extra, f"{packed} + {extra:.1f} GB"),
    )
    return [dict(zip(("method", "gigabytes", "formula"), row, strict=True)) for row in rows]
