"""Adapters: put one on a base model, save it with its run card, load it where it belongs."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from pipeline.core.cache import write_atomically
from pipeline.core.errors import TrainingError
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.text.chat_template import template_digest
from pipeline.train.methods import METHODS, Method, prompts, resolved
from pipeline.train.methods.lora import quiet_peft
from pipeline.train.methods.targets import TokenRows, check_targets
from pipeline.train.methods.whole import plain_weights
from pipeline.train.models import base_model
from pipeline.train.models.base_model import BaseModel, load_tokenizer
from pipeline.train.models.device import choose_device, compute_dtype, configure_torch
from pipeline.train.models.quantized import dequantize, has_room_unpacked, load_quantized

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
RESULT = "training.json"
_PARAMETRIZED = re.compile(r"\.parametrizations\.(\w+)\.original$")


def load_base(
    base: BaseModel, model_settings: ModelSettings, quantized: bool, *, on_host: bool = False
) -> Any:
    """Load the base model onto its device, in NF4 if asked for, or if that is how it is stored.

    ``on_host`` leaves it in the memory of the host, in the compute type of the device.
    """
    configure_torch(model_settings)
    device = choose_device(model_settings)
    place, dtype = ("cpu", compute_dtype(device)) if on_host else (device, None)
    if quantized or base_model.stored_in_four_bits(base.path):
        return load_quantized(base.path, place, dtype)
    return base_model.load_model(base.path, place, dtype)


def attach_adapter(
    model: Any, method: Method, settings: TrainSettings, rows: TokenRows = ()
) -> Any:
    """Put a method on a base model, in place and ready to train.

    Its initial values come from torch's random state, or from the rows, which are token ids. Raises
    TrainingError where the method does not fit the model (plain or in 4 bits) or the rows.
    """
    settings = resolved(settings)
    if (found := bool(getattr(model, "is_quantized", False))) != method.quantized:
        names = {True: "in 4 bits", False: "in plain weights"}
        raise TrainingError(
            f"method {method.name}: the base model is {names[found]}; expected it "
            f"{names[method.quantized]}; load it so, or choose another train.method"
        )
    check_targets(model, settings)
    if settings.gradient_checkpointing:
        with quiet_peft():
            model.activation_checkpointing_enable({"use_reentrant": False})
            model.enable_input_require_grads()
    return method.build(model, settings, rows).train()


def trainable(model: Any) -> dict[str, Any]:
    """Return the trainable parameters of a model by name, in a fixed order."""
    return {name: part for name, part in sorted(model.named_parameters()) if part.requires_grad}


def put(tensors: Mapping[str, Any], places: Mapping[str, Any]) -> None:
    """Copy tensors into the parameters of the same names, in place."""
    import torch

    with torch.no_grad():
        for name, place in places.items():
            place.copy_(tensors[name])


def save_adapter(
    model: Any, tensors: Mapping[str, Any], base: BaseModel, output: Path, card: Mapping[str, Any]
) -> None:
    """Write adapter and run card, the latter last; equal runs give equal bytes, on every machine.

    The model takes the given values of its trainable parameters, and is not for training any more.
    """
    put(tensors, trainable(model))
    output.mkdir(parents=True, exist_ok=True)
    store(model, TrainSettings.model_validate(card["settings"]), base.name, output)
    write_run_card(output, card)


def write_run_card(adapter: Path, card: Mapping[str, Any]) -> None:
    """Write the run card of an adapter folder: the same bytes for equal cards."""
    data = json.dumps(dict(card), indent=2, sort_keys=True) + "\n"
    write_atomically(adapter / "run_card.json", data.encode())


def read_run_card(adapter: Path) -> dict[str, Any]:
    """Return the run card of an adapter folder; raises TrainingError where it cannot be read."""
    file = adapter / "run_card.json"
    try:
        card: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise TrainingError(
            f"adapter {adapter}: run_card.json cannot be read ({error}); expected a folder written "
            "by `tuneloop train`; train again, or name another adapter"
        ) from error
    return card


def load_adapter(
    base: BaseModel, adapter: Path | None, model_settings: ModelSettings
) -> tuple[Any, Any]:
    """Load the base model with an adapter as it was trained, or alone, and its tokenizer.

    NF4 weights are unpacked once unless a GPU has no room for it: the same logits bit for bit, and
    faster, for 2 bytes a parameter. Raises TrainingError where the adapter does not belong to the
    base or its chat template.
    """
    import torch

    tokenizer = load_tokenizer(base.path, base.thinking)
    if adapter is None:
        model = load_base(base, model_settings, quantized=False)
    else:
        method = check_fit(base, adapter, tokenizer)
        if method.stored == "model":
            model = load_base(replace(base, path=adapter), model_settings, quantized=False)
        else:
            model = restore(load_base(base, model_settings, method.quantized), method, adapter)
    if getattr(model, "is_quantized", False):
        on_gpu = model.device.type == "cuda"
        if not on_gpu or has_room_unpacked(model, torch.cuda.mem_get_info(model.device)[0]):
            dequantize(model)
    return model.eval().requires_grad_(False), tokenizer


def on_plain_base(model: Any, adapter: Path) -> Any:
    """Put a PEFT adapter on a loaded base, which is in plain weights where it is to be merged.

    A TrainingError where :func:`put_as_trained` finds other tensors.
    """
    from peft import PeftModel

    with quiet_peft():
        model = PeftModel.from_pretrained(model, adapter, is_trainable=False).eval()
    put_as_trained(model, adapter)
    return model


def put_as_trained(model: Any, adapter: Path, name: str = "default") -> None:
    """Give each tensor of an adapter that PEFT has loaded, under a name, its trained values.

    PEFT renames the layers of an adapter as transformers renames those of a base on its way from
    the files, and leaves at zero, with no more than a warning, what then has no place (Laguna's
    shared experts).

    Raises:
        TrainingError: the file does not hold the tensors of its configuration on this base.
    """
    from peft import get_peft_model_state_dict

    _put_file(
        adapter, get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    )


def _put_file(adapter: Path, places: Mapping[str, Any]) -> None:
    """Copy the tensors of an adapter's file into parameters; TrainingError for other names."""
    from safetensors.torch import load_file

    trained = load_file(adapter / WEIGHTS)
    if differing := sorted(places.keys() ^ trained.keys()):
        raise TrainingError(
            f"adapter {adapter.name}: {differing[0]} and {len(differing) - 1} more tensors are in "
            "its file or on the base model, not in both; expected the same; train again"
        )
    put(trained, places)


