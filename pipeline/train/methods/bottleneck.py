"""Bottleneck adapters: small networks on the output of attention and of the MLP.

Each sits on the last linear layer of its block, before the residual connection, as in the papers.
The network is nonlinear, so it cannot be merged into a weight.
"""

from collections.abc import Sequence
from typing import Any

from pipeline.errors import TrainingError
from pipeline.settings import TrainSettings
from pipeline.train.methods.lora import attention_lora

AFTER_ATTENTION = "o_proj"
"""Last layer of attention as Llama, Mistral, Qwen, Gemma, Phi and SmolLM name it."""

AFTER_MLP = "down_proj"
"""Last layer of their MLP."""


def houlsby(model: Any, settings: TrainSettings, rows: Sequence[Sequence[int]] = ()) -> Any:
    """Put an adapter after attention and one after the MLP of each layer."""
    model.requires_grad_(False)
    return _insert(model, settings, (AFTER_ATTENTION, AFTER_MLP))


def pfeiffer(model: Any, settings: TrainSettings, rows: Sequence[Sequence[int]] = ()) -> Any:
    """Put an adapter after the MLP of each layer."""
    model.requires_grad_(False)
    return _insert(model, settings, (AFTER_MLP,))


def hybrid(model: Any, settings: TrainSettings, rows: Sequence[Sequence[int]] = ()) -> Any:
    """Put LoRA on the layers of attention, and an adapter after the MLP."""
    return _insert(attention_lora(model, settings), settings, (AFTER_MLP,))


def _insert(model: Any, settings: TrainSettings, names: tuple[str, ...]) -> Any:
    """Put an adapter on each layer of one of these names.

    Raises:
        TrainingError: a name is not in the model.
    """
    from pipeline.train.methods.layers import Bottleneck

    assert settings.bottleneck is not None
    for name in names:
        found = [path for path, _ in model.named_modules() if path.endswith(f".{name}")]
        if not found:
            raise TrainingError(
                f"method {settings.method}: the base model has no layer named {name}; expected "
                "the names of Llama, Mistral, Qwen, Gemma, Phi or SmolLM; choose train.method "
                '"lora", which finds linear layers of any name'
            )
        for path in found:
            parent, _, child = path.rpartition(".")
            layer = model.get_submodule(path)
            setattr(model.get_submodule(parent), child, Bottleneck(layer, settings.bottleneck))
    return model
