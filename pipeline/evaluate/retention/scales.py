"""Measure a loaded adapter at several scales; no test row is looked at."""

from collections.abc import Sequence
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.errors import InputError
from pipeline.core.progress import advance
from pipeline.evaluate.answers.answers import response_losses
from pipeline.evaluate.retention.frontier import Point
from pipeline.evaluate.retention.general import general_loss
from pipeline.settings import EvaluateSettings
from pipeline.train.export.scale import scaled
from schemas.pairs import Examples


def measure_scales(
    scales: Sequence[float],
    model: Any,
    tokenizer: Any,
    validation: DataFrame[Examples],
    texts: Sequence[str],
    base_loss: float,
    settings: EvaluateSettings,
) -> list[Point]:
    """Measure validation loss and forgetting at each scale of the adapter.

    Raises:
        InputError: no validation row fits into ``max_tokens``.
        TrainingError: the model has no LoRA matrices.
    """
    points = []
    advance(0, len(scales), "scales")
    for scale in scales:
        with scaled(model, scale):
            losses = response_losses(validation, model, tokenizer, settings)
            if not losses:
                raise InputError(
                    f"sweep: {validation.height} validation rows found, none within "
                    "evaluate.max_tokens; expected at least one; review more pairs or add documents"
                )
            after = _mean(general_loss(texts, model, tokenizer))
        measured = [loss for _, loss in sorted(losses.items())]
        points.append(Point(scale, _mean(measured), after, after - base_loss))
        advance(len(points), len(scales), "scales")
    return points


def _mean(losses: Sequence[tuple[float, int]]) -> float:
    """Return the mean over tokens of (nats a token, tokens)."""
    return sum(loss * tokens for loss, tokens in losses) / sum(tokens for _, tokens in losses)
