"""What an evaluation finds, as records: the same are computed, stored, judged and reported.

Losses are nats a token, correctness a share of key facts, differences challenger minus other model.
"""

from collections.abc import Mapping
from dataclasses import field
from math import inf, isfinite
from typing import Annotated, Literal

from pydantic import BeforeValidator

from pipeline.core.record import Finite, record
from pipeline.pairs.agreement import Calibration


@record
class Interval:
    """A value with its confidence interval; an unknown end is infinite, and None in JSON."""

    value: Finite
    low: Annotated[float, BeforeValidator(lambda end: -inf if end is None else end)]
    high: Annotated[float, BeforeValidator(lambda end: inf if end is None else end)]

    @property
    def bounded(self) -> bool:
        """Whether both ends are known."""
        return isfinite(self.low) and isfinite(self.high)


Intervals = Mapping[str, Interval]  # by metric

AdaptationChoice = Literal["prompt", "retrieval", "fine-tune", "both", "larger model", "none"]


@record
class Slice:
    """Correctness of the challenger minus that of another arm on some of the rows."""

    dimension: str
    value: str
    rows: int
    clusters: int
    difference: Interval
    p: float | None  # two-sided, by the clustered bootstrap; None with fewer than two clusters
    p_holm: float | None  # corrected over all slices of the comparison that have one


@record
class Cost:
    """What one request of an arm costs, on average."""

    prompt_tokens: float
    completion_tokens: float
    seconds: float  # of this machine's time: a batch's time shared by its rows
    first_token_seconds: float  # how long a row waits for its first token, in the batch it was in
    answer_seconds: float  # how long a row waits for its answer, in the batch it was in
    tokens_per_second: float  # tokens written a second, all rows of a batch together
    price: float | None = None  # in the currency of the settings; None without prices there


@record
class Advice:
    """Which adaptation to use, the arm that stands for it, and why."""

    choice: AdaptationChoice
    arm: str
    text: str


@record
class Foresight:
    """The smallest difference in correctness that a test set would find with 80 % power."""

    effect: float | None  # None for a single cluster: then no difference can be shown
    rows: int
    clusters: int
    basis: str  # where the variance comes from
    unit: str = "documents"

    def __str__(self) -> str:
        rows = f"{self.rows:,} rows of {self.clusters:,} {self.unit}"
        if self.effect is None:
            return f"test set: {rows} cannot show any difference; expected two {self.unit} or more"
        return (
            f"test set: {rows} can show a difference in correctness of {self.effect:.0%} or more "
            f"({self.basis})"
        )


@record
class Claim:
    """The difference in loss of a recipe over its seeds; negative is a gain."""

    difference: Interval  # the ends are infinite with one seed or one cluster
    by_seed: Mapping[int, float]
    clusters: int
    claimed: bool  # two seeds or more, all with a gain, and an interval below 0
    text: str


@record
class Looks:
    """Which model this is that a test set is used for, and what error is left for further ones."""

    number: int
    confidence: float  # of the intervals that decide at this look
    left: float  # share of the allowed error that is not spent yet
    due: bool  # whether fresh test rows are due: hardly any error is left


