"""The evaluation as plain text: a row an arm, and what to make of it in words."""

from collections.abc import Sequence

from pipeline.evaluate.results import Evaluation, Interval, Slice
from pipeline.report import drift_words, words
from pipeline.report.contents import Report

NAME = 15  # characters of an arm
WIDE = (21, 25, 19)  # characters of values with their intervals: a line fits into 80
NARROW = 9
SHOWN = ("loss", "token_f1", "chrf", "stop_rate")  # in the second table; the page has all
SHORT = {"chain_of_thought": "thinks first", "challenger_retrieval": "with retrieval"}
"""Arms whose name does not fit; the second is the challenger's."""
HOLM_LEVEL = 0.05


def evaluation_table(report: Report) -> str:
    """Return two tables as plain text, a row an arm, and the notes; empty without arms."""
    found = report.evaluation
    if found is None or not found.arms:
        return ""
    title = f"{_name(found.served)} {words.MINUS} arm"
    lines = [_row("", ["correct", title, "grounded"], WIDE)]
    for arm, scores in found.arms.items():
        minus = found.challenger_minus.get(arm, {}).get("correct")
        cells = [
            _with_ends(scores.get("correct")),
            "" if arm == found.served else _with_ends(minus, signed=True),
            _with_ends(scores.get("grounded"), digits=2),
        ]
        lines.append(_row(_name(arm), cells, WIDE))
    priced = any(cost.price is not None for cost in found.costs.values())
    titles = [words.metric(name).title.lower() for name in SHOWN]
    costs = ["tokens/1k", "price/1k" if priced else "s/1k"] if found.costs else []
    widths = [max(NARROW, len(title) + 2) for title in [*titles, *costs]]
    lines += ["", _row("", [*titles, *costs], widths)]
    for arm, scores in found.arms.items():
        values = [scores.get(name) for name in SHOWN]
        cells = [words.decimal(None if cell is None else cell.value) for cell in values]
        lines.append(_row(_name(arm), cells + _paid(found, arm, priced), widths))
    return "\n".join([*lines, "", *notes(found)]).rstrip()


def notes(found: Evaluation) -> list[str]:
    """Return what to make of the numbers, a sentence a line; no text of documents but topics."""
    said = []
    if found.advice is not None and found.advice.text:
        said.append(f"Advice: {found.advice.text}.")
    bad = worst(found.slices.get("base", ()))
    if bad is not None:
        said.append(f"Worst slice against base: {slice_words(bad, found.unit)}.")
    if found.foresight is not None and found.foresight.effect is not None:
        said.append(
            f"Foreseen before training: {found.foresight.rows} rows of {found.foresight.clusters} "
            f"{found.unit} can show a difference of {found.foresight.effect:.0%} or more."
        )
    if found.claim is not None:
        said.append(f"Seeds: {found.claim.text}.")
    if found.placebo_steps is not None:
        steps, full = found.placebo_steps
        said.append(
            f"Placebo: trained for {steps} of {full} steps on the answers to other questions; what "
            "it gains is form, not knowledge."
        )
    spent = found.looks
    due = "; fresh test rows are due: add documents or gold rows" if spent.due else ""
    said.append(
        f"Look {spent.number} at this test set, decided at {spent.confidence:.1%} confidence; "
        f"{spent.left:.0%} of the allowed error is left for further models{due}."
    )
    return said


def worst(slices: tuple[Slice, ...]) -> Slice | None:
    """Return the slice where the challenger does worst, of those that were tested."""
    tested = (item for item in slices if item.p is not None)
    return min(tested, key=lambda item: item.difference.value, default=None)


def slice_words(item: Slice, unit: str) -> str:
    """Return a slice in words, with whether its difference is more than chance."""
    difference = words.decimal(item.difference.value, signed=True)
    p = item.p_holm
    if p is None:
        sure = f"too few {unit} for a test"
    elif p < HOLM_LEVEL:
        sure = f"{'worse' if item.difference.value < 0 else 'better'}, p {words.decimal(p)}"
    else:
        sure = f"no clear difference, p {words.decimal(p)}"
    return (
        f"{item.dimension} {drift_words.visible(item.value)}: {difference} correct "
        f"on {item.rows} rows of {item.clusters} {unit} ({sure} after Holm)"
    )


def metrics(evaluation: Evaluation) -> list[str]:
    """Return the metrics of any arm, known ones first in their usual order."""
    there = {name for scores in evaluation.arms.values() for name in scores}
    return [name for name in words.METRICS if name in there] + sorted(there - words.METRICS.keys())


def _name(arm: str) -> str:
    return SHORT.get(arm, words.arm(arm))


def _paid(found: Evaluation, arm: str, priced: bool) -> list[str]:
    """Return what a thousand requests of an arm cost; no cells when nothing was timed."""
    cost = found.costs.get(arm)
    if cost is None:
        return [words.decimal(None)] * 2 if found.costs else []
    tokens = words.count(round(1000 * (cost.prompt_tokens + cost.completion_tokens)))
    if priced:
        return [tokens, words.decimal(None if cost.price is None else 1000 * cost.price, 2)]
    return [tokens, words.count(round(1000 * cost.seconds))]


def _row(name: str, cells: list[str], widths: Sequence[int]) -> str:
    padded = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return (f"{name:<{NAME}}" + "".join(padded)).rstrip()


def _with_ends(interval: Interval | None, digits: int = 3, signed: bool = False) -> str:
    if interval is None:
        return words.decimal(None)
    ends = words.between(interval, digits, signed).replace(" to ", ", ")
    return f"{words.decimal(interval.value, digits, signed)} [{ends}]"
