"""How much of an adapter to keep: validation loss against forgetting, by scale."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.errors import InputError
from pipeline.core.progress import advance
from pipeline.core.record import record
from pipeline.settings import EvaluateSettings
from schemas.pairs import Examples


@record
class Point:
    """One scale of the adapter; losses in nats a token."""

    scale: float
    validation_loss: float
    general_loss: float
    rise: float  # of the loss on general text above the base model's: what the gate limits
    dominated: bool = False  # whether another scale forgets less and is no worse on validation rows


@record
class Frontier:
    """All scales that were tried, ascending, and the one to take."""

    points: tuple[Point, ...]
    limit: float  # ``gate.max_forgetting``
    chosen: float | None  # the scale of the least validation loss within the limit; None without
    summary: str  # what to do, in one sentence
    model: str = ""  # data set of the adapter


def measure_scales(
    scales: Sequence[float],
    model: Any,
    tokenizer: Any,
    validation: DataFrame[Examples],
    texts: Sequence[str],
    base_loss: float,
    settings: EvaluateSettings,
) -> list[Point]:
    """Measure the adapter at each scale; InputError: no row fits, TrainingError: it has no LoRA."""
    from pipeline.evaluate.answers.answers import response_losses
    from pipeline.evaluate.retention.general import general_loss
    from pipeline.train.export.scale import scaled

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
    return sum(loss * tokens for loss, tokens in losses) / sum(tokens for _, tokens in losses)


def frontier(points: Sequence[Point], limit: float, model: str = "") -> Frontier:
    """Choose the scale within the limit of the least validation loss; the smaller of equals."""
    ordered = tuple(
        replace(
            point,
            dominated=any(
                other.rise < point.rise and other.validation_loss <= point.validation_loss
                for other in points
            ),
        )
        for point in sorted(points, key=lambda point: point.scale)
    )
    allowed = [point for point in ordered if point.rise <= limit]
    best = min(allowed, key=lambda point: (point.validation_loss, point.scale), default=None)
    chosen = best.scale if best else None
    return Frontier(ordered, limit, chosen, _summary(ordered, best, limit), model)


def _summary(points: tuple[Point, ...], best: Point | None, limit: float) -> str:
    whole = points[-1]
    if best is None:
        least = min(points, key=lambda point: point.rise)
        return (
            f"no scale keeps the rise within {limit:g}: the least is {least.rise:.3f} at "
            f"{least.scale:g}; train again with fewer epochs or a lower train.learning_rate"
        )
    if best is whole and whole.scale == 1:
        return f"the adapter as it is keeps the limit (rise {best.rise:.3f}) and is the best"
    cost = best.validation_loss - whole.validation_loss
    return (
        f"scale {best.scale:g} keeps the limit of {limit:g} (rise {best.rise:.3f}, as "
        f"trained {whole.rise:.3f}) at a validation loss {cost:+.3f} from that as trained"
    )
