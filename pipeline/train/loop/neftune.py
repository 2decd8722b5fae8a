"""NEFTune: noise on the embeddings in training (Jain et al. 2023, arXiv 2310.05914)."""

from typing import Any

import torch


class EmbeddingNoise:
    """Adds uniform noise of scale ``alpha / sqrt(length x width)`` to the input embeddings.

    The length is that of the row, not of the padded or packed tensor. The noise is of torch's
    random state, which a checkpoint holds. Nothing is added in evaluation mode.
    """

    def __init__(self, model: Any, alpha: float) -> None:
        self.alpha = alpha
        self._lengths: Any = None
        if alpha:
            model.get_input_embeddings().register_forward_hook(self._add)

    def expect(self, lengths: list[int], *, packed: bool) -> None:
        """Say how long the rows of the next forward pass are, one below or behind the other."""
        if not self.alpha:
            return
        rows = torch.tensor(lengths, dtype=torch.float32)
        self._lengths = (
            rows.repeat_interleave(rows.long())[None, :, None]  # (1, tokens, 1)
            if packed
            else rows[:, None, None]  # (rows, 1, 1)
        )

    def _add(self, embedding: Any, _: Any, embedded: Any) -> Any:
        if not embedding.training:
            return None
        noise = torch.empty_like(embedded, dtype=torch.float32).uniform_(-1, 1)
        scale = self.alpha / (self._lengths.to(embedded.device) * embedded.shape[-1]).sqrt()
        return embedded + (noise * scale).to(embedded.dtype)
