"""What an evaluation finds, as records: the same are computed, stored, judged and reported.

Losses are nats a token, correctness a share of key facts; differences are challenger minus the
other model on the same rows.
"""

from collections.abc import Mapping
from dataclasses import field
from math import inf, isfinite
from typing import Annotated, Literal

from pydantic import BeforeValidator

from pipeline.core.record import Finite, record


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


Intervals = Mapping[str, Interval]
"""By metric."""

AdaptationChoice = Literal["prompt", "retrieval", "fine-tune", "both", "larger model", "none"]


@record
class Slice:
    """Correctness of the challenger minus that of another arm on some of the rows."""

    dimension: str
    value: str
    rows: int
    clusters: int
    difference: Interval
    p: float | None
    """Two-sided, by the clustered bootstrap; None with fewer than two clusters."""
    p_holm: float | None
    """Corrected over all slices of the comparison that have one."""


@record
class Cost:
    """What one request of an arm costs, on average."""

    prompt_tokens: float
    completion_tokens: float
    seconds: float
    """Of this machine's time: a batch's time shared by its rows."""
    first_token_seconds: float
    """How long a row waits for its first token, in the batch it was in."""
    answer_seconds: float
    """How long a row waits for its answer, in the batch it was in."""
    tokens_per_second: float
    """Tokens written a second, all rows of a batch together."""
    price: float | None = None
    """At the prices of the settings, in their currency; None without prices."""


@record
class Advice:
    """Which adaptation to use, the arm that stands for it, and why."""

    choice: AdaptationChoice
    arm: str
    text: str


@record
class Foresight:
    """The smallest difference in correctness that a test set would find with 80 % power."""

    effect: float | None
    """None for a single cluster: then no difference can be shown."""
    rows: int
    clusters: int
    basis: str
    """Where the variance comes from."""
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

    difference: Interval
    """The ends are infinite with one seed or one cluster."""
    by_seed: Mapping[int, float]
    clusters: int
    claimed: bool
    """Two seeds or more, all with a gain, and an interval below 0."""
    text: str


@record
class Looks:
    """Which model this is that a test set is used for, and what error is left for further ones."""

    number: int
    confidence: float
    """Of the intervals that decide at this look."""
    left: float
    """Share of the allowed error that is not spent yet."""
    due: bool
    """Whether fresh test rows are due: hardly any error is left."""


@record
class Evaluation:
    """All arms on one frozen test set.

    A metric that is defined for no row of an arm is not among its intervals; differences are on the
    rows where both arms are defined.
    """

    test_rows: int
    test_clusters: int
    """Independent units: clusters of documents, or of sections, that the test rows come from."""
    arms: Mapping[str, Intervals]
    served: str = "challenger"
    """The arm of the challenger that is right more often: how it is compared, and served."""
    challenger_minus: Mapping[str, Intervals] = field(default_factory=dict)
    """By the other arm, for each one that was run beside the challenger as served."""
    gains: Mapping[str, Interval] = field(default_factory=dict)
    """The same of correctness, at the confidence of this look: what the gate decides by."""
    minimum_detectable_effect: Mapping[str, float | None] = field(default_factory=dict)
    """Smallest difference from base found with 80 % power, by metric; None where none can be."""
    best: str = ""
    """The arm that is right most often; the first of equals."""
    best_minus: Intervals = field(default_factory=dict)
    """Correctness of the best arm minus that of each other arm."""
    calibration: Mapping[str, float] = field(default_factory=dict)
    """AUROC of the mean log-probability of an answer against its being right (correctness of 0.5
    or more), by arm; none where all answers are right or all are wrong."""
    slices: Mapping[str, tuple[Slice, ...]] = field(default_factory=dict)
    """Challenger against base, and against the champion, by kind of row."""
    unit: str = "documents"
    confidence: float = 0.95
    costs: Mapping[str, Cost] = field(default_factory=dict)
    """By arm; measured times, and so no part of what the gate stores."""
    advice: Advice | None = None
    looks: Looks = Looks(1, 0.95, 1.0, False)
    foresight: Foresight | None = None
    """What the test set could show, said before the training."""
    claim: Claim | None = None
    """Of the recipe; None without test rows."""
    placebo_steps: tuple[int, int] | None = None
    """Steps that the placebo was trained for, and the challenger; None without one."""


@record
class Forgetting:
    """A model against the challenger on general text (loss) and questions (share right)."""

    texts: int
    questions: int
    loss_base: Interval
    loss_challenger: Interval
    rise: Interval
    """Challenger minus base, paired by text: positive is forgetting."""
    accuracy_base: Interval | None = None
    """None without questions, like the next two."""
    accuracy_challenger: Interval | None = None
    accuracy_change: Interval | None = None
    """Challenger minus base, paired by question: negative is forgetting."""


@record
class Change:
    """A yes-or-no measure of two models on the same items; yes is what one wants to keep."""

    items: int
    before: int
    """Yes with the model compared with."""
    after: int
    """Yes with the challenger."""
    lost: int
    """Yes before, no after."""
    gained: int
    chance: float
    """Probability of so many lost, or more, among those that changed, if both were alike."""

    @property
    def drop(self) -> float:
        """Share of the items lost, net of those gained; negative for a rise."""
        return (self.before - self.after) / self.items


@record
class Behaviour:
    """General instructions and requests, base against challenger; None without items."""

    instructions: Change | None = None
    """Followed, by the checks of each item."""
    refused: Change | None = None
    """Harmful requests declined in words."""
    leaning: Change | None = None
    """Harmful requests after which a refusing opening is likelier than a willing one."""
    answered: Change | None = None
    """Harmless requests that look harmful, not declined."""
    margin_before: Finite | None = None
    """Mean over the harmful requests: nats a token by which the refusing opening is likelier."""
    margin_after: Finite | None = None
    groups: Mapping[str, Change] = field(default_factory=dict)
    """Requests treated as they should be, by the group that they are about."""


@record
class Retention:
    """What a challenger retains, by the general set (``paths.general``); None: not measured."""

    forgetting: Forgetting | None = None
    """Base against challenger."""
    over_champion: Forgetting | None = None
    """Champion against challenger; None without a champion."""
    behaviour: Behaviour | None = None
    """Base against challenger: instructions and requests."""


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
    summary: str
    """In one sentence: what decided it."""
