"""The device that models run on, its compute type, torch's threads, and libraries silenced."""

import logging
import os
import shutil
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.core.errors import TrainingError
from pipeline.core.progress import announce
from pipeline.settings import ModelSettings


def choose_device(settings: ModelSettings) -> str:
    """Return ``cpu`` or ``cuda``; TrainingError where ``cuda`` is asked for and there is none."""
    import torch

    if settings.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            f"model.device: 'cuda' asked for and {unusable_gpu() or 'there is no GPU'}; expected a "
            'GPU that torch can use; mend that, or set model.device = "auto" to run on the CPU'
        )
    return "cuda" if settings.device != "cpu" and torch.cuda.is_available() else "cpu"


def unusable_gpu(devices: Path = Path("/dev")) -> str:
    """Return why torch cannot use the NVIDIA GPU that this machine has; empty when it can."""
    import torch

    there = any(devices.glob("nvidia[0-9]*")) or shutil.which("nvidia-smi") is not None
    if not there or torch.cuda.is_available():
        return ""
    if torch.version.cuda is None:
        return (
            f"torch {torch.__version__} was built without CUDA, though there is an NVIDIA GPU: "
            "install the CUDA wheel of the same version (pytorch.org/get-started)"
        )
    return (
        f"torch {torch.__version__}, built for CUDA {torch.version.cuda}, cannot use the NVIDIA "
        "GPU: `nvidia-smi` should name it, with a driver for that CUDA or a newer one; look at "
        "CUDA_VISIBLE_DEVICES, too"
    )


@cache
def announce_device(settings: ModelSettings) -> None:
    """Tell whoever listens on what models run, once a process."""
    announce(describe_device(settings))


def describe_device(settings: ModelSettings) -> str:
    """Say on what a model runs, and why not on the GPU that is there."""
    import torch

    configure_torch(settings)
    device = choose_device(settings)
    kind = str(compute_dtype(device)).removeprefix("torch.")
    if device == "cuda":
        found = torch.cuda.get_device_properties(0)
        return f"device: cuda ({found.name}, {found.total_memory / 2**30:.0f} GiB, {kind})"
    threads = torch.get_num_threads()
    line = f"device: cpu ({threads} thread{'s' * (threads > 1)}, {kind})"
    reason = unusable_gpu() if settings.device == "auto" else ""
    return f"{line}; {reason}" if reason else line


def compute_dtype(device: str) -> Any:
    """Return the torch dtype to compute in: bfloat16 where the hardware has it, else float32."""
    import torch

    if device == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        abilities = torch.cpu.get_capabilities()
        fast = any(abilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.bfloat16 if fast else torch.float32


def configure_torch(settings: ModelSettings) -> None:
    """Set threads and determinism of torch for this process.

    Deterministic kernels are required on a CPU, where all we use have one, and preferred on a
    GPU. Fresh memory stays uninitialised: nothing reads it, and filling it costs time.
    """
    import torch

    threads = settings.threads
    if not threads and not os.environ.get("OMP_NUM_THREADS"):  # which torch has read
        threads = int(torch.cpu.get_capabilities().get("num_physical_cores") or 0)
    if threads:
        torch.set_num_threads(threads)
    gpu = choose_device(settings) == "cuda"
    torch.use_deterministic_algorithms(True, warn_only=gpu)
    if gpu:  # or each kernel without one says so: FlashAttention's backward pass, cuBLAS
        warnings.filterwarnings("ignore", message=".*deterministic")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def silence_transformers() -> None:
    """Turn off progress bars and warnings of transformers, and bitsandbytes' of ``kernels``."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
