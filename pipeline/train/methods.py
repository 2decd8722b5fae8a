"""The fine-tuning methods: one table, one row each.

A new method is a new row: a name, whether the base is quantized to NF4, and the PEFT
configuration it trains.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.settings import TrainSettings


@dataclass(frozen=True, slots=True)
class Method:
    """How a base model is adapted."""

    name: str
    quantized: bool
    """Whether the linear layers of the base are held in 4 bits (NF4)."""
    peft_config: Callable[[TrainSettings], Any]
    """Builds the PEFT configuration; imports peft when called."""


def _lora(settings: TrainSettings) -> Any:
    """LoRA on all linear layers but the output head (Dettmers et al. 2023; Schulman et al. 2025).

    From rank 64 on, the scale is ``alpha / sqrt(rank)`` (rsLoRA, Kalajdzievski 2023): with
    ``alpha / rank`` a larger rank learns no better.
    """
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        use_rslora=settings.rank >= 64,
        target_modules="all-linear",
        bias="none",
        task_type="CAUSAL_LM",
    )


METHODS = {
    method.name: method
    for method in (
        Method("lora", quantized=False, peft_config=_lora),
        Method("qlora", quantized=True, peft_config=_lora),
    )
}
"""Every method by its name in ``train.method``."""
