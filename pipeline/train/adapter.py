"""Adapters: put one on a base model, save it with its run card, load it where it belongs."""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.cache import write_atomically
from pipeline.dataset.chat import template_digest
from pipeline.errors import TrainingError
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.base_model import (
    BaseModel,
    choose_device,
    configure_torch,
    load_model,
    load_tokenizer,
)
from pipeline.train.methods import METHODS, Method
from pipeline.train.quantized import dequantize, load_quantized

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "tokenizers", "safetensors")
"""What the numbers of a training run depend on; their versions are on the run card."""


def load_base(base: BaseModel, model_settings: ModelSettings, quantized: bool) -> Any:
    """Load the base model onto its device, in NF4 if asked for."""
    configure_torch(model_settings)
    device = choose_device(model_settings)
    return load_quantized(base.path, device) if quantized else load_model(base.path, device)


def attach_adapter(model: Any, method: Method, settings: TrainSettings) -> Any:
    """Wrap a base model in a fresh adapter, ready to train.

    The adapter's weights are float32, on a bfloat16 base too: at the end of the schedule the
    updates are smaller than bfloat16 resolves, and the cost is small (measured: 313 against 324
    to 347 tokens a second). The initial values come from torch's random state.
    """
    from peft import get_peft_model

    with quiet_peft():
        if settings.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
            model.enable_input_require_grads()
        adapted = get_peft_model(model, method.peft_config(settings), autocast_adapter_dtype=True)
    return adapted.train()


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

    Args:
        model: the PEFT model, whose parameters take the given values.
        tensors: values of the trainable parameters.
        base: named in adapter_config.json instead of its path.
        output: gets adapter_model.safetensors, adapter_config.json and, last, run_card.json.
        card: what the run card says.
    """
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    with torch.no_grad():
        for name, parameter in trainable(model).items():
            parameter.copy_(tensors[name])
    output.mkdir(parents=True, exist_ok=True)
    state = get_peft_model_state_dict(model)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    save_file(weights, output / "adapter_model.safetensors", metadata={"format": "pt"})
    config = model.peft_config["default"]
    config.base_model_name_or_path = base.name
    config.inference_mode = True
    config.save_pretrained(output)
    # peft writes sets in the order of their hashes, which changes from process to process.
    file = output / "adapter_config.json"
    written: dict[str, Any] = json.loads(file.read_text("utf-8"))
    for key, value in written.items():
        if isinstance(value, list):
            written[key] = sorted(value)
    file.write_text(json.dumps(written, indent=2, sort_keys=True) + "\n", "utf-8")
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

    Args:
        base: the base model.
        adapter: folder written by the trainer; None loads the base alone.
        model_settings: device and threads.
        quantized: whether the base is in NF4; None takes what the run card says, and plain
            weights when there is no adapter.
        dequantized: unpack the NF4 weights once into the compute type: the same numbers as in
            training (logits equal bit for bit, tested), and faster, for 2 bytes a parameter.

    Returns:
        The model in evaluation mode without gradients, and its tokenizer.

    Raises:
        TrainingError: the adapter was trained on another base, with another chat template or on
            another precision than asked for.
    """
    tokenizer = load_tokenizer(base.path)
    if adapter is not None:
        card = read_run_card(adapter)
        _check_fit(card, base, tokenizer, adapter, quantized)
        quantized = METHODS[card["method"]].quantized
    model = load_base(base, model_settings, bool(quantized))
    if adapter is not None:
        from peft import PeftModel

        with quiet_peft():
            model = PeftModel.from_pretrained(model, adapter, is_trainable=False)
    if quantized and dequantized:
        dequantize(model)
    return model.eval().requires_grad_(False), tokenizer


def _check_fit(
    card: Mapping[str, Any], base: BaseModel, tokenizer: Any, adapter: Path, quantized: bool | None
) -> None:
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


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Silence a warning nobody can act on: peft 0.21 reads what transformers 5.23 has renamed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing")
        yield
