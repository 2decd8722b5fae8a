"""How long a training takes: floating-point operations over what the hardware does."""

import time

from pipeline.settings import TrainSettings
from pipeline.train.plan.activations import Batch
from pipeline.train.plan.parameters import BASE, trainable_parameters
from pipeline.train.plan.shapes import Shape

GPU_UTILISATION = 0.4
"""Share of a card's dense peak that training reaches: 0.3 to 0.5 is usual with SDPA attention and
without custom kernels (PaLM, Chowdhery et al. 2022, reports 0.21 to 0.46 for large runs)."""

CPU_UTILISATION = 0.5
"""Share of the rate of large matrix products that the loop reaches: with it ``tuneloop plan
--measure`` foresees for LoRA on the embedded model about what ``make bench`` does."""

CPU_RATES = {2: 200.0, 4: 80.0}
"""Gigaflops of a large matrix product on 2 cores with AVX512-BF16, by bytes of a value; what is
assumed when nothing is measured (``--measure``)."""

NF4_SLOWDOWN = 1.56
"""litgpt's tables, Llama-2-7B on an A100: 3.68 against 2.36 minutes with NF4."""

DORA_SLOWDOWN = 1.26
"""PEFT's method comparison: 1191 against 942 seconds at rank 32."""


def flops_per_token(shape: Shape, settings: TrainSettings, batch: Batch) -> float:
    """Return the floating-point operations of training on one token.

    2 a parameter forward, 2 for the gradients of activations, 2 more where weights are trained
    (Kaplan et al. 2020, with frozen weights 4 instead of 6); the head on supervised tokens only;
    attention by its length (half of the square, causal); checkpointing runs forward twice.
    """
    trained, full = trainable_parameters(shape, settings), settings.method == "full"
    head = shape.vocabulary * shape.hidden * batch.supervised / batch.size
    linear = shape.linear_parameters + head
    forward = 2 * linear + 2 * shape.layers * shape.queries * batch.tokens
    backward = forward + (2 * linear if full else 0)
    adapter = 0 if settings.method in BASE else 6 * trained
    return forward * (2 if settings.gradient_checkpointing else 1) + backward + adapter


def measure_flops(value: int, seconds: float = 1.0) -> float:
    """Measure the operations a second of large matrix products of 2- or 4-byte values here."""
    import torch

    dtype = torch.bfloat16 if value == 2 else torch.float32
    left, right = torch.ones(512, 1536, dtype=dtype), torch.ones(1536, 576, dtype=dtype)
    _ = left @ right  # the first call packs and plans
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(10):
            _ = left @ right
        done += 10
    return done * 2 * 512 * 1536 * 576 / (time.perf_counter() - began)
