"""The files of an adapter folder, for each kind of method; equal weights give equal bytes."""

import json
import re
from pathlib import Path
from typing import Any

from pipeline.core.errors import TrainingError
from pipeline.settings import TrainSettings
from pipeline.train.methods import METHODS, Method, prompts
from pipeline.train.methods.lora import plain_lora, quiet_peft
from pipeline.train.methods.whole import plain_weights

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
RESULT = "training.json"
"""What the training was and what came of it."""

_PARAMETRIZED = re.compile(r"\.parametrizations\.(\w+)\.original$")


def store(model: Any, settings: TrainSettings, base_name: str, output: Path) -> None:
    """Write a trained model's weights and configuration."""
    method = METHODS[settings.method]
    plain_lora(model)
    if method.stored == "model":
        plain_weights(model)
        model.save_pretrained(output)
        return
    if method.stored == "tensors":
        trained = {name: part for name, part in model.named_parameters() if part.requires_grad}
        _write({_plain(name): part for name, part in trained.items()}, output)
        shape = {name: getattr(settings, name) for name in method.preset.__slots__}
        shape = {"method": method.name} | {k: v for k, v in shape.items() if v is not None}
        _write_config(shape | {"base_model_name_or_path": base_name}, output)
        plain_weights(model)
        return
    if method.stored == "prompt":
        tensors, config = prompts.stored(model, settings)
    else:
        from peft import get_peft_model_state_dict

        tensors, config = get_peft_model_state_dict(model), model.peft_config["default"]
    _write(tensors, output)
    config.base_model_name_or_path = base_name
    config.inference_mode = True
    config.save_pretrained(output)
    _write_config(json.loads((output / CONFIG).read_text("utf-8")), output)


def restore(model: Any, method: Method, adapter: Path) -> Any:
    """Put a stored adapter on its base model, for use and not for training.

    Raises:
        TrainingError: the folder does not hold what the method stores.
    """
    import torch
    from safetensors.torch import load_file

    if method.stored == "peft":
        from peft import PeftModel

        with quiet_peft():
            return PeftModel.from_pretrained(model, adapter, is_trainable=False)
    tensors = load_file(adapter / WEIGHTS)
    if method.stored == "prompt":
        return prompts.restore(model, method.name, tensors)
    shape = json.loads((adapter / CONFIG).read_text("utf-8"))
    shape.pop("base_model_name_or_path")
    model = method.build(model, TrainSettings(**shape), ())
    trained = {_plain(name): part for name, part in model.named_parameters() if part.requires_grad}
    if set(trained) != set(tensors):
        odd = sorted(set(trained) ^ set(tensors))
        raise TrainingError(
            f"adapter {adapter.name}: {len(odd)} tensors do not fit the base model ({odd[0]}); "
            f"expected those of method {method.name}; train again"
        )
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(tensors[name])
    plain_weights(model)
    return model


def identity(folder: Path) -> tuple[str, ...]:
    """Return the names of the files that make the content of an adapter folder."""
    weights = [file.name for file in folder.glob("*.safetensors*")]
    configs = [name for name in (CONFIG, "config.json") if (folder / name).is_file()]
    return tuple(sorted(weights + configs))


def _plain(name: str) -> str:
    """Return a parameter's name without what torch adds when it is seen in another type."""
    return _PARAMETRIZED.sub(r".\1", name)


def _write(tensors: dict[str, Any], output: Path) -> None:
    from safetensors.torch import save_file

    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(weights, output / WEIGHTS, metadata={"format": "pt"})


def _write_config(config: dict[str, Any], output: Path) -> None:
    """Write a configuration with its lists sorted.

    peft writes sets in the order of their hashes, which changes from process to process.
    """
    ordered = {
        key: sorted(value) if isinstance(value, list) else value for key, value in config.items()
    }
    text = json.dumps(ordered, indent=2, sort_keys=True) + "\n"
    (output / CONFIG).write_text(text, "utf-8")
