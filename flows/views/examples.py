"""What a report quotes: answers, pairs, dropped rows, what was left out of documents."""

from typing import Any

import polars as pl

from flows.engine.context import Run
from pipeline.core.errors import InputError
from pipeline.core.home import Home, stages_before
from pipeline.core.outcome import EXCERPT
from pipeline.core.store import DROPPED, PART, Dataset
from pipeline.documents.clean.profiles import rules_of
from pipeline.documents.left_out import UNITS
from pipeline.evaluate.gate.gate import Judged
from pipeline.report import contents
from schemas.documents import LeftOut, Redactions

EXAMPLES = 3  # dropped rows shown for each reason
SHOWN_PAIRS = SHOWN_ANSWERS = 8
SHOWN_PARAGRAPHS = 10
LEFT_OUT = "left_out"


def answers(run: Run, judged: Judged) -> tuple[contents.Answer, ...]:
    """Return test questions with what base model and challenger said."""
    examples = stage_rows(run, "examples")
    if examples is None:
        return ()
    sources = sources_of(stage_rows(run, "deduplicate"))
    frames = {arm: run.store.parquet(judged.answers[arm], PART) for arm in ("base", "challenger")}
    said = {arm: dict(rows.select("pair_id", "answer").iter_rows()) for arm, rows in frames.items()}
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
    texts, clean = _texts(run), run.settings.clean
    # Whose number the limit of each quality rule is.
    sources = {rule.name: rule.source for rule in rules_of(clean.profile)}
    sources |= dict.fromkeys(clean.limits, "clean.limits")
    for stage, dataset in run.datasets.items():
        path = run.store.path(dataset) / DROPPED
        if not path.exists():
            continue
        ledger = pl.read_parquet(path)
        for (reason,), rows in sorted(ledger.group_by("reason")):
            shown.setdefault(stage, {})[str(reason)] = tuple(
                contents.DropExample(
                    **{key: row[key] for key in ("id", "excerpt", "value", "threshold")},
                    source=sources.get(str(reason)) if stage == "clean" else None,
                    related_id=row["related_id"],
                    related_excerpt=texts.get(row["related_id"] or ""),
                )
                for row in rows.sort("id").head(EXAMPLES).iter_rows(named=True)
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
    return contents.Repeated(
        paragraphs=found.height,
        spare_characters=int(run.facts("paragraphs").metrics["spare_characters"]),
        removed=int(metrics["paragraphs"]) if metrics else None,
        changed_documents=int(metrics.get("documents", 0)),
        most=tuple(
            contents.RepeatedParagraph.model_validate(row, extra="ignore")
            for row in found.head(SHOWN_PARAGRAPHS).iter_rows(named=True)
        ),
    )


def pair_examples(run: Run) -> tuple[contents.PairExample, ...]:
    """Return a sample of the pairs that may be trained on."""
    pairs = stage_rows(run, "decontaminate")
    if pairs is None:
        return ()
    sources = sources_of(stage_rows(run, "deduplicate"))
    chosen = pairs.sort("pair_id").head(SHOWN_PAIRS)  # ids are hashes: the first are a sample
    rows = (row | {"document": sources.get(row["doc_id"], "")} for row in chosen.to_dicts())
    return tuple(contents.PairExample.model_validate(row, extra="ignore") for row in rows)


def _texts(run: Run) -> dict[str, str]:
    """Return the start of what a ledger row may be related to: documents and pairs, by id."""
    texts: dict[str, str] = {}
    pair = "pair_id", "instruction"
    places = {"clean": ("doc_id", "text"), "generate": pair, "decontaminate": pair}
    for stage, (key, text) in places.items():
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


def left_out_by_document(home: Home, dataset: Dataset, count: int) -> list[dict[str, Any]]:
    """Return documents, by source, with how much of which kind was left out, dropped ones too."""
    file, before = f"{LEFT_OUT}.parquet", stages_before(home, dataset)
    stages = [stage for stage in before if (home.store.path(stage) / file).exists()]
    tables = [home.store.read_table(stage, LEFT_OUT, LeftOut) for stage in stages]
    if not tables:
        raise InputError(
            f"dataset {dataset}: no count of what was left out found; expected documents, read by "
            "this version; try `tuneloop show documents --left-out`, or run `tuneloop curate` again"
        )
    order = pl.col("kind").replace_strict({kind: at for at, kind in enumerate(UNITS)})
    rows = pl.concat(tables).sort("source", "doc_id", order, maintain_order=True)
    parts = pl.struct("kind", "amount", "detail").alias("left_out")
    documents = rows.group_by("source", "doc_id", maintain_order=True).agg(parts)
    return documents.head(count).to_dicts()


def left_out_lines(row: dict[str, Any]) -> list[str]:
    """Return lines about one document of :func:`left_out_by_document`."""
    lines = [f"{row['source']}  {row['doc_id']}"]
    for part in row["left_out"]:
        amount = f"{part['amount']:,} {UNITS[part['kind']]}"
        lines.append(f"  {part['kind']:<12} {amount}{': ' * bool(part['detail'])}{part['detail']}")
    return lines


def left_out(run: Run) -> tuple[contents.LeftOut, ...]:
    """Return what was left out of all documents of a run, by kind."""
    stages = [run.datasets[name] for name in ("ingest", "clean") if name in run.datasets]
    if not stages:
        return ()
    rows = pl.concat(run.store.read_table(stage, LEFT_OUT, LeftOut) for stage in stages)
    sums = rows.group_by("kind").agg(pl.sum("amount"), documents=pl.n_unique("doc_id"))
    found = {row["kind"]: row for row in sums.iter_rows(named=True)}
    return tuple(
        contents.LeftOut(**found[kind], unit=unit) for kind, unit in UNITS.items() if kind in found
    )
