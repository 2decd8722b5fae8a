"""What the pages of the Prefect server show of a run: artifacts with stable keys.

A key keeps its history: ``stages``, ``ledger``, ``report``, ``evaluation``, ``gate``, ``drift``,
``retrain`` and, from the review flow, ``reviews``.
"""

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from pipeline.core.record import as_json
from pipeline.report.contents import Report
from pipeline.report.evaluation_text import evaluation_table
from pipeline.report.text import drift_markdown, markdown_summary, retrain_summary


def send_artifacts(report: Report) -> None:
    """Send every part of a report that the run has."""
    create_table_artifact(
        key="stages",
        table=[stage.model_dump(mode="json") for stage in report.stages],
        description="Rows in, kept and dropped by stage.",
    )
    ledger = [
        {"stage": stage.stage, "reason": reason, "rows": count}
        for stage in report.stages
        for reason, count in stage.reasons.items()
    ]
    if ledger:
        create_table_artifact(key="ledger", table=ledger, description="Dropped rows, and why.")
    create_markdown_artifact(key="report", markdown=markdown_summary(report))
    if report.evaluation is not None:
        create_markdown_artifact(
            key="evaluation", markdown=f"```text\n{evaluation_table(report)}\n```"
        )
    if report.gate is not None:
        create_table_artifact(
            key="gate",
            table=as_json(report.gate.reasons),
            description=report.gate.summary,
        )
    if report.drift is not None and report.drift.decision is not None:
        create_markdown_artifact(key="drift", markdown=drift_markdown(report))
    if report.retrain is not None:
        create_markdown_artifact(key="retrain", markdown=retrain_summary(report))
