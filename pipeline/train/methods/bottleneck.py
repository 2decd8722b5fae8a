"""Bottleneck adapters: small networks on the output of attention and of the MLP.

Each sits on the last linear layer of its block, before the residual connection, as in the papers.
"""

from collections.abc import Sequence
from typing import Any

from pipeline.settings import TrainSettings
from pipeline.train.methods import targets
from pipeline.train.methods.lora import lora
from pipeline.train.methods.targets import TokenRows


def adapters(model: Any, settings: TrainSettings, rows: TokenRows = (), *, attention: bool) -> Any:
    """Put an adapter after the MLP of each layer, and one after attention before it, if asked."""
    found = targets.find_targets(model)
    last = targets.last_layers(found.attention if attention else (), targets.AFTER_ATTENTION)
    last += targets.last_layers(found.mlp, targets.AFTER_MLP)
    return _insert(model.requires_grad_(False), settings, last)


def hybrid(model: Any, settings: TrainSettings, rows: TokenRows = ()) -> Any:
    """Put LoRA on the layers of attention, and an adapter after the MLP."""
    last = targets.last_layers(targets.find_targets(model).mlp, targets.AFTER_MLP)
    adapted = lora(model, settings.model_copy(update={"targets": "attention"}))
    return _insert(adapted, settings, [f"base_model.model.{path}" for path in last])


def _insert(model: Any, settings: TrainSettings, paths: Sequence[str]) -> Any:
    from pipeline.train.methods.layers import Bottleneck

    assert settings.bottleneck is not None
    for path in paths:
        parent, _, child = path.rpartition(".")
        layer = model.get_submodule(path)
        setattr(model.get_submodule(parent), child, Bottleneck(layer, settings.bottleneck))
    return model
