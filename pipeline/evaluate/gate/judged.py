"""A judged challenger: all that the evaluation found, and what the gate said."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.core.store import Dataset
from pipeline.evaluate.gate.advice import Advice, Cost
from pipeline.evaluate.gate.gate import Verdict
from pipeline.evaluate.retention.kept import Kept
from pipeline.evaluate.statistics.claim import Claim
from pipeline.evaluate.statistics.power import Foresight
from pipeline.evaluate.summary import Evaluation


@dataclass(frozen=True, slots=True)
class Judged:
    """What the evaluation found and the gate said."""

    answers: dict[str, Dataset]
    """Answers of each arm."""
    evaluation: Evaluation
    kept: Kept
    verdict: Verdict
    promoted: bool
    """Whether the challenger is champion now."""
    costs: Mapping[str, Cost]
    """What a request of each arm costs."""
    advice: Advice
    look: int
    """Which model this is that the test set was used for, from 1."""
    claim: Claim | None
    """Of the recipe; None without test rows."""
    foresight: Foresight | None = None
    """What the test set could show, said before the training."""
