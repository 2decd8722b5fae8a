"""Variable-length attention of packed rows on a GPU: torch's FlashAttention, told where rows end.

Given the positions of packed rows, transformers writes a mask of all tokens by all, which no flash
kernel takes: both time and memory grow with the square of the pass. Here each row attends alone.
Where a row is longer than a layer's window, the layer keeps that mask.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn

LARGEST_HEAD = 256  # width of a head that FlashAttention knows
HALVES = (torch.bfloat16, torch.float16)


def takes(model: Any) -> bool:
    """Whether :func:`varlen_attention` computes what this model does in a pass of packed rows."""
    config = model.config.get_text_config()
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    plain = config._attn_implementation == "sdpa" and model.dtype in HALVES
    alike = getattr(config, "v_head_dim", None) in (None, head)
    drops = any(getattr(config, name, 0) for name in ("attention_dropout", "attn_pdrop"))
    fits = head <= LARGEST_HEAD and head % 8 == 0
    return model.device.type == "cuda" and plain and alike and fits and not drops


class _Rows:
    """Where the packed rows of the pass begin that a decoder is in; none when they are padded."""

    def __init__(self) -> None:
        self.starts: Tensor | None = None  # int32, shape (rows + 1,)
        self.longest = 0

    def note(self, _: Any, __: Any, given: dict[str, Any]) -> None:
        """Read them off the positions, as a hook before the decoder; (1, tokens) for packed."""
        lengths: Sequence[int] | None = getattr(given.get("position_ids"), "lengths", None)
        self.starts = None
        if lengths:  # known to the host: nothing waits for the GPU
            device = given["position_ids"].device
            self.starts = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=device)
            self.longest = max(lengths)


@contextmanager
def varlen_attention(*models: Any) -> Iterator[None]:
    """Let packed rows attend by torch's ``varlen_attn``, where transformers would call SDPA.

    All models that compute meanwhile are named: each tells where the rows of its pass begin.
    """
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    causal = [each.get_base_model() if hasattr(each, "get_base_model") else each for each in models]
    functions: Any = ALL_ATTENTION_FUNCTIONS
    masks: Any = ALL_MASK_ATTENTION_FUNCTIONS
    rows, sdpa_mask = _Rows(), masks["sdpa"]

    def mask(*arguments: Any, **named: Any) -> Any:
        window = named.get("local_size")  # of a sliding window, or a chunk
        own = rows.starts is None or (window is not None and window < rows.longest)
        return sdpa_mask(*arguments, **named) if own else None

    decoders = [each.get_decoder() for each in causal]
    hooks = [each.register_forward_pre_hook(rows.note, with_kwargs=True) for each in decoders]
    functions["sdpa"], masks["sdpa"] = _instead_of(functions["sdpa"], rows), mask
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        del functions["sdpa"], masks["sdpa"]  # transformers' own are below


def _instead_of(sdpa: Callable[..., Any], rows: _Rows) -> Callable[..., Any]:
    def attend(
        module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
        dropout: float = 0.0, scaling: float | None = None, **others: Any,
    ) -> tuple[Tensor, None]:  # fmt: skip
        if rows.starts is None or attention_mask is not None:
            found: tuple[Tensor, None] = sdpa(
                module, query, key, value, attention_mask, dropout, scaling, **others
            )
            return found
        if dropout or others.get("position_bias") is not None:
            raise ValueError("varlen_attn: dropout or a position bias, which it does not know")
        q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
        starts, longest = rows.starts, rows.longest
        output: Any = varlen_attn(
            q, k, v, starts, starts, longest, longest,
            scale=scaling, window_size=(-1, 0), enable_gqa=query.shape[1] != key.shape[1],
        )  # fmt: skip
        return output[None], None

    return attend
