"""Kernels of Liger (Hsu et al. 2024): one launch for each norm, gate and rotation, in Triton.

They come with ``tuneloop[gpu]``. Each is used where it has the results of a layer's own functions
alone (:func:`pipeline.train.loop.fused.fused`). Its loss is not: ours makes the same pieces of the
logits (:class:`pipeline.train.batch.loss.HeadLoss`), larger ones, so that the head is read less.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from liger_kernel.ops.rms_norm import LigerRMSNormFunction
from liger_kernel.ops.rope import LigerRopeFunction
from liger_kernel.ops.swiglu import swiglu_backward, swiglu_forward
from torch import Tensor

MAX_ERROR = 0.01  # relative difference to a family's own rotation that rounding explains
ROTATE = "apply_rotary_pos_emb"  # its name in transformers' models


def normalize(inputs: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Return RMSNorm of (..., width): computed in float32, rounded, then weighted, as Llama's."""
    return cast(Tensor, LigerRMSNormFunction.apply(inputs, weight, epsilon, 0.0, "llama", False))


def silu_mul(gate: Tensor, up: Tensor) -> Tensor:
    """Return ``silu(gate) * up``."""
    return cast(Tensor, swiglu_forward(gate, up)[2])


def silu_mul_backward(above: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of gate and up, written in their place."""
    return cast("tuple[Tensor, Tensor]", swiglu_backward(gate, up, above.contiguous()))


@contextmanager
def rotary(model: Any) -> Iterator[bool]:
    """Let a model rotate queries and keys in one launch while it trains; yields whether it does."""
    found = [part for part in model.modules() if hasattr(part, "rotary_emb")]
    kinds = type(found[0]).__mro__ if found else ()  # FSDP2 puts a class of its own in front
    modules = (sys.modules[kind.__module__] for kind in kinds)
    module = next((each for each in modules if hasattr(each, ROTATE)), None)
    own = getattr(module, ROTATE, None)
    if own is None or not _same(own, found[0]):
        yield False
        return
    setattr(module, ROTATE, _instead_of(own))
    try:
        yield True
    finally:
        setattr(module, ROTATE, own)


def _instead_of(own: Callable[..., Any]) -> Callable[..., Any]:
    def rotate(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1) -> Any:
        if unsqueeze_dim != 1 or cos.shape[-1] != q.shape[-1]:
            return own(q, k, cos, sin, unsqueeze_dim)
        return LigerRopeFunction.apply(q, k, cos, sin)

    return rotate


def _same(own: Callable[..., Any], decoder: Any) -> bool:
    """Whether Liger's rotation has the outputs and gradients of a family's own."""
    device, dtype = decoder.device, decoder.dtype
    generator = torch.Generator().manual_seed(0)
    positions = torch.arange(5, device=device)[None]
    try:
        cos, sin = decoder.rotary_emb(torch.zeros(1, 5, 8, device=device, dtype=dtype), positions)

        def look(rotate: Callable[..., Any]) -> list[Tensor]:
            drawn = torch.randn(2, 1, 2, 5, cos.shape[-1], generator=generator.manual_seed(0))
            q, k = drawn.to(device, dtype).requires_grad_().unbind()
            turned = rotate(q * 1, k * 1, cos, sin)  # not q and k: they may be overwritten
            above = [torch.arange(q.numel(), device=device).view_as(q).to(dtype)] * 2
            return [*turned, *torch.autograd.grad(turned, [q, k], above)]

        pairs = zip(look(own), look(_instead_of(own)), strict=True)
        return all((one - two).norm() <= MAX_ERROR * one.norm() for one, two in pairs)
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return False  # a rotation of another kind
