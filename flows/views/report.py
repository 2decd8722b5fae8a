"""Collect what a run did into its report: page, JSON, and artifacts on the Prefect server."""

import sys
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from annotation.queues import open_queue
from flows.engine.console import console
from flows.engine.context import Run, say_once
from flows.engine.settings_file import dump_settings
from flows.views import examples
from flows.views.cards import model_and_data_card, write_cards
from flows.views.coverage import in_report
from pipeline.core.cache import write_atomically
from pipeline.core.home import Home
from pipeline.core.journal import now
from pipeline.core.record import as_json
from pipeline.drift.features import spreads
from pipeline.drift.ledger import Ledger
from pipeline.drift.policy import Decision
from pipeline.evaluate.gate.gate import Judged
from pipeline.pairs.teachers.kinds import TEACHERS
from pipeline.pairs.teachers.replies import Usage
from pipeline.report import contents
from pipeline.report.evaluation_text import evaluation_table
from pipeline.report.html import render
from pipeline.report.text import drift_summary, retrain_summary, verdict
from schemas.drift import DriftFeatures

FUNNEL = {
    "documents read": "ingest", "clean": "clean", "trimmed": "trim", "unique": "deduplicate",
    "distinct": "semantic", "chunks": "chunk", "candidate pairs": "generate",
    "screened": "screen", "settled": "settle",
}  # fmt: skip
"""Step of the funnel -> stage whose kept rows it counts."""


def write_report(
    run: Run, judged: Judged | None = None, asked: Usage | None = None, **sections: Any
) -> contents.Report:
    """Build the report of a run, write report.html and report.json, send artifacts.

    ``drift`` is the decision of a check; other ``sections`` are those of the report as they are.
    """
    drift: Decision | None = sections.pop("drift", None)
    report = contents.Report(
        run=_run(run),
        stages=_stages(run),
        funnel=tuple(
            contents.Count(name=name, count=run.datasets[stage].rows)
            for name, stage in FUNNEL.items()
            if stage in run.datasets
        ),
        teacher=_teacher(run, asked) if asked else None,
        coverage=in_report(run),
        review=_review(run),
        splits=_splits(run),
        training=_training(run),
        **(_judgement(run, judged) if judged else {}),
        drift=_drift(run, drift),
        redaction=examples.redaction(run),
        repeated=examples.repeated(run),
        left_out=examples.left_out(run),
        drop_examples=examples.drop_examples(run),
        pair_examples=examples.pair_examples(run),
        lineage=_lineage(run),
        settings_toml=dump_settings(run.settings),
        **sections,
    )
    write_atomically(run.folder / "report.json", report.model_dump_json(indent=1).encode())
    write_atomically(run.folder / "report.html", render(report).encode())
    if judged is not None:
        home = Home(run.store, run.registry)
        write_cards(model_and_data_card(home, run.settings, home.model("challenger")), run.folder)
    _send_artifacts(report)
    page = run.folder / "report.html"
    if page.is_relative_to(Path.cwd()):
        page = page.relative_to(Path.cwd())
    console.print(f"{'report':<22} {page}", markup=False, soft_wrap=True)
    return report


def _send_artifacts(report: contents.Report) -> None:
    """Show every part of a report that the run has on Prefect's pages; a key keeps its history."""
    rows = [stage.model_dump(mode="json") for stage in report.stages]
    about = "Rows in, kept and dropped by stage."
    create_table_artifact(key="stages", table=rows, description=about)
    ledger = [
        {"stage": stage.stage, "reason": reason, "rows": count}
        for stage in report.stages
        for reason, count in stage.reasons.items()
    ]
    if ledger:
        create_table_artifact(key="ledger", table=ledger, description="Dropped rows, and why.")
    if gate := report.gate:
        create_table_artifact(key="gate", table=as_json(gate.reasons), description=gate.summary)
    texts = {"report": verdict, "evaluation": evaluation_table}
    texts |= {"drift": drift_summary, "retrain": retrain_summary}
    for key, write in texts.items():
        if text := write(report):
            # As it is: a word of a document has no meaning as Markdown in a block of text.
            create_markdown_artifact(key=key, markdown=f"```text\n{text}\n```")


