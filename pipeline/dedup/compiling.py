"""How the functions of this folder are compiled, and where the machine code is kept."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numba as nb

from pipeline.core.cache import program_cache

F = TypeVar("F")


def _cache_folder() -> Path:
    """Return a folder that another version of these files does not share.

    numba keeps the code of a function until the function's own file changes. The functions that
    it calls are part of that code, and a change of theirs in another file would go unnoticed.
    """
    here = Path(__file__).parent
    sources = b"\0".join(path.read_bytes() for path in sorted(here.glob("*.py")))
    return program_cache() / hashlib.sha256(sources).hexdigest()[:16]


if TYPE_CHECKING:  # numba has no types

    def compiled(function: F) -> F:
        """Return the function, compiled when it is first called."""
else:
    nb.config.CACHE_DIR = str(_cache_folder())
    compiled = nb.njit(cache=True, nogil=True, boundscheck=False)
