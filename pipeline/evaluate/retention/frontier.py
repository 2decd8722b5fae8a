"""How much of an adapter to keep: validation loss against forgetting, by scale."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Point:
    """One scale of the adapter; losses in nats a token."""

    scale: float
    validation_loss: float
    general_loss: float
    rise: float
    """Of the loss on general text above the base model's: what the gate limits."""


@dataclass(frozen=True, slots=True)
class Frontier:
    """All scales that were tried, ascending, and the one to take."""

    points: tuple[Point, ...]
    limit: float
    """``gate.max_forgetting``."""
    chosen: float | None
    """Within the limit the scale of the least validation loss; None when no scale is."""

    def dominated(self, point: Point) -> bool:
        """Whether another scale forgets less and is no worse on validation rows."""
        return any(
            other.rise < point.rise and other.validation_loss <= point.validation_loss
            for other in self.points
        )

    @property
    def summary(self) -> str:
        """What to do, in one sentence."""
        whole = self.points[-1]
        if self.chosen is None:
            least = min(self.points, key=lambda point: point.rise)
            return (
                f"no scale keeps the rise within {self.limit:g}: the least is {least.rise:.3f} at "
                f"{least.scale:g}; train again with fewer epochs or a lower train.learning_rate"
            )
        point = next(point for point in self.points if point.scale == self.chosen)
        if point is whole and whole.scale == 1:
            return f"the adapter as it is keeps the limit (rise {point.rise:.3f}) and is the best"
        cost = point.validation_loss - whole.validation_loss
        return (
            f"scale {point.scale:g} keeps the limit of {self.limit:g} (rise {point.rise:.3f}, as "
            f"trained {whole.rise:.3f}) at a validation loss {cost:+.3f} from that as trained"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        points = [asdict(point) | {"dominated": self.dominated(point)} for point in self.points]
        return {
            "points": points,
            "limit": self.limit,
            "chosen": self.chosen,
            "summary": self.summary,
        }


def frontier(points: Sequence[Point], limit: float) -> Frontier:
    """Choose the scale within the limit that has the least validation loss; the smaller of equals.

    Args:
        points: one a scale, at least one.
        limit: the largest rise allowed, nats a token.
    """
    ordered = tuple(sorted(points, key=lambda point: point.scale))
    allowed = [point for point in ordered if point.rise <= limit]
    best = min(allowed, key=lambda point: (point.validation_loss, point.scale), default=None)
    return Frontier(ordered, limit, best.scale if best else None)
