"""What `tuneloop tune` found, as report.json has it."""

from typing import Any

from pipeline.report.parts import Part


class Trial(Part):
    """One training of the search."""

    number: int
    settings: dict[str, Any]
    state: str
    steps: int
    loss: float | None
    """Validation loss, nats a token."""
    forgetting: float | None
    bytes: int
    seconds: float
    about: str


class Tuning(Part):
    """What the search found."""

    start: str
    trials: tuple[Trial, ...]
    front: tuple[int, ...]
    """Trials that no other beats in all of loss, forgetting, memory and time."""
    winner: int | None
    max_forgetting: float
    settings: dict[str, Any]
    """Of [train], as the winner has them."""
