"""What a report tells of a training."""

from math import isfinite
from typing import Annotated, Any

from pydantic import BeforeValidator

from pipeline.report.parts import Finite, Part


def _finite_points(points: Any) -> Any:
    """Leave out points of a curve that cannot be drawn or written as JSON."""
    return [point for point in points if point[1] is not None and isfinite(point[1])]


Curve = Annotated[tuple[tuple[int, float], ...], BeforeValidator(_finite_points)]
"""Points of (step, loss)."""


class Proof(Part):
    """One thing that was proven before the first step of training."""

    name: str
    value: Finite
    threshold: Finite
    text: str


class Mask(Part):
    """The proven loss mask of a train row: text of each token, and whether it is trained."""

    pair_id: str
    tokens: tuple[tuple[str, bool], ...]


class Training(Part):
    """How the challenger was made."""

    method: str
    base_model: str
    trainable_parameters: int
    supervised_tokens: int
    tokens_per_second: Finite
    peak_memory_bytes: int
    train_loss: Curve = ()
    validation_loss: Curve = ()
    proofs: tuple[Proof, ...] = ()
    masks: tuple[Mask, ...] = ()
    """Of a few train rows."""
