"""Several adapters on one base in memory: loaded once each, swapped without loading the base."""

import json
from pathlib import Path
from typing import Any

from pipeline.core.errors import TrainingError
from pipeline.settings import ModelSettings
from pipeline.train.methods import METHODS
from pipeline.train.methods.lora import quiet_peft
from pipeline.train.models.adapter import (
    check_fit,
    load_adapter,
    on_plain_base,
    put_as_trained,
    read_run_card,
)
from pipeline.train.models.base_model import BaseModel


class Swap:
    """A base model and the adapters that were used on it so far; one or none is active.

    The base is in the precision of its first adapter, or in plain weights. Another one is refused.
    """

    def __init__(self, base: BaseModel, settings: ModelSettings, adapter: Path | None) -> None:
        self.base = base
        self.model, self.tokenizer = load_adapter(base, adapter, settings)
        self.quantized = adapter is not None and _method(adapter).quantized
        self.active = adapter
        self._names: dict[Path, str] = {}
        """Adapters in memory, by their folder, and what peft calls them; none on a plain model."""
        if adapter is not None and _peft_kind(adapter):
            self._names[adapter] = self.model.active_adapter

    def use(self, adapter: Path | None) -> None:
        """Let an adapter answer from now on, or the base alone for None.

        Raises TrainingError where it does not fit, or it, or the one before it, is no adapter
        beside the weights.
        """
        if adapter == self.active:
            return
        if self.active is not None and not self._names:
            raise TrainingError(
                f"adapter {self.active.name}: its method {_method(self.active).name} is built into "
                "the model; expected LoRA or IA3 to swap; start `tuneloop chat` with the other one"
            )
        if adapter is None:
            self.model.base_model.disable_adapter_layers()
        else:
            if adapter not in self._names:
                self._load(adapter)
            self.model.base_model.enable_adapter_layers()
            self.model.set_adapter(self._names[adapter])
            self.model.eval().requires_grad_(False)
        self.active = adapter

    def _load(self, adapter: Path) -> None:
        method = check_fit(self.base, adapter, self.tokenizer, self.quantized)
        kind = _peft_kind(adapter)
        loaded = _peft_kind(next(iter(self._names))) if self._names else kind
        if kind is None or kind != loaded:
            raise TrainingError(
                f"adapter {adapter.name}: its method {method.name} cannot join "
                f"{loaded or 'a base'} in memory; expected an adapter of the same kind "
                "(LoRA or IA3); start `tuneloop chat` with it"
            )
        name = f"adapter-{len(self._names)}"
        if self._names:
            with quiet_peft():
                self.model.load_adapter(adapter, name, is_trainable=False)
            put_as_trained(self.model, adapter, name)
        else:
            self.model = on_plain_base(self.model, adapter)
            name = self.model.active_adapter
        self._names[adapter] = name


def _method(adapter: Path) -> Any:
    return METHODS[read_run_card(adapter)["method"]]


def _peft_kind(adapter: Path) -> str | None:
    """Return peft's name of an adapter's kind, or None when it is not one that can be swapped."""
    file = adapter / "adapter_config.json"
    kind = json.loads(file.read_text("utf-8")).get("peft_type") if file.is_file() else None
    return kind if kind in ("LORA", "IA3") else None
