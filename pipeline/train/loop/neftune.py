"""NEFTune: noise on the embeddings in training (Jain et al. 2023, arXiv 2310.05914)."""

from typing import Any


class EmbeddingNoise:
    """Adds uniform noise of scale ``alpha / sqrt(length x width)`` to the input embeddings.

    The length is that of the row, not of the padded or packed tensor. The noise comes from torch's
    random state, which a checkpoint holds, so a resumed run draws what an undisturbed one draws.
    Nothing is added in evaluation mode.
    """

    def __init__(self, model: Any, alpha: float) -> None:
        """Hook the input embedding of a model; alpha 0 hooks nothing."""
        self.alpha = alpha
        self._lengths: Any = None
        if alpha:
            model.get_input_embeddings().register_forward_hook(self._add)

    def expect(self, lengths: list[int], *, packed: bool) -> None:
        """Say how long the rows of the next forward pass are, one below or behind the other."""
        import torch

        if not self.alpha:
            return
        rows = torch.tensor(lengths, dtype=torch.float32)
        self._lengths = (
            rows.repeat_interleave(rows.long())[None, :, None]  # (1, tokens, 1)
            if packed
            else rows[:, None, None]  # (rows, 1, 1)
        )

    def _add(self, embedding: Any, _: Any, embedded: Any) -> Any:
        import torch

        if not embedding.training:
            return None
        noise = torch.empty_like(embedded, dtype=torch.float32).uniform_(-1, 1)
        scale = self.alpha / (self._lengths.to(embedded.device) * embedded.shape[-1]).sqrt()
        return embedded + (noise * scale).to(embedded.dtype)
