"""Causal attention of a training on a CPU: blocks of queries, as matrix products.

torch's SDPA splits its work so small on a CPU that its products run far below the machine's rate,
and given a mask it computes the masked half, too (``python -m tests.benchmarks.attention``). Here a
block of queries meets all keys it may see in one product a head, and the probabilities are made
again for the backward pass (FlashAttention, Dao et al. 2022, without its inner loop over keys).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from pipeline.train.models.device import compute_dtype

SHORT, SMALL, LARGE = 256, 64, 128
"""Queries of a block: SMALL in rows of up to SHORT queries, else LARGE: scores stay in cache."""
MORE = ("position_bias", "cache", "softcap", "s_aux")  # arguments with which SDPA computes
Blocks = list[tuple[slice, int]]  # places of the queries of a block, and how many keys they may see


class CausalAttention(Function):
    """``softmax(scale q k' + causal mask) v`` with grouped heads (Ainslie et al. 2023).

    Shapes: q (rows, heads, queries, size), k and v (rows, key heads, keys, size); the last query
    sees all keys, the one before it all but the last.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """Return the output, shape (rows, queries, heads, size); keeps q, k and v."""
        output = q.new_empty(q.shape[0], q.shape[2], q.shape[1], v.shape[-1])
        values = v.flatten(0, 1)
        for places, seen in _blocks(q, k):
            _, _, weights = _weights(q, k, scale, places, seen)
            _put(output, places, torch.bmm(weights, values[:, :seen]), k.shape[1])
        ctx.save_for_backward(q, k, v)
        ctx.scale = scale
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of q, k and v; those of k and v are summed in float32."""
        q, k, v = ctx.saved_tensors
        above, scale = gradients[0].transpose(1, 2), ctx.scale
        of_q = q.new_empty(q.shape[0], q.shape[2], q.shape[1], q.shape[3])
        keys, values = k.flatten(0, 1), v.flatten(0, 1)
        of_k = torch.zeros(keys.shape, dtype=torch.float32, device=k.device)
        of_v = torch.zeros(values.shape, dtype=torch.float32, device=v.device)
        for places, seen in _blocks(q, k):
            queries, seen_keys, weights = _weights(q, k, scale, places, seen)
            of_output = _take(above, places, k.shape[1])
            of_v[:, :seen] += torch.bmm(weights.transpose(1, 2), of_output)
            of_weights = torch.bmm(of_output, values[:, :seen].transpose(1, 2))
            of_scores = torch.ops.aten._softmax_backward_data(
                of_weights, weights, -1, weights.dtype
            )
            of_k[:, :seen] += torch.bmm(of_scores.transpose(1, 2), queries)
            _put(of_q, places, torch.bmm(of_scores, seen_keys).mul_(scale), k.shape[1])
        of_keys, of_values = of_k.view(k.shape).to(k.dtype), of_v.view(v.shape).to(v.dtype)
        return of_q.transpose(1, 2), of_keys, of_values, None


def _blocks(q: Tensor, k: Tensor) -> Blocks:
    queries, older = q.shape[2], k.shape[2] - q.shape[2]
    size = SMALL if queries <= SHORT else LARGE
    starts = range(0, queries, size)
    places = [slice(start, min(queries, start + size)) for start in starts]
    return [(block, older + block.stop) for block in places]


def _take(tensor: Tensor, places: slice, groups: int) -> Tensor:
    """Return a block of (rows, heads, queries, size) as (rows x key heads, heads a key, size)."""
    rows, _, _, size = tensor.shape
    return tensor[:, :, places].reshape(rows * groups, -1, size)


def _put(into: Tensor, places: slice, block: Tensor, groups: int) -> None:
    """Put what :func:`_take` takes into a tensor of shape (rows, queries, heads, size)."""
    rows, queries, heads, size = into.shape
    grouped = into.view(rows, queries, groups, heads // groups, size)[:, places]
    of_heads = block.view(rows, groups, heads // groups, -1, size)
    grouped.copy_(of_heads.permute(0, 3, 1, 2, 4))


def _weights(
    q: Tensor, k: Tensor, scale: float, places: slice, seen: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the scaled queries of a block, the keys they may see, and their probabilities."""
    queries = _take(q, places, k.shape[1]).mul(scale)
    keys = k.flatten(0, 1)[:, :seen]
    scores = torch.bmm(queries, keys.transpose(1, 2))
    size = places.stop - places.start
    later = torch.full((size, size), -torch.inf, dtype=q.dtype, device=q.device).triu_(1)
    scores.view(len(scores), -1, size, seen)[..., seen - size :].add_(later)
    return queries, keys, torch.softmax(scores, -1)


@contextmanager
def blocked_attention(model: Any) -> Iterator[None]:
    """Let a model attend by :class:`CausalAttention` while it trains on a CPU.

    Only in bfloat16 on a processor with such instructions (on one without, SDPA needs 0.2 to 0.7 of
    the time), where transformers would call its SDPA for causal attention, and gradients are
    wanted: another mask (packed rows, a window), dropout, an evaluation, or a GPU keeps it.
    """
    if not _is_faster_for(model) or model.config._attn_implementation != "sdpa":
        yield
        return
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    functions: Any = ALL_ATTENTION_FUNCTIONS
    functions["sdpa"] = _instead_of(functions["sdpa"])
    try:
        yield
    finally:
        del functions["sdpa"]  # transformers' own is below


def _is_faster_for(model: Any) -> bool:
    types = {model.dtype, compute_dtype("cpu")}
    return model.device.type == "cpu" and types == {torch.bfloat16}


def _instead_of(sdpa: Callable[..., Any]) -> Callable[..., Any]:
    is_causal_for = lru_cache(maxsize=1)(_is_causal)  # all layers of a pass are given the same mask

    def attend(
        module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
        dropout: float = 0.0, scaling: float | None = None, is_causal: bool | None = None,
        **others: Any,
    ) -> tuple[Tensor, None]:  # fmt: skip
        if (
            all(others.get(name) is None for name in MORE)
            and not dropout
            and query.shape[-1] == value.shape[-1]
            and torch.is_grad_enabled()
            and any(tensor.requires_grad for tensor in (query, key, value))
            and (getattr(module, "is_causal", True) if is_causal is None else is_causal)
            and is_causal_for(attention_mask, query.shape[2], key.shape[2])
        ):
            scale = query.shape[-1] ** -0.5 if scaling is None else scaling
            result: Tensor = CausalAttention.apply(query, key, value, scale)  # type: ignore[no-untyped-call]
            return result, None
        found: tuple[Tensor, None] = sdpa(
            module, query, key, value, attention_mask, dropout, scaling, is_causal, **others
        )
        return found

    return attend


def _is_causal(mask: Tensor | None, queries: int, keys: int) -> bool:
    """Whether a mask lets each query see the keys up to its own, and no others."""
    if mask is None:  # SDPA would count the first query as the first key's
        return queries == keys
    if mask.dtype != torch.bool or mask.shape[-2:] != (queries, keys):
        return False
    expected = torch.ones(queries, keys, dtype=torch.bool, device=mask.device)
    return torch.equal(mask, expected.tril_(keys - queries).expand(mask.shape))
