"""The model that is in memory: one at a time, loaded when first needed, freed by a ``with``."""

import functools
from pathlib import Path
from typing import Any, Self

from flows.engine.console import console
from flows.engine.context import say
from pipeline.core.home import whole
from pipeline.core.stage import Given
from pipeline.core.store import Dataset, Store
from pipeline.settings import ModelSettings, Settings
from pipeline.train.methods import resolved
from pipeline.train.models.base_model import BaseModel, resolve_model
from pipeline.train.models.check import check_base, check_method
from pipeline.train.models.device import announce_device
from pipeline.train.peak_memory import free_memory


def base_model(settings: Settings) -> BaseModel:
    """Find the base model and check that it can be trained, before anything is paid for."""
    models = settings.paths.home / "models"
    with console.status("preparing the base model (the first time: half a minute)"):
        base = resolve_model(settings.model, models)
        note = check_base(base, models)
        check_method(base, resolved(settings.train), models)
    if note:
        say(note)
    return base


class LoadedModel:
    """The base model, or an adapter on it, for a ``with`` block, at whose end its memory is free.

    :meth:`get` loads, and lets another model go first; between blocks a training has the memory.
    """

    def __init__(self, base: BaseModel, settings: ModelSettings, store: Store) -> None:
        self.base = base
        self.settings = settings
        self.store = store
        self._loaded: tuple[str, Any, Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def get(self, adapter: Dataset | Path | None) -> tuple[Any, Any]:
        """Return model and tokenizer of an adapter, or of the base model for None."""
        name = str(adapter)
        if self._loaded is None or self._loaded[0] != name:
            from pipeline.train.cpu.packed import pack_linears
            from pipeline.train.models.adapter import load_adapter

            self.release()
            announce_device(self.settings)
            folder = whole(self.store, adapter) if isinstance(adapter, Dataset) else adapter
            model, tokenizer = load_adapter(self.base, folder, self.settings)
            self._loaded = (name, pack_linears(model), tokenizer)
        return self._loaded[1], self._loaded[2]

    def given(self, adapter: Dataset | None, **parents: Dataset) -> dict[str, Any]:
        """Return what a stage is given of a model (None: the base), and what decides on reuse."""
        return {
            "model": Given(functools.partial(self.get, adapter)),
            "base": self.base.digest,
            "adapter": adapter.content if adapter else None,
            "parents": parents | ({"model": adapter} if adapter else {}),
        }

    def release(self) -> None:
        """Let the model go before the end of the block: a training needs the memory."""
        if self._loaded is not None:
            self._loaded = None
            free_memory()