def check_fit(
    base: BaseModel, adapter: Path, tokenizer: Any, quantized: bool | None = None
) -> Method:
    """Return the method of an adapter that belongs to a base and its template; else TrainingError.

    ``quantized`` is the precision that the base is in already; None where it is still to be loaded.
    """
    card = read_run_card(adapter)

    def refuse(what: str, trained: object, found: object) -> NoReturn:
        raise TrainingError(
            f"adapter {adapter.name}: {what} is {found}; it was trained with {trained}; load the "
            "one it was trained with, or train again"
        )

    method = METHODS.get(card["method"])
    if method is None:
        refuse("the list of known methods", card["method"], ", ".join(METHODS))
    if card["base_model"]["digest"] != base.digest:
        trained = f"{card['base_model']['name']} ({card['base_model']['digest'][:12]})"
        refuse("the base model", trained, f"{base.name} ({base.digest[:12]})")
    if (found := template_digest(tokenizer)) != card["template_digest"]:
        refuse("the chat template", card["template_digest"][:12], found[:12])
    if quantized not in (None, method.quantized):
        names = {True: "NF4", False: "not quantized"}
        refuse("the base asked for", names[method.quantized], names[quantized])
    return method


def store(model: Any, settings: TrainSettings, base_name: str, output: Path) -> None:
    """Write a trained model's weights and configuration."""
    method = METHODS[settings.method]
    if method.stored == "tensors":
        _write({_plain(name): part for name, part in trainable(model).items()}, output)
        used = settings.model_dump(include={"method", *method.preset.__slots__}, exclude_none=True)
        _write_config(used | {"base_model_name_or_path": base_name}, output)
    plain_weights(model)
    if method.stored == "model":
        model.save_pretrained(output)
    if method.stored in ("model", "tensors"):
        return
    if method.stored == "prompt":
        tensors, config = prompts.stored(model, settings)
    else:
        from peft import get_peft_model_state_dict

        tensors, config = get_peft_model_state_dict(model), model.peft_config["default"]
    _write(tensors, output)
    config.base_model_name_or_path = base_name
    config.inference_mode = True
    _write_config(config.to_dict(), output)


def restore(model: Any, method: Method, adapter: Path) -> Any:
    """Put a stored adapter on its base model, for use; TrainingError where it does not fit it."""
    from safetensors.torch import load_file

    if method.stored == "peft":
        return on_plain_base(model, adapter)
    if method.stored == "prompt":
        return prompts.restore(model, method.name, load_file(adapter / WEIGHTS))
    shape = json.loads((adapter / CONFIG).read_text("utf-8"))
    shape.pop("base_model_name_or_path")
    model = method.build(model, TrainSettings(**shape), ())
    _put_file(adapter, {_plain(name): part for name, part in trainable(model).items()})
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
    """Write a configuration with its lists sorted: peft's are sets."""
    lists = {key: sorted(value) for key, value in config.items() if isinstance(value, list | set)}
    text = json.dumps(config | lists, indent=2, sort_keys=True) + "\n"
    (output / CONFIG).write_text(text, "utf-8")