def _run(run: Run) -> contents.Run:
    taken = datetime.fromisoformat(now()) - datetime.fromisoformat(run.started_at)
    return contents.Run(
        id=run.folder.name,
        flow=run.flow,
        started_at=run.started_at,
        seconds=taken.total_seconds(),
        command=" ".join(["tuneloop", *sys.argv[1:]]),
        exit=0,
    )


def _stages(run: Run) -> tuple[contents.Stage, ...]:
    return tuple(
        contents.Stage(
            stage=line.stage,
            **line.facts.model_dump(include={"rows_in", "rows_kept", "reasons"}),
            rows_dropped=line.facts.rows_in - line.facts.rows_kept,
            seconds=round(line.seconds, 3),
            reused=line.reused is not None,
        )
        for line in run.lines
    )


def _teacher(run: Run, usage: Usage) -> contents.Teacher:
    facts = {"about": TEACHERS[run.settings.teacher.kind].about} | asdict(usage)
    return contents.Teacher.model_validate(facts, extra="ignore")


def _review(run: Run) -> contents.Review | None:
    if "settle" not in run.datasets:
        return None
    metrics = run.facts("settle").metrics
    decisions = [name for name in ("accepted", "returned", "undecided") if metrics[f"batch_{name}"]]
    facts: dict[str, Any] = {
        "require": run.settings.review.require,
        "disagreed": metrics["reviewers_disagree"],
        "decision": decisions[0] if decisions else "",
        "folder": str(run.home / "reviews"),
    } | open_queue(run.settings).status()
    return contents.Review.model_validate(metrics | facts, extra="ignore")


def _splits(run: Run) -> dict[str, int] | None:
    rows = examples.stage_rows(run, "examples")
    if rows is None:
        return None
    counts = dict(rows.group_by("split").len().iter_rows())
    return {name: counts.get(name, 0) for name in ("train", "validation", "test")}


def _training(run: Run) -> contents.Training | None:
    if "train" not in run.datasets:
        return None
    path = run.store.path(run.datasets["train"]) / "training.json"
    return contents.Training.model_validate_json(path.read_bytes(), extra="ignore")


def _judgement(run: Run, judged: Judged) -> dict[str, Any]:
    return {
        "evaluation": judged.evaluation,
        "gate": replace(judged.verdict, promoted=judged.promoted),
        "forgetting": judged.retention.forgetting,
        "over_champion": judged.retention.over_champion,
        "behaviour": judged.retention.behaviour,
        "answers": examples.answers(run, judged),
    }


def _drift(run: Run, decision: Decision | None) -> contents.Drift | None:
    dataset = run.datasets.get("drift baseline")
    if dataset is None and decision is None:
        return None
    ledger, reference = Ledger(run.home, say_once), None
    if dataset is not None:
        key, features = dataset.fingerprint, spreads(run.store.read(dataset, DriftFeatures))
        reference = contents.Reference(fingerprint=key, rows=dataset.rows, features=features)
    return contents.Drift(
        reference=reference,
        evidence=ledger.evidence(decision.id) if decision else None,
        decision=decision,
        history=tuple(ledger.rows(Decision)),
    )


def _lineage(run: Run) -> contents.Lineage:
    datasets = []
    for dataset in run.datasets.values():
        named = run.store.manifest(dataset.name, dataset.fingerprint).inputs.values()
        inputs = tuple(value.replace("/", " ") for value in named if "/" in value)
        facts = asdict(dataset) | {"inputs": inputs}
        datasets.append(contents.LineageDataset.model_validate(facts, extra="ignore"))
    return contents.Lineage(datasets=tuple(datasets))
