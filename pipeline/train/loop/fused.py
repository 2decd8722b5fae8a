"""Layers that compute the same and keep less for the backward pass.

Autograd keeps what each small operation saw: for an RMSNorm its input in float32 and the normalized
values, for a gated MLP the activated gate and its product, for each LoRA layer a float32 copy of
its input. As one function each (those of Liger Kernel, Hsu et al. 2024, and Unsloth, in plain torch
or, on a GPU that has it, Liger's own) they keep their inputs and make the rest again. LoRA's small
products are computed in the type of the base; its weights and their gradients stay float32.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import linear, silu

from pipeline.train.methods.lora import lora_layers

MAX_ERROR = 0.01  # relative difference to a layer's own results that rounding explains
GATED = ("hidden_size", "gate_proj", "up_proj", "down_proj", "act_fn")
"""What the MLP of Llama, Mistral, Qwen, Gemma and SmolLM has."""
_silu_backward = torch.ops.aten.silu_backward


class LowRank(Function):
    """``x W' + b + scale (x A') B'``: a frozen linear layer with LoRA beside it.

    Shapes: x (..., inputs), W (outputs, inputs), A (rank, inputs), B (outputs, rank). With ``up``,
    x is ``silu(inputs) * up``: an MLP from its gate on. W may be in NF4: ``four_bits`` says how,
    and it is unpacked in each direction, never kept.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, up: Tensor | None, weight: Tensor, four_bits: Any,
        bias: Tensor | None, a: Tensor, b: Tensor, scale: float,
    ) -> Tensor:  # fmt: skip
        """Return the output, in the type of the inputs; keeps inputs and ``x A'``, x never."""
        rows = (inputs if up is None else _gate(inputs, up)).flatten(0, -2)
        low = rows @ a.to(rows.dtype).t()
        output = linear(rows, _whole(weight, four_bits), bias)
        output.addmm_(low, (scale * b).to(rows.dtype).t())
        ctx.save_for_backward(inputs, up, low, weight, a, b)
        ctx.four_bits, ctx.scale = four_bits, scale
        # Not a view, which a layer behind could not change in place (the experts of Llama 4).
        shape = [*inputs.shape[:-1], output.shape[-1]]
        result: Tensor = torch.ops.aten._unsafe_view(output, shape)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of inputs, up, A and B."""
        inputs, up, low, weight, a, b = ctx.saved_tensors
        kernels = _kernels(inputs)
        gate = None if up is None or kernels else silu(inputs)
        above = gradients[0].flatten(0, -2)
        of_low = above @ (ctx.scale * b).to(above.dtype)
        if up is None:
            of_a = of_low.t() @ inputs.flatten(0, -2)
        else:
            product = gate * up if gate is not None else _gate(inputs, up)
            of_a = of_low.t() @ product.flatten(0, -2)
            del product  # before the largest matrix product
        of_b = ctx.scale * (above.t() @ low).float()
        below = of_up = None
        if any(ctx.needs_input_grad[:2]):
            rows = (above @ _whole(weight, ctx.four_bits)).addmm_(of_low, a.to(above.dtype))
            below = rows.view(inputs.shape)
            if gate is not None:
                below, of_up = _silu_backward(below * up, inputs), gate.mul_(below)
            elif up is not None:
                below, of_up = kernels.silu_mul_backward(below, inputs, up)
        return below, of_up, None, None, None, of_a.float(), of_b, None


@cache
def liger_kernels() -> Any:
    """Return :mod:`pipeline.train.gpu.liger` where it works, or None.

    Liger may not be installed, or may lack Triton, a C compiler or a GPU.
    """
    try:
        from pipeline.train.gpu import liger

        rows = torch.ones(2, 16, device="cuda")
        liger.normalize(rows, rows[0], 1e-6)
    except (ImportError, RuntimeError, OSError, AssertionError):  # the last: torch without CUDA
        return None
    return liger


def _kernels(tensor: Tensor) -> Any:
    return liger_kernels() if tensor.is_cuda else None


def _gate(gate: Tensor, up: Tensor) -> Tensor:
    kernels = _kernels(gate)
    return cast("Tensor", kernels.silu_mul(gate, up)) if kernels else silu(gate).mul_(up)


def _whole(weight: Tensor, four_bits: Any) -> Tensor:
    """Return a weight, unpacked for as long as it is needed where it is in 4 bits."""
    if four_bits is None:
        return weight
    from bitsandbytes.functional import dequantize_4bit

    return dequantize_4bit(weight, four_bits)


class Normalize(Function):
    """RMSNorm (Zhang and Sennrich 2019): ``weight * x / sqrt(mean(x^2) + epsilon)``."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        """Return the output; keeps the inputs and a float32 value a token."""
        wide = inputs.float()
        scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)
        ctx.save_for_backward(inputs, weight, scale)
        return weight * (wide * scale).to(inputs.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of inputs and weight."""
        inputs, weight, scale = ctx.saved_tensors
        normal = inputs.float() * scale  # a new tensor, changed in place below
        above = gradients[0]
        of_weight = below = None
        if ctx.needs_input_grad[1]:
            of_weight = (above * normal.to(above.dtype)).flatten(0, -2).sum(0).to(weight.dtype)
        if ctx.needs_input_grad[0]:
            wide = (above * weight).float()
            along = (wide * normal).mean(-1, keepdim=True)
            below = wide.sub_(normal.mul_(along)).mul_(scale).to(inputs.dtype)
        return below, of_weight, None


