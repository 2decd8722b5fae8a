"""Scale a trained adapter: less of its change, in training's own terms.

B times a factor gives that factor of LoRA's change. Scaling down gives back much of what was
forgotten at little cost to the task (Shuttleworth et al. 2024, on intruder dimensions).
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.core.errors import TrainingError
from pipeline.train.models.adapter import CONFIG, WEIGHTS, put, read_run_card, write_run_card


def check_scalable(adapter: Path) -> None:
    """Raise TrainingError when the change of an adapter is not linear in what it stores."""
    method = read_run_card(adapter)["method"]
    file = adapter / CONFIG
    config: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    reason = ""
    if config.get("peft_type") != "LORA":
        reason = "it is not LoRA"
    elif config.get("use_dora"):
        reason = "its row lengths are trained beside the directions (DoRA)"
    if reason:
        raise TrainingError(
            f"adapter {adapter.name}: method {method} cannot be scaled ({reason}); expected one "
            "of the LoRA family, whose change is linear in B; train it again with fewer epochs or "
            "a lower train.learning_rate instead"
        )


@contextmanager
def scaled(model: Any, factor: float) -> Iterator[None]:
    """Scale the adapter of a model inside the block; TrainingError where it is no LoRA."""
    parts = {name: parameter for name, parameter in model.named_parameters() if _is_b(name)}
    if not parts:
        raise TrainingError(
            "scale: no LoRA matrices found in the model; expected an adapter of the LoRA family"
        )
    kept = {name: parameter.detach().clone() for name, parameter in parts.items()}
    try:
        put({name: value * factor for name, value in kept.items()}, parts)
        yield
    finally:
        put(kept, parts)


def scale_adapter(adapter: Path, factor: float, output: Path) -> None:
    """Write a scaled copy of an adapter; TrainingError where its method cannot be scaled."""
    from safetensors.torch import load_file, save_file

    check_scalable(adapter)
    output.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor * factor if _is_b(name) else tensor
        for name, tensor in load_file(adapter / WEIGHTS).items()
    }
    save_file(tensors, output / WEIGHTS, metadata={"format": "pt"})
    shutil.copyfile(adapter / CONFIG, output / CONFIG)
    card = read_run_card(adapter)
    card["scale"] = card.get("scale", 1.0) * factor  # of a copy's copy, the product
    write_run_card(output, card)


def _is_b(name: str) -> bool:
    return ".lora_B." in name or ".lora_embedding_B" in name
