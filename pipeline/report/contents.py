"""What a run tells: the model of ``report.json``, and all that the page shows.

A section that a run did not reach is None. Counts are rows unless a name says otherwise, losses
are nats a token, times seconds, memory bytes.
"""

from pydantic import Field

from pipeline.drift.evidence import Evidence
from pipeline.drift.policy import Decision
from pipeline.report.compared import Candidate as Candidate
from pipeline.report.compared import Comparison as Comparison
from pipeline.report.evaluation import Evaluation as Evaluation
from pipeline.report.parts import Finite as Finite
from pipeline.report.parts import Interval as Interval
from pipeline.report.parts import Part as Part
from pipeline.report.repeated import Repeated as Repeated
from pipeline.report.repeated import RepeatedParagraph as RepeatedParagraph
from pipeline.report.training import Training as Training
from pipeline.report.tuning import Tuning


class Run(Part):
    """Which run this is."""

    id: str
    flow: str
    started_at: str
    """UTC, ISO 8601."""
    seconds: Finite
    command: str
    exit: int
    """Exit code of the command."""


class Stage(Part):
    """One line of the ledger: ``rows_in == rows_kept + rows_dropped``."""

    stage: str
    rows_in: int
    rows_kept: int
    rows_dropped: int
    reasons: dict[str, int] = Field(default_factory=dict)
    """Dropped rows by reason, most frequent first."""
    seconds: Finite
    reused: bool = False


class Count(Part):
    """One step of the funnel."""

    name: str
    count: int


class DropExample(Part):
    """A row that was dropped, and what it lost against."""

    id: str
    excerpt: str
    value: float | None = None
    threshold: float | None = None
    source: str | None = None
    """Whose number the threshold is, for a rule of a quality profile."""
    related_id: str | None = None
    related_excerpt: str | None = None


class Redaction(Part):
    """Personal data and secrets that were replaced in the documents."""

    kinds: dict[str, int]
    """Replaced values by kind, most frequent first."""
    documents: int
    """Documents with at least one."""
    allowed: int
    """Values that were found and stay, since the allow-list names them."""


class PairExample(Part):
    """A pair that may be trained on."""

    pair_id: str
    instruction: str
    input: str = ""
    response: str
    document: str = ""
    """Title or source of the document; empty for a pair without one."""
    split: str = ""
    origin: str = ""
    status: str = ""


class Teacher(Part):
    """Who wrote the synthetic pairs, and what they cost."""

    about: str = ""
    """What kind of teacher it is; empty in reports of earlier versions."""
    calls: int
    """Requests that reached the model."""
    cached: int
    """Requests answered from stored replies."""
    prompt_tokens: int
    completion_tokens: int


class Review(Part):
    """Where the human review stands."""

    require: str
    """The setting: none, sampled or all."""
    queued: int = 0
    open: int = 0
    done: int = 0
    skipped: int = 0
    bounced: int = 0
    accepted: int = 0
    edited: int = 0
    rejected: int = 0
    disagreed: int = 0
    sample_reviewed: int = 0
    """Reviewed pairs of train and validation."""
    sample_rejected: int = 0
    error_bound: Finite | None = None
    """One-sided 95 % upper bound of the share of bad pairs."""
    decision: str = ""
    """On the batch: accepted, returned or undecided."""
    folder: str = ""


class Splits(Part):
    """Examples by split."""

    train: int
    validation: int
    test: int


class GateReason(Part):
    """One check of the gate."""

    name: str
    passed: bool
    value: Finite | None
    threshold: Finite | None
    text: str


class Gate(Part):
    """The verdict on the challenger."""

    promoted: bool
    reasons: tuple[GateReason, ...]
    summary: str


class Forgetting(Part):
    """Base against challenger on general text (loss) and general questions (share right)."""

    texts: int
    questions: int
    loss_base: Interval
    loss_challenger: Interval
    rise: Interval
    accuracy_base: Interval | None = None
    accuracy_challenger: Interval | None = None
    accuracy_change: Interval | None = None


class Change(Part):
    """A yes-or-no measure on the same items: yes before, yes after, and what changed sides."""

    items: int
    before: int
    after: int
    lost: int
    gained: int
    chance: Finite
    """Probability of so many lost, or more, if both models were alike."""


class Behaviour(Part):
    """Base against challenger on general instructions, harmful and harmless requests."""

    instructions: Change | None = None
    refused: Change | None = None
    leaning: Change | None = None
    answered: Change | None = None
    margin_before: Finite | None = None
    margin_after: Finite | None = None


class Feature(Part):
    """Quantiles of one drift feature over the reference."""

    low: Finite
    """5 % quantile."""
    median: Finite
    high: Finite
    """95 % quantile."""


class Reference(Part):
    """The training snapshot that later data is compared with."""

    fingerprint: str
    rows: int
    features: dict[str, Feature] = Field(default_factory=dict)


class Drift(Part):
    """What a later drift check starts from, or what one found and led to."""

    reference: Reference | None = None
    evidence: Evidence | None = None
    decision: Decision | None = None
    history: tuple[Decision, ...] = ()
    """All decisions so far, oldest first; the one of this run may be in it."""


class Retraining(Part):
    """Why a retrain was started, and what came of it."""

    reason: str
    evidence_id: str
    """Of the drift decision it answers; empty for one that was started by hand."""
    outcome: str
    """promoted, kept, failed or dry run."""
    champion_before: str | None
    """Fingerprint; None when there was none."""
    champion_after: str | None
    new_rows: int
    """Rows that training may use and the champion before it had not seen."""
    next_retrain_at: str | None
    """UTC; None when the next may start now."""


class Answer(Part):
    """One test question with what the models said."""

    pair_id: str = ""
    question: str
    reference: str
    base: str
    challenger: str
    document: str = ""


class LineageDataset(Part):
    """A dataset of this run and what it was made from."""

    name: str
    fingerprint: str
    rows: int
    inputs: tuple[str, ...] = ()
    """``name`` or ``name fingerprint`` of each input."""


class Lineage(Part):
    """Where everything came from."""

    datasets: tuple[LineageDataset, ...] = ()


class Report(Part):
    """``report.json``."""

    run: Run
    stages: tuple[Stage, ...] = ()
    funnel: tuple[Count, ...] = ()
    teacher: Teacher | None = None
    review: Review | None = None
    splits: Splits | None = None
    training: Training | None = None
    evaluation: Evaluation | None = None
    gate: Gate | None = None
    forgetting: Forgetting | None = None
    over_champion: Forgetting | None = None
    """The same, with the champion in the place of the base model."""
    behaviour: Behaviour | None = None
    drift: Drift | None = None
    retrain: Retraining | None = None
    comparison: Comparison | None = None
    tuning: Tuning | None = None
    redaction: Redaction | None = None
    repeated: Repeated | None = None
    drop_examples: dict[str, dict[str, tuple[DropExample, ...]]] = Field(default_factory=dict)
    """By stage and reason."""
    pair_examples: tuple[PairExample, ...] = ()
    answers: tuple[Answer, ...] = ()
    lineage: Lineage | None = None
    settings_toml: str = ""
