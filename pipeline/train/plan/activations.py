"""What the forward pass keeps for the backward pass, counted tensor by tensor.

Derived from what autograd saves in the decoders of transformers 5.23 with the layers of
:mod:`pipeline.train.loop.fused`, and SDPA attention or that of :mod:`.cpu.attention`. A test finds
the same bytes in real models, method by method, for Llama and its kin (``Shape.counted``); for
others the widths of their layers stand in.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.settings import TrainSettings
from pipeline.train.batch.batches import PIECE, sized
from pipeline.train.plan.shapes import PROMPTS, Linear, Shape, bottlenecks, low_rank

FLOAT32 = 4  # bytes of a value: adapters, norms and the loss are computed in float32
SUPERVISED_SHARE = 1 / 3  # trained tokens among all when no rows are known
DISTILLED_LOGITS = 8  # tensors of the size of the logits at the peak of a distillation


@dataclass(frozen=True)
class Batch:
    """One forward pass."""

    rows: int
    tokens: int  # of each row, padding included; with packing of all rows together, as one row
    supervised: int
    masked: bool = False  # whether attention gets a mask: packed rows do, padded ones do without

    @property
    def size(self) -> int:
        """Tokens in the pass."""
        return self.rows * self.tokens


def full_batch(
    settings: TrainSettings, share: float = SUPERVISED_SHARE, device: str = "cpu"
) -> Batch:
    """Return the largest pass there can be: every row as long as train.max_tokens allows.

    Rows that a GPU packs keep what padded ones of that length do: each attends alone.
    """
    tokens, settings = settings.max_tokens, sized(settings, device)
    assert settings.micro_batch_size and settings.micro_batch_tokens, "sized"
    if settings.packing and device == "cpu":
        return Batch(1, tokens, round(share * tokens), masked=True)
    room = max(1, settings.micro_batch_tokens // tokens)
    rows = min(settings.micro_batch_size, settings.batch_size, room)
    return Batch(rows, tokens, round(share * rows * tokens))


def largest_batch(
    passes: Iterable[Sequence[int]], lengths: Sequence[int], supervised: Sequence[int], *,
    packing: bool = False,
) -> Batch:  # fmt: skip
    """Return the pass with the most tokens, padding included."""

    def of(rows: Sequence[int]) -> Batch:
        long, trained = [lengths[row] for row in rows], sum(supervised[row] for row in rows)
        shape = (1, sum(long)) if packing else (len(rows), max(long))
        return Batch(*shape, trained, masked=packing)

    return max(map(of, passes), key=lambda batch: (batch.size, batch.supervised))


def activation_bytes(
    shape: Shape, settings: TrainSettings, batch: Batch, value: int, *, cpu: bool = False
) -> int:
    """Return the bytes that a pass keeps, without the logits, for values of 2 or 4 bytes."""
    method, places = settings.method, settings.virtual_tokens or 0
    tokens = batch.tokens + (places if method in ("prompt", "p_tuning") else 0)
    masked = batch.masked or tokens > (shape.window or tokens)
    blocks = cpu and value < FLOAT32 and not (masked or shape.eager)
    attention = _attention(shape, value, blocks)
    apart = settings.method == "dora" or bool(settings.dropout)  # LoRA is not fused, in float32
    # Attention's last layer may keep its input as it is; SDPA keeps that as its output.
    adapted = any(part.last for part in low_rank(shape, settings) if part in shape.attention)
    if blocks and (method == "full" or (adapted and not (apart and value < FLOAT32))):
        attention += value * _attended(shape)
    if shape.eager:  # its scores, in the compute type and, as a softmax, in float32
        attention += tokens * shape.heads * shape.mixers * (2 * value + FLOAT32)
    if masked or shape.eager or (method == "prefix" and not blocks):
        # Keys and values are repeated for all heads, and each block keeps a mask of its own.
        mask = tokens + (places if method == "prefix" else 0)
        attention += value * shape.mixers * (2 * (shape.queries - shape.keys) + mask)
    every = (shape.norms - 1) * _norm(shape, value) + attention
    every += (value + FLOAT32 // shape.head_size) * shape.head_norms
    every += value * _between(shape) + _trained(shape, settings, value, apart)
    rotary = 2 * value * shape.head_size  # the same for all rows
    if settings.gradient_checkpointing:  # the input of each block, and one block made again
        kept = shape.layers * value * shape.hidden + every // shape.layers
    else:
        kept = every - _unreached(shape, settings, value, blocks)
    found = batch.rows * tokens * (kept + _norm(shape, value)) + tokens * rotary
    if method == "prefix":  # its own keys and values, for all heads or for theirs
        heads = shape.keys if blocks else shape.queries
        found += batch.rows * places * shape.layers * value * 2 * heads
    return found


def logits_bytes(
    shape: Shape, settings: TrainSettings, supervised: int, value: int, piece: int = PIECE
) -> int:
    """Return the bytes of the logits at their peak, when their gradient is made.

    The log of the softmax and its gradient in float32, and from bfloat16 the gradient in that type;
    behind a frozen head of a piece of the tokens at a time, while the gradient of the states stays.
    Distillation holds them whole, of both models, with three tensors of their divergence.
    """
    if settings.distill_model is not None and settings.distill_weight:
        return supervised * shape.vocabulary * DISTILLED_LOGITS * FLOAT32
    if settings.method == "full":
        return supervised * shape.vocabulary * (2 * FLOAT32 + (value if value < FLOAT32 else 0))
    pieces = min(supervised, piece) * shape.vocabulary * 2 * FLOAT32
    return pieces + states_bytes(shape, supervised, value)


def states_bytes(shape: Shape, supervised: int, value: int) -> int:
    """Return the bytes of the gradient that the loss keeps behind a frozen head."""
    return supervised * shape.hidden * value


def _norm(shape: Shape, value: int) -> int:
    return value * shape.hidden + FLOAT32


def _attended(shape: Shape) -> int:
    return sum(part.inputs * part.count for part in shape.attention if part.last)


def _attention(shape: Shape, value: int, blocks: bool) -> int:
    """Return the bytes of queries, keys and values in all blocks; SDPA keeps its output, too."""
    kept = sum(part.outputs * part.count for part in shape.attention if not part.last)
    if blocks:
        return value * kept
    return value * (kept + _attended(shape)) + FLOAT32 * shape.heads * shape.mixers


def _between(shape: Shape) -> int:
    """Return how many values of all MLPs wait between their layers, for one token."""
    first = [part for part in shape.mlp if not part.last]
    kept = sum(part.outputs * part.count * part.active for part in first)
    # silu(gate) * up keeps gate and up where it is one function; else its first factor as well.
    apart = kept > shape.inner and "gate_proj" not in {part.name for part in first}
    return kept + shape.inner * apart


def _trained(shape: Shape, settings: TrainSettings, value: int, apart: bool) -> int:
    """Return the bytes a token leaves behind in all blocks because something in them is trained."""
    method = settings.method
    if method == "full":  # the inputs of the linear layers, but for attention's last
        return value * _inputs(shape, shape.linear)
    kept = 0
    if layers := low_rank(shape, settings):
        assert settings.rank is not None
        rank = settings.rank * (2 if method == "pissa" else 1)  # beside its frozen half
        own = FLOAT32 if apart else value
        kept += own * rank * sum(part.count * part.active for part in layers)
        if value < own:  # each layer makes a copy of its own
            kept += sum(own * part.inputs * part.count * part.active for part in layers)
        else:
            kept += own * _inputs(shape, layers)
        names = {part.name for part in shape.mlp if part in layers}
        if not apart and {"gate_proj", "down_proj"} <= names:
            kept -= value * shape.inner  # made again from gate and up
        if method == "dora":  # the product of each layer, and of its matrices, to be scaled
            kept += sum((FLOAT32 + value) * part.outputs * part.count for part in layers)
    kept += bottlenecks(shape, method) * FLOAT32 * (shape.hidden + (settings.bottleneck or 0))
    if method == "ia3":  # what each factor multiplies; from bfloat16 gate and up copy their input
        copies = 2 if value < FLOAT32 else 1
        kept += value * sum(part.outputs * part.count for part in shape.attention)
        first = _inputs(shape, tuple(part for part in shape.mlp if not part.last))
        kept += FLOAT32 * (copies * first + shape.inner)
    return kept


def _inputs(shape: Shape, layers: tuple[Linear, ...]) -> int:
    """Return how many values the layers of all blocks read, for one token.

    Layers with one input share it, and that of attention's last layer is counted with attention.
    """
    found = sum(p.inputs * p.count * p.active for p in layers if p.last and p in shape.mlp)
    for kind, most in ((shape.attention, shape.mixers), (shape.mlp, shape.layers)):
        readers: Counter[int] = Counter()
        for part in layers:
            if part in kind and not part.last:
                readers[part.inputs] += part.count
        found += sum(width * min(count, most) for width, count in readers.items())
    return found


def _unreached(shape: Shape, settings: TrainSettings, value: int, blocks: bool) -> int:
    """Return what the first block does not keep, since nothing before it is trained."""
    method, attention = settings.method, _attention(shape, value, blocks) // shape.layers
    if method in ("full", "selective", *PROMPTS[1:]):
        return 0
    found = _norm(shape, value)
    if method in ("houlsby", "pfeiffer"):
        found += attention
    if method == "pfeiffer":
        found += _norm(shape, value) + value * _between(shape) // shape.layers
    if settings.targets == "mlp":
        found += attention + _norm(shape, value)
    return found
