"""The report as one self-contained page: no script, no request, everything escaped."""

from collections.abc import Mapping

from pipeline.documents.clean.cleaning import CLEANING
from pipeline.documents.readers.formats import READ_REASONS
from pipeline.pairs.screen.figures import measured_reasons
from pipeline.pairs.task_kinds import GENERATE_REASONS
from pipeline.report import charts, compared, drift_charts, evaluation_text, text
from pipeline.report.contents import Report

COUNTED_PROOFS = ("stop token", "gradients", "template", "leak", "rows without supervised tokens")
"""Proofs whose value and threshold are numbers of rows, tokens or tensors."""
LINES: dict[str, Mapping[str, str]] = {  # stage -> reason of a drop -> a line about it
    "ingest": READ_REASONS,
    "clean": {name: rule.meaning for name, rule in CLEANING.items()},
    "generate": GENERATE_REASONS,
}


def render(report: Report) -> str:
    """Return the page: HTML that loads nothing, all text of documents escaped."""
    parts = (charts, compared, drift_charts, evaluation_text, text)
    page = charts.templates().get_template("template.html")
    return page.render(
        {part.__name__.rpartition(".")[2]: part for part in parts},
        report=report,
        lines=LINES | {"screen": measured_reasons()},
        counted_proofs=COUNTED_PROOFS,
    )
