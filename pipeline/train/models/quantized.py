"""Base models in 4 bits: NF4 with double quantization, and the guard of their gradients.

On CPUs with AVX512-BF16, bitsandbytes 0.50 repacks a ``Linear4bit`` in place on its first forward
pass in evaluation mode, for a fused inference kernel. When training goes on, that kernel, which has
no backward pass, is used again: the gradient of every layer below is wrong, without an error
(cosine 0.10 to 0.59 with the right one). The guard keeps the layers on the exact path, and
:func:`pipeline.train.proofs.model.prove_four_bits` proves it.
"""

from pathlib import Path
from typing import Any

from pipeline.settings import TrainSettings
from pipeline.train.models.base_model import load_model, stored_in_four_bits
from pipeline.train.models.device import compute_dtype


def load_quantized(path: Path, device: str = "cpu", dtype: Any = None) -> Any:
    """Load a base model in NF4 with double quantization (Dettmers et al. 2023), guarded."""
    dtype, stored = dtype or compute_dtype(device), stored_in_four_bits(path)
    # Without a place bitsandbytes takes a GPU that is there, whatever the device is. By its number:
    # files in 4 bits are read by threads, and the current GPU of a new thread is the first.
    place: Any = device
    if device == "cuda":
        import torch

        place = torch.cuda.current_device()
    named = {} if stored else {"quantization_config": four_bits(path, dtype)}
    model = load_model(path, device, dtype, device_map={"": place}, **named)
    for layer in linear4bit_layers(model).values():  # stored ones name a type of their own
        layer.compute_dtype = layer.weight.quant_state.dtype = dtype
        layer.support_avx512bf16_for_cpu = False  # the guard, before its first use
    for part in model.parameters():
        if part.is_floating_point():
            # On a CPU it lies in the mapped file, all of whose pages would stay for it.
            part.data = part.data.to(dtype if stored else part.dtype, copy=True)
    return model


def four_bits(path: Path, dtype: Any) -> Any:
    """Return how NF4 is made of a base; None where it is stored in 4 bits, and says how itself."""
    from transformers import BitsAndBytesConfig

    if stored_in_four_bits(path):
        return None
    # Gemma 3n clamps these while it trains, which values in 4 bits cannot be.
    clamped = "altup_num_inputs" in (path / "config.json").read_text("utf-8")
    plain = ["lm_head", "prediction_coefs", "correction_coefs"] if clamped else None
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=plain,
    )


def linear4bit_layers(model: Any) -> dict[str, Any]:
    """Return the 4-bit layers of a model by name."""
    from bitsandbytes.nn import Linear4bit  # type: ignore[attr-defined]

    return {name: part for name, part in model.named_modules() if isinstance(part, Linear4bit)}


def dequantize(model: Any) -> Any:
    """Replace every 4-bit layer by a plain one with the same values, in place; returns the model.

    The same numbers faster, for 2 bytes a parameter. An adapter must be on the model already: peft
    puts another layer on plain weights, which rounds its sum later.
    """
    from transformers import BitsAndBytesConfig
    from transformers.integrations.bitsandbytes import dequantize_and_replace

    if layers := linear4bit_layers(model):
        dtype = next(iter(layers.values())).compute_dtype
        config = BitsAndBytesConfig(load_in_4bit=True)  # type: ignore[no-untyped-call]
        dequantize_and_replace(model, config, dtype)  # type: ignore[no-untyped-call]
        for name, layer in layers.items():
            plain = model.get_submodule(name).requires_grad_(False)
            plain.source_cls = getattr(layer, "source_cls", type(plain))  # or GPT-2's Conv1D
    return model


def has_room_unpacked(model: Any, free: int) -> bool:
    """Whether the 4-bit layers of a model, unpacked, leave half of the free bytes to the passes."""
    layers = linear4bit_layers(model).values()
    sizes = [each.in_features * each.out_features * each.compute_dtype.itemsize for each in layers]
    return int(sum(sizes)) <= free / 2


def dequantizes_once(settings: TrainSettings, model: Any) -> bool:
    """Return whether training unpacks the 4-bit layers of a model once, on its device."""
    if settings.dequantize != "auto" or model.device.type == "cpu":
        return settings.dequantize != "each_time"
    import torch

    return has_room_unpacked(model, torch.cuda.mem_get_info(model.device)[0])
