"""The modules that methods put into a model, besides PEFT's."""

from typing import Any

import torch
from torch import Tensor, nn


class Beside(nn.Module):
    """A parametrization: a trained matrix with a frozen one beside it along an axis."""

    def __init__(self, frozen: Tensor, axis: int) -> None:
        super().__init__()
        self.register_buffer("frozen", frozen, persistent=False)
        self.frozen: Tensor
        self.axis = axis

    def forward(self, trained: Tensor) -> Tensor:
        """Return both as one."""
        return torch.cat([trained, self.frozen], dim=self.axis)


class Rounded(nn.Module):
    """A parametrization: a float32 tensor seen in another type; its gradient stays float32."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, trained: Tensor) -> Tensor:
        """Return the tensor in the other type."""
        return trained.to(self.dtype)


class Bottleneck(nn.Module):
    """A linear layer with an adapter on its output: ``y + up(relu(down(y)))``.

    ``up`` starts at zero, so that the model starts as it was. Computed in float32, rounded once.
    """

    def __init__(self, base: Any, width: int) -> None:
        super().__init__()
        self.base = base
        device = base.weight.device
        outputs = getattr(base, "out_features", None) or base.nf  # GPT-2's Conv1D
        self.down = nn.Linear(outputs, width, device=device, dtype=torch.float32)
        self.up = nn.Linear(width, outputs, device=device, dtype=torch.float32)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the adapted output, in the type of the layer's own."""
        output: Tensor = self.base(inputs)
        wide = output.float()
        change: Tensor = self.up(torch.relu(self.down(wide)))
        return (wide + change).to(output.dtype)
