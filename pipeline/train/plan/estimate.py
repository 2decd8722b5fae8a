"""The plan of a training: memory and time of a method on one piece of hardware, and warnings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipeline.settings import EvaluateSettings, TrainSettings
from pipeline.train.methods import METHODS, of_method, resolved
from pipeline.train.plan.activations import SUPERVISED_SHARE, Batch
from pipeline.train.plan.hardware import Hardware
from pipeline.train.plan.memory import Item, judging, memory, total
from pipeline.train.plan.shapes import BASE, LORA, Shape, trainable_parameters

BITS_PER_PARAMETER = 2.0  # stored (Allen-Zhu & Li 2024, Physics of Language Models 3.3)
BITS_PER_TOKEN = 1.0  # asked for by a supervised one (LoRA Without Regret, Schulman et al. 2025)
LARGE_SHARE = 0.05  # trainable share of a model from which full fine-tuning is worth a look

COARSE = (2, 9)
"""Largest ratio of the bytes that autograd kept to the estimate: small models of 40 architectures
(Mixtral 1.3, DeepSeek V3 3.3 for its latent attention, Bamba 8.6)."""

NF4_SLOWDOWN = 1.56  # litgpt's tables, Llama-2-7B on an A100: 3.68 against 2.36 minutes with NF4
DORA_SLOWDOWN = 1.26  # PEFT's method comparison: 1191 against 942 seconds at rank 32


@dataclass(frozen=True)
class Work:
    """How much is trained on; a row has so many tokens on average."""

    rows: int
    row_tokens: int
    supervised_share: float


@dataclass(frozen=True)
class Plan:
    """What a method takes on one piece of hardware."""

    method: str
    hardware: str
    learning_rate: float
    trainable: int
    share: float
    items: tuple[Item, ...]
    judging: tuple[Item, ...]  # of the evaluation: on a GPU of as many prompts as there is room for
    peak: int  # bytes, the larger of both sums
    fits: bool
    asked: int  # rows in a pass, by the settings
    micro_batch_size: int  # of them those that fit; 0 if not one does
    tokens_per_second: float
    seconds: float
    warnings: tuple[str, ...]


def settings_for(method: str, settings: TrainSettings, width: int) -> TrainSettings:
    """Return resolved settings of a method; a rank that is given counts for LoRA and its kin."""
    if method == settings.method:
        return resolved(settings, width)
    kin = method in LORA and settings.method in LORA
    return of_method(settings, method, width, **({"rank": settings.rank} if kin else {}))


def plan(
    shape: Shape, settings: TrainSettings, batch: Batch, hardware: Hardware, work: Work,
    evaluate: EvaluateSettings, shards: int = 1,
) -> Plan:  # fmt: skip
    """Return the plan of one method on one piece of hardware, of ``shards`` that hold the base."""
    quantized = METHODS[settings.method].quantized
    settings = decided(shape, settings, hardware, shards)

    def items_of(rows: int) -> tuple[Item, ...]:
        supervised = max(1, round(batch.supervised * rows / batch.rows))
        part = replace(batch, rows=rows, supervised=supervised)
        return memory(shape, settings, part, hardware.kind, hardware.value, shards)

    def answers(rows: int) -> tuple[Item, ...]:
        tokens = evaluate.max_tokens
        asked = Batch(rows, tokens, round(SUPERVISED_SHARE * rows * tokens))
        found = judging(shape, settings, asked, hardware.kind, hardware.value)
        halved = hardware.kind == "gpu" and rows > 1 and total(found) > hardware.usable
        return answers(rows // 2) if halved else found

    rows = _fitting(batch.rows, hardware, items_of)
    # On a GPU a pass is halved until there is memory for it.
    items = items_of(rows if rows and hardware.kind == "gpu" else batch.rows)
    judged = answers(evaluate.batch_size)
    peak = max(total(items), total(judged))
    supervised = max(1, round(work.row_tokens * work.supervised_share))
    typical = Batch(1, work.row_tokens, supervised, batch.masked)
    unpacking = quantized and settings.dequantize != "once" and hardware.kind == "gpu"
    slowdown = DORA_SLOWDOWN if settings.method == "dora" else 1.0
    slowdown *= NF4_SLOWDOWN if unpacking else 1.0
    speed = hardware.flops / flops_per_token(shape, settings, typical) / slowdown
    trained = trainable_parameters(shape, settings)
    an_epoch = round(work.rows * work.row_tokens * work.supervised_share)
    assert settings.learning_rate is not None, "resolved"
    return Plan(
        method=settings.method,
        hardware=hardware.name,
        learning_rate=settings.learning_rate,
        trainable=trained,
        share=trained / shape.parameters,
        items=items,
        judging=judged,
        peak=peak,
        fits=peak <= hardware.usable,
        asked=batch.rows,
        micro_batch_size=rows,
        tokens_per_second=speed,
        seconds=work.rows * work.row_tokens * settings.epochs / speed,
        warnings=tuple(warnings(shape, settings, an_epoch)),
    )


def decided(
    shape: Shape, settings: TrainSettings, hardware: Hardware, shards: int = 1
) -> TrainSettings:
    """Return the settings with what a training decides by free memory: when 4 bits are unpacked.

    It looks behind the weights and before the first pass.
    """
    if settings.dequantize != "auto" or hardware.kind == "cpu":
        return settings
    weights = memory(shape, settings, Batch(1, 1, 1), hardware.kind, hardware.value, shards)
    needed = shape.linear_parameters * hardware.value
    fits = shards == 1 and needed <= (hardware.usable - total(weights)) / 2
    return settings.model_copy(update={"dequantize": "once" if fits else "each_time"})


def _fitting(most: int, hardware: Hardware, items_of: Callable[[int], tuple[Item, ...]]) -> int:
    """Return how many rows of a pass fit, as passes are halved on a GPU; 0 if not one does."""
    rows = most
    while rows and total(items_of(rows)) > hardware.usable:
        rows = rows // 2 if hardware.kind == "gpu" else rows - 1
    return rows


def flops_per_token(shape: Shape, settings: TrainSettings, batch: Batch) -> float:
    """Return the floating-point operations of training on one token.

    2 a parameter forward, 2 for the gradients of activations, 2 more where weights are trained
    (Kaplan et al. 2020); the head on supervised tokens only; attention by its length (half of the
    square); checkpointing runs forward twice.
    """
    trained, full = trainable_parameters(shape, settings), settings.method == "full"
    head = shape.vocabulary * shape.hidden * batch.supervised / batch.size
    linear = sum(part.weights * part.count * part.active for part in shape.linear) + head
    forward = 2 * linear + 2 * shape.mixers * shape.queries * batch.tokens
    backward = forward + (2 * linear if full else 0)
    adapter = 0 if settings.method in BASE else 6 * trained
    return forward * (2 if settings.gradient_checkpointing else 1) + backward + adapter


def warnings(shape: Shape, settings: TrainSettings, supervised: int) -> Sequence[str]:
    """Say what speaks against an adapter of this size for this many supervised tokens."""
    found = []
    if not shape.counted:
        found.append(
            f"{shape.name}: its layers are not Llama's, and what they keep for the backward pass "
            f"is estimated from their widths: experts kept up to {COARSE[0]}, layers with a state "
            f"up to {COARSE[1]} times as much; try a pass of the longest rows"
        )
    if settings.method in BASE:
        return found
    trained = trainable_parameters(shape, settings)
    if trained * BITS_PER_PARAMETER < supervised * BITS_PER_TOKEN:
        found.append(
            f"{settings.method}: {trained:,} parameters store about "
            f"{trained * BITS_PER_PARAMETER:,.0f} bits and {supervised:,} supervised tokens ask "
            f"for about {supervised * BITS_PER_TOKEN:,.0f}: too small; raise the rank, or take "
            "another method"
        )
    if (share := trained / shape.parameters) > LARGE_SHARE:
        found.append(
            f"{settings.method}: {share:.1%} of the parameters are trained, above "
            f"{LARGE_SHARE:.0%}: lower the rank, or compare with full fine-tuning"
        )
    return found
