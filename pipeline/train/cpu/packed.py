"""Linear weights packed once for oneDNN's matrix kernel, for inference only.

For the few rows of a step of decoding it is faster than MKL's, which ``torch.nn.Linear`` calls in
float32: python -m tests.benchmarks.packed_linear. (torch.compile needs a C++ compiler and minutes.)
"""

from typing import Any, cast

import torch


class PackedLinear(torch.nn.Module):
    """What a ``torch.nn.Linear`` computes, without a gradient for its weights."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.bias = layer.bias
        weight = layer.weight.detach().contiguous()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Multiply rows, shape (..., in_features), into (..., out_features)."""
        multiply = torch.ops.mkldnn._linear_pointwise
        return cast("torch.Tensor", multiply(rows, self._packed, self.bias, "none", [], ""))


def pack_linears(model: Any) -> Any:
    """Replace the plain linear layers of a model that only answers, in place; returns the model.

    Only on a CPU, in float32, where this torch has the kernel; values agree to its rounding. The
    matrices of LoRA stay, which a sweep scales, and the layers under DoRA, which reads their
    weights.
    """
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    kernels = ("_reorder_linear_weight", "_linear_pointwise")
    has_kernels = available and all(hasattr(torch.ops.mkldnn, name) for name in kernels)
    if model.device.type != "cpu" or not has_kernels:
        return model
    for parent in list(model.modules()):
        of_dora = len(getattr(parent, "lora_magnitude_vector", ()))
        if of_dora or isinstance(parent, torch.nn.ModuleDict):
            continue
        for name, layer in list(parent.named_children()):
            if type(layer) is torch.nn.Linear and layer.weight.dtype == torch.float32:
                setattr(parent, name, PackedLinear(layer))
    return model
