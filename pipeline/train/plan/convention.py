"""The memory of a training by the usual convention: parameters times bytes, and a lump for LoRA."""

from dataclasses import dataclass

from pipeline.train.plan.memory import NF4_BYTES
from pipeline.train.plan.shapes import Shape

GIGABYTE = 1e9
FULL_BYTES = 12
"""A parameter in full fine-tuning: bfloat16 weight and gradient, two float32 moments of Adam."""
HALF_BYTES = 2
ADAPTER_GIGABYTES = 2.0
"""Adapter, its gradients and moments, and activations of a short row, with LoRA on 7B."""

LITGPT = (
    "litgpt measured Llama-2-7B on an A100 at 1304 tokens, micro batch 1; counted as here for the "
    "same training: lora 21.3 GB, counted 19.8 (-7%); qlora 13.8 GB, counted 10.2 (-26%). That is "
    "LoRA on queries and values in bfloat16; the estimate above is of all linear layers, which "
    "keep their inputs, in float32."
)
"""A published peak beside our counting: litgpt 0.5, resource tables; a test counts it again."""


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
    extra = ADAPTER_GIGABYTES * nominal / 7
    half = f"{HALF_BYTES} B x {nominal:g}B + {extra:.1f} GB for adapter, optimizer and short rows"
    packed = f"{NF4_BYTES:.3f} B x {linear:.2f}B linear + {HALF_BYTES} B x {rest:.2f}B others"
    return (
        Convention("full", FULL_BYTES * nominal, f"{FULL_BYTES} B x {nominal:g}B parameters"),
        Convention("lora", HALF_BYTES * nominal + extra, half),
        Convention(
            "qlora", NF4_BYTES * linear + HALF_BYTES * rest + extra, f"{packed} + {extra:.1f} GB"
        ),
    )