@record
class Evaluation:
    """All arms on one frozen test set; differences are on the rows where both are defined."""

    test_rows: int
    test_clusters: int  # independent units (documents or sections) behind the test rows
    arms: Mapping[str, Intervals]
    served: str = "challenger"  # the challenger's arm that is right more often
    challenger_minus: Mapping[str, Intervals] = field(default_factory=dict)
    """By the other arm, for each one that was run beside the challenger as served."""
    gains: Mapping[str, Interval] = field(default_factory=dict)
    """The same of correctness, at the confidence of this look: what the gate decides by."""
    minimum_detectable_effect: Mapping[str, float | None] = field(default_factory=dict)
    """Smallest difference from base found with 80 % power, by metric; None where none can be."""
    best: str = ""  # the arm that is right most often; the first of equals
    best_minus: Intervals = field(default_factory=dict)  # correctness, best minus other arm
    calibration: Mapping[str, float] = field(default_factory=dict)
    """AUROC of ``log_prob`` against being right (0.5 or more), by arm; none where all are alike."""
    slices: Mapping[str, tuple[Slice, ...]] = field(default_factory=dict)
    """Challenger against base, and against the champion, by kind of row."""
    unit: str = "documents"
    confidence: float = 0.95
    costs: Mapping[str, Cost] = field(default_factory=dict)  # by arm; times are not stored
    advice: Advice | None = None
    looks: Looks = Looks(1, 0.95, 1.0, False)
    foresight: Foresight | None = None  # what the test set could show, said before the training
    claim: Claim | None = None  # of the recipe; None without test rows
    placebo_steps: tuple[int, int] | None = None  # of the placebo, of the challenger


@record
class Forgetting:
    """A model against the challenger on general text (loss) and questions (share right)."""

    texts: int
    questions: int
    loss_base: Interval
    loss_challenger: Interval
    rise: Interval  # challenger minus base, paired by text: positive is forgetting
    accuracy_base: Interval | None = None  # None without questions, like the next two
    accuracy_challenger: Interval | None = None
    accuracy_change: Interval | None = None  # by question: negative is forgetting


@record
class Change:
    """A yes-or-no measure of two models on the same items; yes is what one wants to keep."""

    items: int
    before: int  # yes with the model compared with
    after: int  # yes with the challenger
    lost: int  # yes before, no after
    gained: int
    chance: float  # probability of so many lost, or more, of those that changed, if both were alike

    @property
    def drop(self) -> float:
        """Share of the items lost, net of those gained; negative for a rise."""
        return (self.before - self.after) / self.items


@record
class Behaviour:
    """General instructions and requests, base against challenger; None without items."""

    instructions: Change | None = None  # followed, by the checks of each item
    refused: Change | None = None  # harmful requests declined in words
    leaning: Change | None = None  # harmful requests after which refusing is likelier
    answered: Change | None = None  # harmless requests that look harmful, not declined
    margin_before: Finite | None = None
    """Mean over the harmful requests: nats a token by which the refusing opening is likelier."""
    margin_after: Finite | None = None
    groups: Mapping[str, Change] = field(default_factory=dict)
    """Requests treated as they should be, by the group that they are about."""


@record
class Retention:
    """What a challenger retains, by the general set (``paths.general``); None: not measured."""

    forgetting: Forgetting | None = None  # base against challenger
    over_champion: Forgetting | None = None  # champion against challenger; None without a champion
    behaviour: Behaviour | None = None  # base against challenger: instructions and requests


@record
class Check:
    """One check of the gate: what was measured, what was needed, and the sentence for a person."""

    name: str
    passed: bool
    value: float | None
    threshold: float | None
    text: str


@record
class Verdict:
    """The verdict of the gate: promoted only when every check passed."""

    promoted: bool
    reasons: tuple[Check, ...]
    summary: str  # in one sentence: what decided it


@record
class WinRate:
    """How often the first answers win over all comparisons."""

    comparisons: int
    wins: int
    ties: int
    consistency: float  # share of comparisons in which both orders name the same winner
    for_shown_first: float  # share won by the position shown first: 0.5 without a bias of position
    unreadable: int
    plain: float  # wins and half the ties over all
    controlled: Interval  # the same at equal length, with its clustered bootstrap interval


@record
class Pairwise:
    """What a judge said of the challenger as served, and whether it counts."""

    judge: str
    calibration: Calibration
    against: Mapping[str, WinRate]  # by the other arm: base, and champion where there is one
    correct: Intervals = field(default_factory=dict)
    """Mean grade of each arm: 1 for a correct answer, half for one that is partly so."""
    gains: Intervals = field(default_factory=dict)  # challenger minus the other arm
