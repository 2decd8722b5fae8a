"""What a run tells: the model of ``report.json``; a section that a run did not reach is None.

Counts are rows unless a name says otherwise, losses nats a token, times seconds, memory bytes.
"""

from math import isfinite
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from pipeline.core.record import Finite, Record
from pipeline.drift.evidence import Evidence, Spread
from pipeline.drift.policy import Decision
from pipeline.evaluate.comparison import Comparison
from pipeline.evaluate.results import Behaviour, Evaluation, Forgetting, Verdict
from pipeline.pairs.coverage import Coverage
from pipeline.train.proofs.data import Mask, Proof
from pipeline.train.tune.choice import Choice


class Run(Record):
    """Which run this is."""

    id: str
    flow: str
    started_at: str  # UTC, ISO 8601
    seconds: Finite
    command: str
    exit: int


class Stage(Record):
    """One line of the ledger: ``rows_in == rows_kept + rows_dropped``."""

    stage: str
    rows_in: int
    rows_kept: int
    rows_dropped: int
    reasons: dict[str, int] = Field(default_factory=dict)  # dropped rows, most frequent first
    seconds: Finite
    reused: bool = False


class Count(Record):
    """One step of the funnel."""

    name: str
    count: int


class DropExample(Record):
    """A row that was dropped, and what it lost against."""

    id: str
    excerpt: str
    value: float | None = None
    threshold: float | None = None
    source: str | None = None  # whose number the threshold is, for a rule of a quality profile
    related_id: str | None = None
    related_excerpt: str | None = None


class Redaction(Record):
    """Personal data and secrets that were replaced in the documents."""

    kinds: dict[str, int]  # replaced values by kind, most frequent first
    documents: int
    allowed: int  # values that were found and stay, since the allow-list names them


class LeftOut(Record):
    """What was left out of documents on purpose, in all."""

    kind: str
    amount: int
    unit: str  # what the amount counts: words, pictures, pages
    documents: int


class PairExample(Record):
    """A pair that may be trained on."""

    pair_id: str
    instruction: str
    input: str = ""
    response: str
    document: str = ""  # title or source of the document; empty for a pair without one
    split: str = ""
    origin: str = ""
    kind: str = ""
    status: str = ""


class Teacher(Record):
    """Who wrote the synthetic pairs, and what they cost."""

    about: str = ""  # what kind of teacher it is; empty in reports of earlier versions
    calls: int
    cached: int  # requests answered from stored replies
    prompt_tokens: int
    completion_tokens: int


class Review(Record):
    """Where the human review stands."""

    require: str
    queued: int = 0
    open: int = 0
    done: int = 0
    skipped: int = 0
    bounced: int = 0
    accepted: int = 0
    edited: int = 0
    rejected: int = 0
    disagreed: int = 0
    sample_reviewed: int = 0  # reviewed pairs of train and validation
    sample_rejected: int = 0
    error_bound: Finite | None = None  # one-sided 95 % upper bound of the share of bad pairs
    decision: str = ""  # on the batch: accepted, returned or undecided
    folder: str = ""


class Reference(Record):
    """The training snapshot that later data is compared with."""

    fingerprint: str
    rows: int
    features: dict[str, Spread] = Field(default_factory=dict)


def _finite_points(points: Any) -> Any:
    """Leave out points of a curve that cannot be drawn or written as JSON."""
    return [point for point in points if point[1] is not None and isfinite(point[1])]


Curve = Annotated[tuple[tuple[int, float], ...], BeforeValidator(_finite_points)]
"""Points of (step, loss)."""


class Training(Record):
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


class RepeatedParagraph(Record):
    """A paragraph that many documents have."""

    text: str
    words: int
    documents: int
    occurrences: int
    sources: tuple[str, ...]  # of the first documents that have it; one copy stays in the first


class Repeated(Record):
    """Boilerplate: what many documents have in common."""

    paragraphs: int
    spare_characters: int  # of all their occurrences but one of each
    removed: int | None = None  # occurrences that were taken out; None: they were reported only
    changed_documents: int = 0
    most: tuple[RepeatedParagraph, ...] = ()


class Drift(Record):
    """What a later drift check starts from, or what one found and led to."""

    reference: Reference | None = None
    evidence: Evidence | None = None
    decision: Decision | None = None
    history: tuple[Decision, ...] = ()  # oldest first; that of this run may be in it


class Retraining(Record):
    """Why a retrain was started, and what came of it."""

    reason: str
    evidence_id: str  # of the drift decision it answers; empty for one that was started by hand
    outcome: str  # promoted, kept, failed or dry run
    champion_before: str | None  # fingerprint; None when there was none
    champion_after: str | None
    new_rows: int  # rows that training may use and the champion before it had not seen
    next_retrain_at: str | None  # UTC; None when the next may start now


class Answer(Record):
    """One test question with what the models said."""

    pair_id: str = ""
    question: str
    reference: str
    base: str
    challenger: str
    document: str = ""


class LineageDataset(Record):
    """A dataset of this run and what it was made from."""

    name: str
    fingerprint: str
    rows: int
    inputs: tuple[str, ...] = ()  # ``name`` or ``name fingerprint`` of each input


class Lineage(Record):
    """Where everything came from."""

    datasets: tuple[LineageDataset, ...] = ()


def _earlier(evaluation: object) -> object:
    """Return an evaluation of before correctness without what was said by the loss alone."""
    if not isinstance(evaluation, dict) or "look" not in evaluation:
        return evaluation
    by_loss = ("look", "slices", "best_minus", "advice", "foresight")
    return {name: value for name, value in evaluation.items() if name not in by_loss}


class Report(Record):
    """``report.json``."""

    run: Run
    stages: tuple[Stage, ...] = ()
    funnel: tuple[Count, ...] = ()
    teacher: Teacher | None = None
    coverage: Coverage | None = None
    review: Review | None = None
    splits: dict[str, int] | None = None
    training: Training | None = None
    evaluation: Annotated[Evaluation | None, BeforeValidator(_earlier)] = None
    gate: Verdict | None = None
    forgetting: Forgetting | None = None
    over_champion: Forgetting | None = None  # the same, against the champion
    behaviour: Behaviour | None = None
    drift: Drift | None = None
    retrain: Retraining | None = None
    comparison: Comparison | None = None
    tuning: Choice | None = None
    redaction: Redaction | None = None
    repeated: Repeated | None = None
    left_out: tuple[LeftOut, ...] = ()
    drop_examples: dict[str, dict[str, tuple[DropExample, ...]]] = Field(default_factory=dict)
    pair_examples: tuple[PairExample, ...] = ()
    answers: tuple[Answer, ...] = ()
    lineage: Lineage | None = None
    settings_toml: str = ""
