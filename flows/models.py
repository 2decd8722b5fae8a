"""The model that is in memory: one at a time, loaded when first needed."""

import ctypes
import gc
import sys
from typing import Any

from flows.console import console
from pipeline.settings import ModelSettings, Settings
from pipeline.store import Dataset, Store
from pipeline.train.architecture import check_method
from pipeline.train.base_model import BaseModel, resolve_model
from pipeline.train.methods import resolved


def base_model(settings: Settings) -> BaseModel:
    """Find the base model and check that train.method fits it, before anything is paid for.

    The embedded one is unpacked on first use, which takes a while.
    """
    models = settings.paths.home / "models"
    with console.status("preparing the base model (the first time: half a minute)"):
        base = resolve_model(settings.model, models)
        check_method(base, resolved(settings.train), models)
        return base


class LoadedModel:
    """Loads the base model, or an adapter on it, and lets the one before go."""

    def __init__(self, base: BaseModel, settings: ModelSettings, store: Store) -> None:
        self.base = base
        self.settings = settings
        self.store = store
        self._loaded: tuple[str, Any, Any] | None = None

    def get(self, adapter: Dataset | None) -> tuple[Any, Any]:
        """Return model and tokenizer of an adapter, or of the base model for None."""
        name = str(adapter)
        if self._loaded is None or self._loaded[0] != name:
            from pipeline.train.adapter import load_adapter
            from pipeline.train.packed import pack_linears

            self.release()
            folder = self.store.path(adapter) if adapter else None
            model, tokenizer = load_adapter(self.base, folder, self.settings)
            self._loaded = (name, pack_linears(model), tokenizer)
        return self._loaded[1], self._loaded[2]

    def release(self) -> None:
        """Let the model go."""
        self._loaded = None
        free_memory()


def free_memory() -> None:
    """Collect what is unreachable and hand free pages back to the system, where libc can.

    Without it the pages of the teacher stay with the process while the trainer asks for its own.
    """
    gc.collect()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):  # glibc; musl has none
            libc.malloc_trim(0)
