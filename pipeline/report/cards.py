"""Model card and data set card: Markdown with the header that the Hugging Face Hub reads.

Nothing in them is measured or guessed here. Reviewers are counted, never named.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.core.record import read_json
from pipeline.evaluate.results import Interval
from pipeline.report import words
from pipeline.report.charts import templates

TASK = "text-generation"
SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
LARGEST = "n>1M"  # size categories of the Hub

Facts = Mapping[str, Any]  # all that ``flows/views/cards.py`` reads of a model or data


def model_card(facts: Facts) -> str:
    """Return the card of a model: YAML header and Markdown."""
    from huggingface_hub import EvalResult, ModelCardData

    judged = facts["verdict"]["evaluation"]["arms"] if facts["verdict"] else {}
    results = [
        EvalResult(
            task_type=TASK,
            dataset_type="tuneloop",
            dataset_name=f"{facts['data']['name']} (frozen test set)",
            dataset_split="test",
            metric_type=name,
            metric_name=words.metric(name).title,
            metric_value=value["value"],
        )
        for name, value in judged.get("challenger", {}).items()
    ]
    header = ModelCardData(
        model_name=facts["name"],
        base_model=facts["base"],
        language=list(facts["data"]["languages"]) or None,
        license=facts["licence"],
        library_name="peft",
        pipeline_tag=TASK,
        tags=["tuneloop", facts["method"]],
        eval_results=results or None,
    )
    return _page(header.to_yaml(), "model_card.md", facts)


def data_card(facts: Facts) -> str:
    """Return the card of a data set: YAML header and Markdown."""
    from huggingface_hub import DatasetCardData

    by_people = facts["reviewers"] or facts["origins"].get("gold")
    made = ["machine-generated"] if facts["generators"] else []
    header = DatasetCardData(
        pretty_name=facts["name"],
        language=list(facts["languages"]) or None,
        annotations_creators=["expert-generated"] * bool(by_people) + made,
        language_creators=made or ["expert-generated"],
        size_categories=[
            next((name for most, name in SIZES.items() if facts["rows"] < most), LARGEST)
        ],
        task_categories=["question-answering", TASK],
        tags=["tuneloop", *(["synthetic"] if facts["generators"] else [])],
    )
    return _page(header.to_yaml(), "data_card.md", facts)


def _page(header: str, template: str, facts: Facts) -> str:
    # Markdown, and all values are names and numbers of our own.
    environment = templates().overlay(autoescape=False, keep_trailing_newline=True)
    environment.filters = environment.filters | {
        "cell": lambda value: " ".join(str(value).split()).replace("|", "\\|"),
        "span": _span,
        "title": lambda name: words.metric(name).title,
        "quoted": lambda text: "\n> ".join(text.splitlines()),
    }
    body = environment.get_template(template).render(facts=facts)
    return f"---\n{header.strip()}\n---\n\n{body}"


def _span(value: Mapping[str, float | None]) -> str:
    """Return a value with its interval."""
    interval = read_json(Interval, value)
    return f"{words.decimal(interval.value)} ({words.between(interval)})"
