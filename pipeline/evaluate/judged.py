"""What a judge finds, as records: how far it agrees with people, and what it says of each arm."""

from collections.abc import Mapping
from dataclasses import field

from pipeline.core.record import record
from pipeline.evaluate.results import Interval, Intervals
from pipeline.pairs.agreement import Calibration


@record
class WinRate:
    """How often the first answers win over all comparisons."""

    comparisons: int
    wins: int
    ties: int
    consistency: float
    """Share of comparisons in which both orders name the same winner."""
    for_shown_first: float
    """Share won by the position shown first: 0.5 without a bias of position."""
    unreadable: int
    plain: float
    """Wins and half the ties over all."""
    controlled: Interval
    """The same at equal length, with its clustered bootstrap interval."""


@record
class Pairwise:
    """What a judge said of the challenger as served, and whether it counts."""

    judge: str
    calibration: Calibration
    against: Mapping[str, WinRate]
    """By the other arm: base, and champion where there is one."""
    correct: Intervals = field(default_factory=dict)
    """Mean grade of each arm: 1 for a correct answer, half for one that is partly so."""
    gains: Intervals = field(default_factory=dict)
    """The challenger's grade minus that of the other arm."""
