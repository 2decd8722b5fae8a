"""What a training may run on: graphics cards by name, and this machine."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.core.errors import SettingsError
from pipeline.train.peak_memory import memory
from pipeline.train.plan.catalogue import CARDS

GPU_UTILISATION = 0.4
"""Share of a card's dense peak that training reaches: 0.3 to 0.5 is usual with SDPA attention and
without custom kernels (PaLM, Chowdhery et al. 2022, reports 0.21 to 0.46 for large runs)."""

CPU_UTILISATION = 0.5
"""Share of the rate of large matrix products that the loop reaches: with it ``tuneloop plan
--measure`` foresees for LoRA on the embedded model about what ``make bench`` does."""

CPU_RATES = {2: 200.0, 4: 80.0}  # gigaflops on 2 cores with AVX512-BF16, by bytes of a value

BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # of /proc/cpuinfo; torch has its own
RESERVED = 0.05  # share of the memory that is left alone: the driver, the display, other processes


@dataclass(frozen=True)
class Hardware:
    """What a training runs on; its memory in bytes."""

    name: str
    kind: Literal["cpu", "gpu"]
    memory: int
    value: int  # bytes of a value of the compute type: 2 for bfloat16, 4 for float32
    flops: float  # floating-point operations a second that training reaches
    about: str

    @property
    def usable(self) -> int:
        """Bytes that a training may take."""
        return int(self.memory * (1 - RESERVED))


def card(name: str) -> Hardware:
    """Return a graphics card of the table; raises SettingsError for another."""
    key = name.lower().replace(" ", "").replace("_", "-")
    if key not in CARDS:
        raise SettingsError(
            f"plan: graphics card {name!r} is not known; expected one of {', '.join(CARDS)}; "
            "choose the one that is nearest in memory"
        )
    return gpu(key, CARDS[key].gigabytes * 2**30, bfloat16=CARDS[key].bfloat16)


def training_machine(device: str) -> Hardware:
    """Return what a training on a device runs on: the GPU of this machine, or its CPU."""
    if device != "cuda":
        return this_machine()
    import torch

    properties = torch.cuda.get_device_properties(0)
    bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return gpu(properties.name, properties.total_memory, bfloat16=bfloat16)


def gpu(name: str, memory: int, *, bfloat16: bool) -> Hardware:
    """Return a graphics card with its own memory, and the rate of the nearest one of the table."""
    spelt = name.lower().replace(" ", "")
    alike = [each for key, each in CARDS.items() if key.partition("-")[0] in spelt]
    nearest = min(alike or CARDS.values(), key=lambda each: abs(each.gigabytes * 2**30 - memory))
    about = f"{nearest.teraflops:g} TFLOPS x {GPU_UTILISATION:.0%} assumed ({nearest.source})"
    if not bfloat16:
        about += "; no bfloat16 in hardware: computes in float32"
    flops = nearest.teraflops * 1e12 * GPU_UTILISATION
    return Hardware(name, "gpu", memory, 2 if bfloat16 else 4, flops, about)


def this_machine(measure: bool = False) -> Hardware:
    """Return the CPU of this machine with its memory, and its rate: assumed unless measured."""
    import psutil  # type: ignore[import-untyped]

    value = 2 if _has_bfloat16() else 4
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    rate = measure_flops(value) if measure else CPU_RATES[value] * 1e9 * cores / 2
    how = "measured" if measure else f"assumed for {cores} cores; --measure measures it"
    kind = "bfloat16" if value == 2 else "float32"
    about = f"{rate / 1e9:.0f} GFLOPS in {kind} ({how}) x {CPU_UTILISATION:.0%}"
    return Hardware("this machine", "cpu", memory()[0], value, rate * CPU_UTILISATION, about)


def _has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16, without importing torch where Linux tells."""
    if (file := Path("/proc/cpuinfo")).is_file():
        return bool(BFLOAT16_FLAGS & set(file.read_text("utf-8").split()))
    import torch

    from pipeline.train.models.device import compute_dtype

    return bool(compute_dtype("cpu") == torch.bfloat16)


def measure_flops(value: int) -> float:
    """Measure the operations a second of large matrix products of 2- or 4-byte values here."""
    import torch
    from torch.utils.benchmark import Timer

    dtype = torch.bfloat16 if value == 2 else torch.float32
    left, right = torch.ones(512, 1536, dtype=dtype), torch.ones(1536, 576, dtype=dtype)
    threads = torch.get_num_threads()
    timer = Timer("left @ right", globals={"left": left, "right": right}, num_threads=threads)
    return 2 * 512 * 1536 * 576 / timer.blocked_autorange(min_run_time=1).mean
