"""The report as one self-contained page: no script, no request, everything escaped."""

from collections.abc import Mapping

from markupsafe import Markup

from pipeline.documents.clean.cleaning import CLEANING
from pipeline.documents.readers.formats import READ_REASONS
from pipeline.evaluate.results import Evaluation, Interval
from pipeline.pairs.screen.figures import measured_reasons
from pipeline.pairs.task_kinds import GENERATE_REASONS
from pipeline.report import charts, compared, evaluation_text, text, tune, words
from pipeline.report.contents import Report
from pipeline.report.drawing import draw, templates
from pipeline.report.drift_view import view

COUNTED_PROOFS = ("stop token", "gradients", "template", "leak", "rows without supervised tokens")
"""Proofs whose value and threshold are numbers of rows, tokens or tensors."""
LINES: dict[str, Mapping[str, str]] = {
    "ingest": READ_REASONS,
    "clean": {name: rule.meaning for name, rule in CLEANING.items()},
    "generate": GENERATE_REASONS,
}
"""Stage -> reason for which it drops a row -> a line about it."""


def render(report: Report) -> str:
    """Return the page.

    Returns:
        HTML that loads nothing: styles and charts are in it, a content security policy forbids
        the rest, and all text of documents is escaped.
    """
    decision = text.decided(report)
    return (
        templates()
        .get_template("template.html")
        .render(
            report=report,
            lines=LINES | {"screen": measured_reasons()},
            headline=text.headline(report),
            evidence=text.evidence(report),
            top=draw("mark", action=decision.action) if decision else "",
            drift=view(report.drift) if report.drift else None,
            tuned=tune.section(report.tuning),
            retrained=text.retrained(report.retrain) if report.retrain else "",
            funnel=charts.funnel(report.funnel, report.splits),
            curves=_curves(report),
            metrics=evaluation_text.metrics(report.evaluation) if report.evaluation else [],
            notes=evaluation_text.notes(report.evaluation) if report.evaluation else [],
            worst=_worst(report.evaluation) if report.evaluation else {},
            counted_proofs=COUNTED_PROOFS,
            plots=_plots(report.evaluation) if report.evaluation else {},
            words=words,
            compared=compared,
        )
    )


def tone(metric: str, difference: Interval) -> str:
    """Return the CSS class of a difference: better, worse, or unclear when it spans zero."""
    if not difference.bounded or difference.low <= 0 <= difference.high:
        return "unclear"
    return "better" if (difference.low > 0) == words.metric(metric).higher_is_better else "worse"


def _worst(evaluation: Evaluation) -> dict[str, str]:
    """Return the worst slice of each comparison in words; empty where none was tested."""
    found = {arm: evaluation_text.worst(slices) for arm, slices in evaluation.slices.items()}
    return {
        arm: evaluation_text.slice_words(item, evaluation.unit) if item else ""
        for arm, item in found.items()
    }


def _curves(report: Report) -> Markup:
    training = report.training
    return charts.curves(training.train_loss, training.validation_loss) if training else Markup("")


def _plots(evaluation: Evaluation) -> dict[str, tuple[Markup, Markup]]:
    """Return the interval plots of each metric: the arms, and the challenger's differences."""
    plots = {}
    for name in evaluation_text.metrics(evaluation):
        if name in words.METRICS and not words.METRICS[name].plotted:
            continue
        arms = [
            charts.Line(
                words.arm(arm), scores[name], "challenger" if arm == "challenger" else "arm"
            )
            for arm, scores in evaluation.arms.items()
            if name in scores
        ]
        against = [
            charts.Line(f"minus {words.arm(arm)}", found[name], tone(name, found[name]))
            for arm, found in evaluation.challenger_minus.items()
            if name in found
        ]
        title = words.metric(name).title
        plots[name] = (
            charts.intervals(arms, f"{title} of each arm with its interval"),
            charts.intervals(against, f"{title}: challenger minus each arm", zero=True),
        )
    return plots
