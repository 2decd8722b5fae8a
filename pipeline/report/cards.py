"""Model card and data set card: Markdown with the header that the Hugging Face Hub reads.

Everything in them comes from manifests, run card and verdict; nothing is measured or guessed
here, and nothing is sent anywhere. Reviewers are counted, never named.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.core.record import read_json
from pipeline.evaluate.results import Interval
from pipeline.report import words

TEMPLATES = Path(__file__).parent
TASK = "text-generation"
SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
)
LARGEST = "n>1M"
"""Size categories of the Hub."""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What the examples of a model were made from."""

    name: str
    languages: tuple[str, ...]
    stages: tuple[tuple[str, int, int, Mapping[str, int]], ...]
    """In order: name, rows in, rows kept, dropped by reason."""
    formats: Mapping[str, int]
    """Documents by format."""
    splits: Mapping[str, int]
    unit: str
    """What was split: ``documents`` or ``sections``."""
    origins: Mapping[str, int]
    statuses: Mapping[str, int]
    generators: tuple[tuple[str, str, str, int], ...]
    """Origin, generator, version of its prompts, pairs."""
    decisions: Mapping[str, int]
    """What people decided: accepted, edited, rejected and so on, in pairs."""
    reviewers: int
    redacted: tuple[str, ...]
    """Kinds of personal data that the rules replaced."""
    fingerprint: str
    created_at: str

    @property
    def rows(self) -> int:
        """Examples of all splits."""
        return sum(self.splits.values())


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model."""

    name: str
    fingerprint: str
    created_at: str
    base: str
    """Name of the base model: an id of the Hub where it has one."""
    base_digest: str
    template_digest: str
    licence: str | None
    """Of the base model, as the Hub writes it (``apache-2.0``); None when it is not known."""
    method: str
    settings: Mapping[str, Any]
    """Of the training, resolved."""
    trainable_parameters: int
    supervised_tokens: int
    best_step: int
    steps: int
    libraries: Mapping[str, str]
    code: Mapping[str, Any]
    verdict: Mapping[str, Any] | None
    """The record of the gate (``verdict.json``); None before the model was judged."""
    evidence: str
    """Data set of the verdict."""
    data: DataFacts


def model_card(facts: ModelFacts) -> str:
    """Return the card of a model: YAML header and Markdown."""
    from huggingface_hub import EvalResult, ModelCardData

    challenger = _challenger(facts)
    results = [
        EvalResult(
            task_type=TASK,
            dataset_type="tuneloop",
            dataset_name=f"{facts.data.name} (frozen test set)",
            dataset_split="test",
            metric_type=name,
            metric_name=words.metric(name).title,
            metric_value=value["value"],
        )
        for name, value in challenger.items()
    ]
    header = ModelCardData(
        model_name=facts.name,
        base_model=facts.base,
        language=list(facts.data.languages) or None,
        license=facts.licence,
        library_name="peft",
        pipeline_tag=TASK,
        tags=["tuneloop", facts.method],
        eval_results=results or None,
    )
    return _page(header.to_yaml(), "model_card.md", facts)


def data_card(facts: DataFacts) -> str:
    """Return the card of a data set: YAML header and Markdown."""
    from huggingface_hub import DatasetCardData

    header = DatasetCardData(
        pretty_name=facts.name,
        language=list(facts.languages) or None,
        annotations_creators=_annotators(facts),
        language_creators=["machine-generated"] if facts.generators else ["expert-generated"],
        size_categories=[next((name for most, name in SIZES if facts.rows < most), LARGEST)],
        task_categories=["question-answering", TASK],
        tags=["tuneloop", *(["synthetic"] if facts.generators else [])],
    )
    return _page(header.to_yaml(), "data_card.md", facts)


def _annotators(facts: DataFacts) -> list[str]:
    found = []
    if facts.reviewers or facts.origins.get("gold"):
        found.append("expert-generated")
    if facts.generators:
        found.append("machine-generated")
    return found


def _challenger(facts: ModelFacts) -> dict[str, dict[str, float]]:
    if facts.verdict is None:
        return {}
    return dict(facts.verdict["evaluation"]["arms"].get("challenger", {}))


def _page(header: str, template: str, facts: ModelFacts | DataFacts) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, and all values are names and numbers of our own
    )
    environment.filters |= {
        "count": words.count,
        "cell": _cell,
        "span": _span,
        "title": lambda name: words.metric(name).title,
        "arm": words.arm,
        "plain": words.plain,
    }
    body = environment.get_template(template).render(facts=facts)
    return f"---\n{header.strip()}\n---\n\n{body}"


def _cell(value: object) -> str:
    """Return a value for a cell of a table: on one line, its bars escaped."""
    return " ".join(str(value).split()).replace("|", "\\|")


def _span(value: Mapping[str, float | None]) -> str:
    """Return a value with its interval."""
    interval = read_json(Interval, value)
    return f"{words.decimal(interval.value)} ({words.between(interval)})"
