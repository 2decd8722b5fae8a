"""Can vLLM serve an adapter as it is? Said before training rather than after.

vLLM reads rank, alpha, rsLoRA and targets, and stops at DoRA and ``modules_to_save``; ranks and
scales that differ by layer it would apply wrongly without a word (vllm/lora/peft_helper.py).
"""

from collections.abc import Mapping
from typing import Any

from pipeline.core.errors import SettingsError
from pipeline.settings import ExportSettings, TrainSettings
from pipeline.train.methods import METHODS

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM has kernels for (vllm/config/lora.py)


def check_settings(train: TrainSettings, export: ExportSettings) -> None:
    """Raise SettingsError, before training, for what ``export.serve_with = "vllm"`` excludes."""
    if not (ranks := METHODS[train.method].served_rank):
        served = ", ".join(name for name, method in METHODS.items() if method.served_rank)
        objections = [f"train.method = {train.method} (expected {served})"]
    else:
        config = {"peft_type": "LORA", "r": (train.rank or 0) * ranks}
        objections = unservable(config, export.max_lora_rank)
    if objections:
        raise SettingsError(
            f'settings: export.serve_with = "vllm" found with {"; ".join(objections)}; expected '
            "what vLLM serves as an adapter; change it, or leave serve_with out and export merged "
            "weights"
        )


def unservable(config: Mapping[str, Any], max_lora_rank: int) -> list[str]:
    """Return why vLLM would not serve an adapter, or serve it wrongly; empty when it does."""
    kind = config.get("peft_type") or config.get("method")
    if kind != "LORA":
        return [f"it is {kind}, and vLLM serves LoRA"]
    reasons = []
    rank = int(config.get("r", 0))
    if rank not in RANKS:
        reasons.append(f"rank {rank} is not among {', '.join(map(str, RANKS))}")
    if rank > max_lora_rank:
        reasons.append(f"rank {rank} is above export.max_lora_rank = {max_lora_rank}")
    if config.get("use_dora"):
        reasons.append("it is DoRA")
    if config.get("bias", "none") != "none":
        reasons.append(f"it trains biases ({config['bias']})")
    for key, what in (
        ("modules_to_save", "whole modules beside LoRA"),
        ("rank_pattern", "ranks that differ by layer"),
        ("alpha_pattern", "scales that differ by layer"),
    ):
        if config.get(key):
            reasons.append(f"it has {what} ({key})")
    return reasons
