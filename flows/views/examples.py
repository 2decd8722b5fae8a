"""Rows that the report shows: answers, pairs, dropped rows with what they lost against."""

from typing import TYPE_CHECKING

import polars as pl

from flows.engine.context import Run
from pipeline.core.outcome import EXCERPT
from pipeline.core.store import DROPPED, PART
from pipeline.documents.clean.profiles import rules_of
from pipeline.report import contents
from schemas.documents import Redactions

if TYPE_CHECKING:
    from pipeline.evaluate.gate.gate import Judged

EXAMPLES = 3
"""Dropped rows shown for each reason."""
SHOWN_PAIRS = 8
SHOWN_PARAGRAPHS = 10
SHOWN_ANSWERS = 8


def answers(run: Run, judged: "Judged") -> tuple[contents.Answer, ...]:
    """Return test questions with what base model and challenger said."""
    examples = stage_rows(run, "examples")
    if examples is None:
        return ()
    sources = sources_of(stage_rows(run, "deduplicate"))
    said = {
        arm: dict(
            run.store.parquet(judged.answers[arm], PART).select("pair_id", "answer").iter_rows()
        )
        for arm in ("base", "challenger")
    }
    asked = examples.filter(pl.col("pair_id").is_in(list(said["challenger"]))).sort("pair_id")
    return tuple(
        contents.Answer(
            pair_id=row["pair_id"],
            question=row["messages"][-2]["content"],
            reference=row["messages"][-1]["content"],
            base=said["base"].get(row["pair_id"], ""),
            challenger=said["challenger"][row["pair_id"]],
            document=sources.get(row["doc_id"], ""),
        )
        for row in asked.head(SHOWN_ANSWERS).iter_rows(named=True)
    )


def drop_examples(run: Run) -> dict[str, dict[str, tuple[contents.DropExample, ...]]]:
    """Return dropped rows by stage and reason, with what each lost against."""
    shown: dict[str, dict[str, tuple[contents.DropExample, ...]]] = {}
    texts = _texts(run)
    sources = _rule_sources(run)
    for stage, dataset in run.datasets.items():
        path = run.store.path(dataset) / DROPPED
        if not path.exists():
            continue
        ledger = pl.read_parquet(path)
        for (reason,), rows in sorted(ledger.group_by("reason")):
            examples = rows.sort("id").head(EXAMPLES).iter_rows(named=True)
            shown.setdefault(stage, {})[str(reason)] = tuple(
                contents.DropExample(
                    **{key: row[key] for key in ("id", "excerpt", "value", "threshold")},
                    source=sources.get(str(reason)) if stage == "clean" else None,
                    related_id=row["related_id"],
                    related_excerpt=texts.get(row["related_id"] or ""),
                )
                for row in examples
            )
    return shown


def redaction(run: Run) -> contents.Redaction | None:
    """Return what the clean stage replaced, by kind; None when it did not run."""
    dataset = run.datasets.get("clean")
    if dataset is None:
        return None
    audit = run.store.read_table(dataset, "redactions", Redactions)
    counts = audit.group_by("kind").len().sort(["len", "kind"], descending=[True, False])
    return contents.Redaction(
        kinds=dict(counts.iter_rows()),
        documents=audit["doc_id"].n_unique(),
        allowed=int(run.facts("clean").metrics["redactions_allowed"]),
    )


def repeated(run: Run) -> contents.Repeated | None:
    """Return the paragraphs that many documents have; None when nobody looked for them."""
    found = stage_rows(run, "paragraphs")
    if found is None:
        return None
    metrics = run.facts("trim").metrics if "trim" in run.datasets else {}
    known = list(contents.RepeatedParagraph.model_fields)
    return contents.Repeated(
        paragraphs=found.height,
        spare_characters=int(run.facts("paragraphs").metrics["spare_characters"]),
        removed=int(metrics["paragraphs"]) if metrics else None,
        changed_documents=int(metrics.get("documents", 0)),
        most=tuple(
            contents.RepeatedParagraph(**row)
            for row in found.select(known).head(SHOWN_PARAGRAPHS).iter_rows(named=True)
        ),
    )


def pair_examples(run: Run) -> tuple[contents.PairExample, ...]:
    """Return a sample of the pairs that may be trained on."""
    pairs = stage_rows(run, "decontaminate")
    if pairs is None:
        return ()
    sources = sources_of(stage_rows(run, "deduplicate"))
    known = set(contents.PairExample.model_fields)
    chosen = pairs.sort("pair_id").head(SHOWN_PAIRS)  # ids are hashes: the first are a sample
    return tuple(
        contents.PairExample(
            **{key: value for key, value in row.items() if key in known},
            document=sources.get(row["doc_id"], ""),
        )
        for row in chosen.iter_rows(named=True)
    )


def _rule_sources(run: Run) -> dict[str, str]:
    """Return whose number the limit of each quality rule is, by the rule's name."""
    clean = run.settings.clean
    known = {rule.name: rule.source for rule in rules_of(clean.profile)}
    return known | dict.fromkeys(clean.limits, "clean.limits")


def _texts(run: Run) -> dict[str, str]:
    """Return the start of what a ledger row may be related to: documents and pairs, by id."""
    texts: dict[str, str] = {}
    for stage, key, text in (
        ("clean", "doc_id", "text"),
        ("generate", "pair_id", "instruction"),
        ("decontaminate", "pair_id", "instruction"),
    ):
        rows = stage_rows(run, stage)
        if rows is not None:
            texts |= dict(rows.select(key, pl.col(text).str.head(EXCERPT)).iter_rows())
    return texts


def sources_of(documents: pl.DataFrame | None) -> dict[str, str]:
    """Return the source of each document by its id."""
    return {} if documents is None else dict(documents.select("doc_id", "source").iter_rows())


def stage_rows(run: Run, stage: str) -> pl.DataFrame | None:
    """Return the kept rows of a stage of this run, or None when it did not run."""
    dataset = run.datasets.get(stage)
    return None if dataset is None else run.store.parquet(dataset, PART)
