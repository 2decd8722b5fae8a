"""What a challenger kept of what the base model, or the champion, could do."""

from dataclasses import dataclass
from typing import Any

from pipeline.evaluate.measures.behaviour import Behaviour
from pipeline.evaluate.retention.forgetting import Forgetting


@dataclass(frozen=True, slots=True)
class Kept:
    """Measured on the general set (``paths.general``); None is what was not measured."""

    forgetting: Forgetting | None = None
    """Base against challenger."""
    over_champion: Forgetting | None = None
    """Champion against challenger; None without a champion."""
    behaviour: Behaviour | None = None
    """Base against challenger: instructions and requests."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            name: value.to_dict() if (value := getattr(self, name)) is not None else None
            for name in self.__slots__
        }
