"""The most memory that a training process holds."""

import sys
from pathlib import Path

FEW_PRIMITIVES = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "50", "LRU_CACHE_CAPACITY": "50"}
"""Environment of a training process: how many compiled products oneDNN, and torch's own cache in
front of it, keep. Each shape of a pass has its own, and they stay: with the usual 1,024 of them the
peak is higher (``ONEDNN_PRIMITIVE_CACHE_CAPACITY=1024 LRU_CACHE_CAPACITY=1024 make bench``)."""

STATUS = Path("/proc/self/status")


def peak_memory() -> int:
    """Return the peak in bytes: of the tensors on a GPU, else the largest resident set.

    That is ``VmHWM`` where there is /proc (proc_pid_status(5)): getrusage(2), which stands in for
    it elsewhere, starts from the parent's peak in a process that was forked from it.
    """
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    if STATUS.exists():
        for line in STATUS.read_text("utf-8").splitlines():
            if line.startswith("VmHWM"):
                return 1024 * int(line.split()[1])
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
