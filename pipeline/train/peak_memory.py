"""The most memory that a training process holds, its return, and what to do when there is none."""

import ctypes
import errno
import gc
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.core.errors import TrainingError

FEW_PRIMITIVES = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "50", "LRU_CACHE_CAPACITY": "50"}
"""Environment of a training process: compiled products that oneDNN, and torch in front of it, keep.
Each shape of a pass has its own; with the usual 1,024 the peak is higher (set both, make bench)."""


CGROUP = Path("/sys/fs/cgroup")  # of a container, which sees its own limit there


def memory() -> tuple[int, int]:
    """Return bytes of memory that this process may have, and of these the free ones.

    Those of the machine, or of its container (cgroup 2) where that has less. What the container
    holds of files counts as free: the kernel takes it back.
    """
    import psutil  # type: ignore[import-untyped]

    machine = psutil.virtual_memory()
    try:
        limit, used = (int((CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        lines = (CGROUP / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):  # none, or "max"
        return machine.total, machine.available
    files = sum(int(line.split()[1]) for line in lines if re.match(r"(in)?active_file ", line))
    return min(machine.total, limit), min(machine.available, max(0, limit - used + files))


def peak_memory() -> int:
    """Return the peak in bytes: of the tensors on a GPU, else the largest resident set."""
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.M)):
        return 1024 * int(found[1])
    import resource  # not on Windows

    # A fallback, since it starts from the peak of the process that this one was forked from.
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def free_memory() -> None:
    """Collect what is unreachable and hand memory back: a GPU's, and pages where libc can."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):  # glibc; musl has none
            libc.malloc_trim(0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left, on a GPU or on the CPU."""
    return (
        isinstance(error, MemoryError)
        or getattr(error, "errno", None) == errno.ENOMEM
        or type(error).__name__ == "OutOfMemoryError"  # of torch: for every kind of device
        or (isinstance(error, RuntimeError) and os.strerror(errno.ENOMEM) in str(error))
    )


def in_halves(run: Callable[[Sequence[Any]], None], items: Sequence[Any]) -> None:
    """Run a pass over items, or over each half of them where there is no memory for all."""
    try:
        return run(items)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error) or len(items) == 1:
            raise
    free_memory()  # not within the block: the error holds the tensors of the pass
    half = len(items) // 2
    for part in (items[:half], items[half:]):
        in_halves(run, part)


def no_memory(error: BaseException) -> str:
    """Say that there is no memory left; what to do about it goes behind."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
    return f"memory: there is none left ({reason}); expected room for the model and a pass"


@contextmanager
def naming_the_setting(advice: str) -> Iterator[None]:
    """Turn the error of no memory left into a TrainingError that says what to set."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(f"{no_memory(error)}; {advice}") from error
