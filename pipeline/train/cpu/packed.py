"""Linear weights packed once for oneDNN's matrix kernel, for inference only.

A step of decoding multiplies a few rows with every weight of the model. In that shape oneDNN's
kernel over weights that it has put into blocks before is faster than MKL's, which
``torch.nn.Linear`` calls in float32: python -m tests.benchmarks.packed_linear. torch.compile uses
the same kernel, but needs a C++ compiler and minutes.
"""

from typing import Any

import torch

DORA = "lora_magnitude_vector"
"""What peft 0.19 adds to a layer under DoRA."""


class PackedLinear(torch.nn.Module):
    """What a ``torch.nn.Linear`` computes, without a gradient for its weights."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        """Take over the weights of a layer on a CPU."""
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.bias = layer.bias
        weight = layer.weight.detach().contiguous()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Multiply rows, shape (..., in_features), into (..., out_features)."""
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            rows, self._packed, self.bias, "none", [], ""
        )
        return found


def pack_linears(model: Any) -> Any:
    """Replace the plain linear layers of a model that only answers, in place; returns the model.

    Nothing is replaced off the CPU, in another type than float32, or where this torch has no such
    kernel: the model then answers all the same. Values agree to the rounding of float32. The
    matrices of LoRA stay, which a sweep scales, and so do the layers under DoRA, which reads their
    weights.
    """
    if model.device.type != "cpu" or not _has_kernel():
        return model
    for parent in list(model.modules()):
        if isinstance(parent, torch.nn.ModuleDict) or len(getattr(parent, DORA, ())):
            continue
        for name, layer in list(parent.named_children()):
            if type(layer) is torch.nn.Linear and layer.weight.dtype == torch.float32:
                setattr(parent, name, PackedLinear(layer))
    return model


def _has_kernel() -> bool:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return all(hasattr(torch.ops.mkldnn, name) for name in names)
