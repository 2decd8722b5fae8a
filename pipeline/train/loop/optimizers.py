"""The optimizer of a run: AdamW, plain, in 8 bits, or paged to the host."""

from collections.abc import Mapping
from typing import Any

import torch

from pipeline.core.errors import TrainingError
from pipeline.settings import TrainSettings

BITSANDBYTES = {
    "adamw_8bit": "AdamW8bit",
    "paged_adamw_8bit": "PagedAdamW8bit",
    "paged_adamw_32bit": "PagedAdamW32bit",
}
"""Name in ``train.optimizer`` -> class of bitsandbytes."""


def optimizer_name(choice: str, device: str, method: str) -> str:
    """Return the optimizer that is meant; TrainingError for a paged one on a CPU, without pages.

    Moments of all weights go from a GPU to the host's memory. Those of an adapter stay: after each
    tensor bitsandbytes waits for the GPU, and LoRA has hundreds, to save a quarter of a gigabyte.
    """
    if choice == "auto":
        return "paged_adamw_8bit" if device == "cuda" and method == "full" else "adamw"
    if choice.startswith("paged") and device != "cuda":
        raise TrainingError(
            f"train.optimizer: {choice!r} asked for on a {device}; expected a GPU, whose memory it "
            'pages to the host; set train.optimizer = "auto" or "adamw"'
        )
    return choice


def make_optimizer(groups: list[dict[str, Any]], settings: TrainSettings, device: str) -> Any:
    """Return the optimizer over groups of parameters, each with its learning rate.

    Weight decay acts on matrices alone: a bias, a norm or an IA3 scale pulled to zero takes the
    layer along.
    """
    split = [part for group in groups for part in _by_decay(group, settings.weight_decay)]
    name = optimizer_name(settings.optimizer, device, settings.method)
    if name == "adamw":
        return torch.optim.AdamW(split, fused=device == "cuda")  # one kernel a step
    import bitsandbytes

    return getattr(bitsandbytes.optim, BITSANDBYTES[name])(split)


def _by_decay(group: dict[str, Any], decay: float) -> list[dict[str, Any]]:
    parts: dict[float, list[Any]] = {decay: [], 0.0: []}  # one where there is no decay
    for part in group["params"]:
        parts[decay if part.dim() > 1 else 0.0].append(part)
    return [
        group | {"params": alike, "weight_decay": value} for value, alike in parts.items() if alike
    ]


def optimizer_state(optimizer: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of an optimizer as tensors by ``key:name of the parameter``."""
    return {
        f"{key}:{name}": torch.as_tensor(value).detach().contiguous()
        for name, parameter in parameters.items()
        for key, value in optimizer.state[parameter].items()
        if not key.startswith("qmap")  # the code book of the 8-bit ones, a constant
    }


def restore_optimizer(
    optimizer: Any, parameters: Mapping[str, Any], tensors: Mapping[str, Any]
) -> None:
    """Put back what :func:`optimizer_state` returned."""
    by_id = {id(parameter): name for name, parameter in parameters.items()}
    if hasattr(optimizer, "init_state"):  # bitsandbytes: places, and pages, its own tensors
        for number, group in enumerate(optimizer.param_groups):
            for position, parameter in enumerate(group["params"]):
                optimizer.init_state(group, parameter, number, position)
                state, name = optimizer.state[parameter], by_id[id(parameter)]
                for key in [key for key in state if not key.startswith("qmap")]:
                    value = tensors[f"{key}:{name}"]
                    state[key] = value.item() if key == "step" else state[key].copy_(value)
        return
    for label, value in tensors.items():
        key, _, name = label.partition(":")
        parameter = parameters[name]
        # AdamW makes the step count on the CPU, unless it is fused.
        near = key != "step" or optimizer.defaults["fused"]
        optimizer.state[parameter][key] = value.to(parameter.device if near else "cpu")
