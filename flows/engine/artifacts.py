"""What the pages of the Prefect server show of a run: artifacts with stable keys.

A key keeps its history: ``stages``, ``ledger``, ``report``, ``evaluation``, ``gate``, ``drift``,
``retrain`` and, from the review flow, ``reviews``.
"""

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from pipeline.core.record import as_json
from pipeline.report.contents import Report
from pipeline.report.evaluation_text import evaluation_table
from pipeline.report.text import drift_summary, retrain_summary, verdict


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
    if report.gate is not None:
        create_table_artifact(
            key="gate",
            table=as_json(report.gate.reasons),
            description=report.gate.summary,
        )
    for key, text in (
        ("report", verdict(report)),
        ("evaluation", evaluation_table(report)),
        ("drift", drift_summary(report)),
        ("retrain", retrain_summary(report)),
    ):
        if text:
            # As it is: a word of a document has no meaning as Markdown in a block of text.
            create_markdown_artifact(key=key, markdown=f"```text\n{text}\n```")
