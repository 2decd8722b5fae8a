"""Attention of a training beside torch's: forward and backward pass, in one process by turns.

    python -m tests.benchmarks.attention

The heads of the embedded model (9 of size 64 on 3 key heads), rows of several lengths, in the
type that this processor computes in. With the mask: as transformers calls SDPA when a common
beginning was computed apart.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from pipeline.train.cpu.attention import CausalAttention
from pipeline.train.models.device import compute_dtype

SIZES = ((4, 120), (4, 250), (2, 400), (1, 700), (1, 1000))
"""Rows and tokens of a pass."""
HEADS, KEY_HEADS, SIZE = 9, 3, 64
REPEATS = 7


def main() -> None:
    """Print a line a size: milliseconds, the best of :data:`REPEATS`, and ratios to ours."""
    dtype = compute_dtype("cpu")
    print(f"{dtype}, {torch.get_num_threads()} threads, milliseconds")
    print(f"{'rows':>4} {'tokens':>6} {'SDPA':>8} {'with mask':>9} {'blocks':>8}  ratios")
    for rows, tokens in SIZES:
        sdpa, masked, blocks = (1e3 * seconds for seconds in timed(rows, tokens, dtype))
        print(
            f"{rows:>4} {tokens:>6} {sdpa:>8.1f} {masked:>9.1f} {blocks:>8.1f}  "
            f"{sdpa / blocks:.2f} {masked / blocks:.2f}"
        )


def timed(rows: int, tokens: int, dtype: torch.dtype) -> list[float]:
    """Return the best seconds of SDPA, of SDPA given a mask, and of blocks."""
    torch.manual_seed(1)
    q, k, v = (draw(rows, heads, tokens, dtype) for heads in (HEADS, KEY_HEADS, KEY_HEADS))
    mask = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    above = torch.randn(rows, HEADS, tokens, SIZE, dtype=dtype)
    ways: tuple[Callable[[], Any], ...] = (
        lambda: scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True),
        lambda: scaled_dot_product_attention(q, _all(k), _all(v), mask),
        lambda: CausalAttention.apply(q, k, v, SIZE**-0.5).transpose(1, 2),  # type: ignore[no-untyped-call]
    )
    best = [float("inf")] * len(ways)
    for _ in range(REPEATS):
        for number, way in enumerate(ways):
            began = time.perf_counter()
            torch.autograd.grad(way(), (q, k, v), above)
            best[number] = min(best[number], time.perf_counter() - began)
    return best


def draw(rows: int, heads: int, tokens: int, dtype: torch.dtype) -> torch.Tensor:
    """Return random values as a projection leaves them: heads inside of tokens."""
    tensor = torch.randn(rows, tokens, heads, SIZE, dtype=dtype).transpose(1, 2)
    return tensor.detach().requires_grad_()


def _all(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.repeat_interleave(HEADS // KEY_HEADS, 1)


if __name__ == "__main__":
    main()