class Gate(Function):
    """``silu(gate) * up``, the activation of SwiGLU (Shazeer 2020)."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        """Return the product; keeps both factors' inputs."""
        ctx.save_for_backward(gate, up)
        return _gate(gate, up)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of both."""
        gate, up = ctx.saved_tensors
        above = gradients[0]
        if kernels := _kernels(gate):
            found: tuple[Tensor, Tensor] = kernels.silu_mul_backward(above, gate, up)
            return found
        return _silu_backward(above * up, gate), above * silu(gate)


@contextmanager
def fused(model: Any, parts: Iterable[Any] = ()) -> Iterator[int]:
    """Let a model's layers compute in one piece while it trains; yields how many do.

    ``parts`` are those of the model to look at, one by one; without any it is all of it. Each
    layer's fused output and gradients are compared with its own first; one that differs stays as it
    is (another norm, another activation), and so does LoRA with dropout or DoRA. Without gradients
    every layer computes as before.
    """
    found: list[nn.Module] = []
    try:
        dtype = model.get_input_embeddings().weight.dtype
        for part in parts or [model]:
            for layer, width, function in _candidates(part):
                if _same(layer, function, width, dtype):
                    layer.forward = _with_gradients(function, layer.forward)
                    found.append(layer)
        yield len(found)
    finally:
        for layer in found:
            del layer.forward  # the class's own is below


def _candidates(model: Any) -> Iterator[tuple[Any, int, Callable[[Tensor], Tensor]]]:
    """Yield layers, the width of their inputs, and the function that may stand for them."""
    plain = [layer for layer in lora_layers(model) if _plain_lora(layer)]
    for layer in plain:
        yield layer, layer.in_features, partial(_low_rank, layer)
    for layer in model.modules():
        if type(layer).__name__.endswith("RMSNorm") and hasattr(layer, "variance_epsilon"):
            yield layer, layer.weight.shape[-1], partial(_normalize, layer)
        elif all(hasattr(layer, name) for name in GATED):
            adapted = layer.down_proj in plain
            yield layer, layer.hidden_size, partial(_gated, layer, adapted)


def _plain_lora(layer: Any) -> bool:
    """Whether this is LoRA without DoRA, dropout or bias, on a linear layer in weights or NF4."""
    name, base = "default", layer.get_base_layer()
    return (
        (type(base) is nn.Linear or getattr(base, "quant_state", None) is not None)
        and layer.active_adapters == [name]
        and name in layer.lora_A
        and name not in layer.lora_variant
        and isinstance(layer.lora_dropout[name], nn.Identity)
        and layer.lora_B[name].bias is None
    )


def _low_rank(layer: Any, inputs: Tensor, up: Tensor | None = None) -> Tensor:
    base, name = layer.get_base_layer(), "default"
    frozen = (base.weight, getattr(base, "quant_state", None), base.bias)
    trained = layer.lora_A[name].weight, layer.lora_B[name].weight  # PiSSA makes them anew
    return _apply(LowRank, inputs, up, *frozen, *trained, layer.scaling[name])


def _normalize(layer: Any, inputs: Tensor) -> Tensor:
    arguments = inputs, layer.weight, layer.variance_epsilon
    kernels = _kernels(inputs)
    return (
        cast("Tensor", kernels.normalize(*arguments)) if kernels else _apply(Normalize, *arguments)
    )


def _gated(layer: Any, adapted: bool, inputs: Tensor) -> Tensor:
    gate, up, down = layer.gate_proj(inputs), layer.up_proj(inputs), layer.down_proj
    return _low_rank(down, gate, up) if adapted else cast("Tensor", down(_apply(Gate, gate, up)))


def _apply(function: type[Function], *arguments: Any) -> Tensor:
    return cast("Tensor", function.apply(*arguments))  # type: ignore[no-untyped-call]


def _with_gradients(
    function: Callable[[Tensor], Tensor], own: Callable[..., Tensor]
) -> Callable[..., Tensor]:
    def forward(inputs: Tensor, *more: Any, **named: Any) -> Tensor:
        plain = more or named or not torch.is_grad_enabled()
        return own(inputs, *more, **named) if plain else function(inputs)

    return forward


def _same(layer: Any, function: Callable[[Tensor], Tensor], width: int, dtype: torch.dtype) -> bool:
    """Whether a function has the output and the gradients that the layer has, on random inputs."""
    device = next(layer.parameters()).device
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, 3, width, generator=generator).to(device, dtype).requires_grad_()
    differentiated = [inputs, *(part for part in layer.parameters() if part.requires_grad)]

    def look(of: Callable[[Tensor], Tensor]) -> list[Tensor]:
        torch.manual_seed(0)  # the same dropout
        output = of(inputs)
        above = torch.randn(output.shape, generator=generator.manual_seed(1)).to(device, dtype)
        return [
            output.detach(),
            *torch.autograd.grad(output, differentiated, above, allow_unused=True),
        ]

    def close(found: Tensor | None, own: Tensor | None) -> bool:
        if found is None or own is None:
            return found is own
        return bool((found.float() - own.float()).norm() <= MAX_ERROR * own.float().norm())

    devices = [device] if device.type == "cuda" else []
    with torch.enable_grad(), torch.random.fork_rng(devices=devices):
        return all(map(close, look(function), look(layer)))
