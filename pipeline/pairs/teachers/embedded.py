"""A language model in this process as a teacher.

Nothing here imports torch at the top: a run that has all replies starts without it.
"""

from collections.abc import Sequence
from typing import Any

from pipeline.pairs.teachers.teacher import Messages, OnReply, Reply, Request, Strength
from pipeline.settings import ModelSettings
from pipeline.train.models.base_model import BaseModel, load_model, load_tokenizer
from pipeline.train.models.device import choose_device, configure_torch


class EmbeddedTeacher:
    """Teacher over a local transformers model; loaded at the first request."""

    def __init__(
        self, base: BaseModel, settings: ModelSettings, batch_size: int, strength: Strength = "weak"
    ) -> None:
        self.name = f"{base.name}@{base.digest[:16]}"
        self.strength: Strength = strength
        self.batch_size = batch_size
        self._base, self._settings = base, settings
        self._loaded: tuple[Any, Any] | None = None

    def complete(
        self, requests: Sequence[Request], seed: int, on_reply: OnReply | None = None
    ) -> list[Reply]:
        """Answer all requests as one batch.

        Each reply draws its random numbers from a generator of its own, seeded by its request and
        the seed. In bfloat16 a batch of another make-up rounds the logits otherwise, which can
        change a word; the same batch gives the same replies in any process.
        """
        if not requests:
            return []
        from pipeline.pairs.teachers.sampling import sample

        replies = sample(*self._model(), requests, seed)
        if on_reply is not None:
            for number, reply in enumerate(replies):
                on_reply(number, reply)
        return replies

    def answer_losses(self, pairs: Sequence[tuple[Messages, str]]) -> list[float]:
        """Return the mean nats a token of each answer after its messages, without its end of turn.

        A ValueError where an answer has no tokens.
        """
        if not pairs:
            return []
        from pipeline.pairs.teachers.sampling import answer_losses

        return answer_losses(*self._model(), pairs)

    def _model(self) -> tuple[Any, Any]:
        if self._loaded is None:
            from pipeline.train.cpu.packed import pack_linears

            configure_torch(self._settings)
            model = pack_linears(load_model(self._base.path, choose_device(self._settings)))
            self._loaded = model, load_tokenizer(self._base.path, self._base.thinking)
        return self._loaded
