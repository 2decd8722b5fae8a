"""The report as plain text: for the terminal, and as Markdown for an orchestrator."""

from pipeline.report import words
from pipeline.report.contents import Evaluation, Interval, Report

COLUMN = 16
"""Characters of a column: three arms, the metric and the last column fit into 80."""
LAST = 20
"""Characters of the difference."""


def headline(report: Report) -> str:
    """Return what became of the challenger in one sentence."""
    if report.gate is None:
        if report.run.exit:
            return "The run stopped before a model was judged."
        return "No model was judged in this run."
    if report.gate.promoted:
        return "The challenger was promoted to champion."
    if report.evaluation is not None and "champion" in report.evaluation.arms:
        return "The challenger was not promoted; the champion stays."
    return "The challenger was not promoted; there is no champion yet."


def evidence(report: Report) -> str:
    """Return the measured difference in one sentence; empty when nothing was measured."""
    found = report.evaluation
    if found is None or "loss" not in found.challenger_minus_base:
        return ""
    challenger = found.arms["challenger"]["loss"].value
    difference = found.challenger_minus_base["loss"]
    documents = f" from {words.count(found.test_clusters)} documents" if found.test_clusters else ""
    side = "below" if difference.value < 0 else "above"
    if difference.low is None or difference.high is None:
        sure = "too few documents for an interval"
    else:
        ends = sorted((abs(difference.low), abs(difference.high)))
        clear = difference.high < 0 or difference.low > 0
        span = (
            f"{words.decimal(ends[0])} to {words.decimal(ends[1])}"
            if clear
            else words.between(difference, signed=True) + ", which includes no difference"
        )
        sure = f"{found.confidence:.0%} interval {span}".replace("%", " %")
    return (
        f"On {words.count(found.test_rows)} test rows{documents} its loss is "
        f"{words.decimal(challenger)} nats a token, {words.decimal(abs(difference.value))} {side} "
        f"the base model's ({sure})."
    )


def verdict(report: Report) -> str:
    """Return the verdict in words: the sentence, the evidence, and each check that failed."""
    lines = [headline(report), evidence(report)]
    if report.gate is not None:
        lines += [f"  failed: {reason.text}" for reason in report.gate.reasons if not reason.passed]
    return "\n".join(line for line in lines if line)


def evaluation_table(report: Report) -> str:
    """Return metrics by arm as plain text, each value with its interval below; may be empty."""
    found = report.evaluation
    if found is None or not found.arms:
        return ""
    arms = list(found.arms)
    columns = [words.arm(arm) for arm in arms]
    if found.challenger_minus_base:
        columns.append(f"challenger {words.MINUS} base")
    lines = [_line("", columns, len(arms))]
    for name in metrics(found):
        digits = words.metric(name).digits
        cells = [found.arms[arm].get(name) for arm in arms]
        values = ["" if cell is None else words.decimal(cell.value, digits) for cell in cells]
        spans = ["" if cell is None else _ends(cell, digits) for cell in cells]
        if found.challenger_minus_base:
            cell = found.challenger_minus_base.get(name)
            values.append("" if cell is None else words.decimal(cell.value, digits, signed=True))
            spans.append("" if cell is None else _ends(cell, digits, signed=True))
        title = words.metric(name).title
        lines += [_line(title, values, len(arms)), _line("", spans, len(arms))]
    return "\n".join(lines)


def metrics(evaluation: Evaluation) -> list[str]:
    """Return the metrics of any arm, known ones first in their usual order."""
    there = {name for scores in evaluation.arms.values() for name in scores}
    return [name for name in words.METRICS if name in there] + sorted(there - words.METRICS.keys())


def markdown_summary(report: Report) -> str:
    """Return a page of Markdown: verdict, stages, arms, checks. No text of documents is in it."""
    run = report.run
    blocks = [
        f"# {headline(report)}",
        evidence(report),
        f"Run `{run.id}`, {words.duration(run.seconds)}, exit {run.exit}.",
    ]
    if report.stages:
        rows = [
            [
                stage.stage,
                words.count(stage.rows_in),
                words.count(stage.rows_kept),
                ", ".join(
                    f"{words.plain(name)} {words.count(n)}" for name, n in stage.reasons.items()
                ),
                "reused" if stage.reused else words.duration(stage.seconds),
            ]
            for stage in report.stages
        ]
        blocks += ["## Stages", _markdown(["stage", "in", "kept", "dropped", "time"], rows)]
    found = report.evaluation
    if found is not None:
        rows = [
            [words.metric(name).title]
            + [
                f"{words.decimal(scores[name].value)} [{words.between(scores[name])}]"
                if name in scores
                else ""
                for scores in found.arms.values()
            ]
            for name in metrics(found)
        ]
        blocks += ["## Evaluation", _markdown(["", *map(words.arm, found.arms)], rows)]
    if report.gate is not None:
        rows = [
            [words.plain(reason.name), "holds" if reason.passed else "fails", reason.text]
            for reason in report.gate.reasons
        ]
        blocks += ["## Gate", _markdown(["check", "", "measured"], rows)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _line(title: str, cells: list[str], arms: int) -> str:
    widths = [COLUMN] * arms + [LAST]
    padded = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False))
    return (f"{title:<12}" + "".join(padded)).rstrip()


def _ends(interval: Interval, digits: int, signed: bool = False) -> str:
    return f"[{words.between(interval, digits, signed).replace(' to ', ', ')}]"


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
