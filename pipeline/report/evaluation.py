"""What the evaluation tells: the arms, their costs, the slices, and how far it may be trusted."""

from pydantic import Field

from pipeline.report.parts import Finite, Interval, Part


class Cost(Part):
    """What a request of an arm costs, on average."""

    prompt_tokens: Finite
    completion_tokens: Finite
    seconds: Finite
    """Of this machine's time."""
    first_token_seconds: Finite
    answer_seconds: Finite
    tokens_per_second: Finite
    price: Finite | None = None


class Advice(Part):
    """Which adaptation to use."""

    choice: str
    arm: str
    text: str


class Slice(Part):
    """Challenger minus another arm on some of the rows, loss in nats a token."""

    dimension: str
    value: str
    rows: int
    clusters: int
    difference: Interval
    p: Finite | None
    p_holm: Finite | None


class Foresight(Part):
    """What the test set could show, said before the training."""

    effect: Finite | None
    rows: int
    clusters: int
    basis: str
    unit: str = "documents"


class Claim(Part):
    """Whether the gain is claimed of the recipe."""

    difference: Interval
    by_seed: dict[str, Finite]
    clusters: int
    claimed: bool
    text: str


class Evaluation(Part):
    """All arms on the frozen test set; differences are challenger minus the other arm."""

    test_rows: int
    test_clusters: int | None = None
    """Independent documents or sections behind the rows."""
    unit: str = "documents"
    """Which of the two."""
    arms: dict[str, dict[str, Interval]]
    challenger_minus: dict[str, dict[str, Interval]] = Field(default_factory=dict)
    """By the other arm, then by metric."""
    minimum_detectable_effect: dict[str, Finite | None] = Field(default_factory=dict)
    best: str = ""
    """The arm of the lowest loss."""
    best_minus: dict[str, Interval] = Field(default_factory=dict)
    """Its loss minus that of each other arm."""
    calibration: dict[str, Finite] = Field(default_factory=dict)
    """AUROC of log-probability against being right, by arm."""
    slices: dict[str, tuple[Slice, ...]] = Field(default_factory=dict)
    """By the arm that the challenger is compared with."""
    costs: dict[str, Cost] = Field(default_factory=dict)
    """By arm."""
    advice: Advice | None = None
    look: int = 1
    """Which model this is that the test set was used for."""
    foresight: Foresight | None = None
    claim: Claim | None = None
    confidence: Finite = 0.95
