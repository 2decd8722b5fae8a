"""Adapters: put one on a base model, save it with its run card, load it where it belongs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.core.cache import write_atomically
from pipeline.core.errors import TrainingError
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.text.chat import template_digest
from pipeline.train.methods import METHODS, Method, resolved
from pipeline.train.methods.fit import check_targets
from pipeline.train.methods.lora import quiet_peft as quiet_peft
from pipeline.train.models.adapter_files import restore, store
from pipeline.train.models.base_model import (
    BaseModel,
    load_model,
    load_tokenizer,
    stored_in_four_bits,
)
from pipeline.train.models.device import choose_device, configure_torch
from pipeline.train.models.quantized import dequantize, has_room_unpacked, load_quantized

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "tokenizers", "safetensors")
"""What the numbers of a training run depend on; their versions are on the run card."""


def load_base(base: BaseModel, model_settings: ModelSettings, quantized: bool) -> Any:
    """Load the base model onto its device, in NF4 if asked for, or if that is how it is stored."""
    configure_torch(model_settings)
    device = choose_device(model_settings)
    quantized = quantized or stored_in_four_bits(base.path)
    return load_quantized(base.path, device) if quantized else load_model(base.path, device)


def attach_adapter(
    model: Any, method: Method, settings: TrainSettings, rows: Sequence[Sequence[int]] = ()
) -> Any:
    """Put a method on a base model, ready to train.

    The model is changed in place. Its initial values come from torch's random state, or from the
    rows, which are token ids.

    Raises:
        SettingsError: a setting is given that the method does not use.
        TrainingError: the base is in 4 bits and the method needs plain weights, or the other way
            round; or the method does not fit the model or the rows.
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
    return {
        name: parameter
        for name, parameter in sorted(model.named_parameters())
        if parameter.requires_grad
    }


def save_adapter(
    model: Any, tensors: Mapping[str, Any], base: BaseModel, output: Path, card: Mapping[str, Any]
) -> None:
    """Write adapter and run card; equal runs give equal bytes, on every machine.

    The model of :func:`attach_adapter` takes the given values of its trainable parameters. It
    computes the same afterwards, but is not for training any more. The run card is written last.
    """
    import torch

    with torch.no_grad():
        for name, parameter in trainable(model).items():
            parameter.copy_(tensors[name])
    output.mkdir(parents=True, exist_ok=True)
    store(model, TrainSettings.model_validate(card["settings"]), base.name, output)
    data = json.dumps(dict(card), indent=2, sort_keys=True) + "\n"
    write_atomically(output / "run_card.json", data.encode())


def read_run_card(adapter: Path) -> dict[str, Any]:
    """Return the run card of an adapter folder.

    Raises:
        TrainingError: there is none, or it is not JSON.
    """
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
    base: BaseModel,
    adapter: Path | None,
    model_settings: ModelSettings,
    quantized: bool | None = None,
    *,
    dequantized: bool = True,
) -> tuple[Any, Any]:
    """Load the base model with an adapter as it was trained, for evaluation and serving.

    The base alone for None. Whether it is in NF4 is what the run card says, else ``quantized``.
    NF4 weights are unpacked once into the compute type unless ``dequantized`` is false or a GPU has
    no room for it, so that what was trained in 4 bits is judged in the same memory: the same
    numbers as in training (logits equal bit for bit, tested), and faster, for 2 bytes a parameter.

    Returns:
        The model in evaluation mode without gradients, and its tokenizer.

    Raises:
        TrainingError: the adapter was trained on another base, with another chat template or on
            another precision than asked for.
    """
    import torch

    tokenizer = load_tokenizer(base.path, base.thinking)
    if adapter is not None:
        card = read_run_card(adapter)
        check_fit(card, base, tokenizer, adapter, quantized)
        quantized = METHODS[card["method"]].quantized
    if adapter is None:
        model = load_base(base, model_settings, bool(quantized))
    elif METHODS[card["method"]].stored == "model":
        model = load_base(replace(base, path=adapter), model_settings, quantized=False)
    else:
        model = load_base(base, model_settings, bool(quantized))
        model = restore(model, METHODS[card["method"]], adapter)
    if dequantized and getattr(model, "is_quantized", False):
        on_gpu = model.device.type == "cuda"
        if not on_gpu or has_room_unpacked(model, torch.cuda.mem_get_info(model.device)[0]):
            dequantize(model)
    return model.eval().requires_grad_(False), tokenizer


def on_plain_base(model: Any, adapter: Path) -> Any:
    """Put a PEFT adapter on a loaded base with plain weights, for merging or comparing."""
    from peft import PeftModel

    with quiet_peft():
        return PeftModel.from_pretrained(model, adapter, is_trainable=False).eval()


def check_fit(
    card: Mapping[str, Any], base: BaseModel, tokenizer: Any, adapter: Path, quantized: bool | None
) -> None:
    """Raise TrainingError when an adapter belongs to another base, template or precision."""

    def refuse(what: str, trained: object, found: object) -> None:
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
    if quantized is not None and method is not None and quantized != method.quantized:
        names = {True: "NF4", False: "not quantized"}
        refuse("the base asked for", names[method.quantized], names[quantized])


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that decide the numbers."""
    return {name: version(name) for name in LIBRARIES}
