"""The comparison of trainings: headline, table and notes, the same on page and terminal."""

from collections.abc import Iterable

from pipeline.evaluate.comparison import Comparison
from pipeline.evaluate.results import Interval
from pipeline.report import words

Row = tuple[str, tuple[tuple[str, str], ...]]
"""Name and cells of a line of the table: each cell as (what it says, its small print)."""

WIDTHS = {
    "trained": 11, "validation": 14, "test": 14, "\N{PLUS-MINUS SIGN} seeds": 7, "vs first": 16,
    "forgets": 8, "peak": 8, "time": 9, "tokens/s": 8, "disk": 8, "writes": 7, "merged": 7,
}  # fmt: skip
COLUMNS = tuple(WIDTHS)
"""Column titles; the first column has the name of the candidate."""


def rows(found: Comparison) -> list[Row]:
    """Return the lines of the table: the base model, then each candidate."""
    none = ("", "")
    dash = words.decimal(None)

    def loss(interval: Interval | None, signed: bool = False) -> tuple[str, str]:
        if interval is None:
            return (dash, "")
        return words.decimal(interval.value, signed=signed), words.between(interval, signed=signed)

    def rate(value: float | None) -> tuple[str, str]:
        return (dash if value is None else f"{value:.1f}", "")

    base = (none, loss(found.base_validation_loss), loss(found.base_test_loss)) + (none,) * 9
    lines: list[Row] = [("base", base)]
    for one in found.candidates:
        trained = one.train_rows if found.about == "data" else one.trainable_parameters
        cells = (
            (words.count(trained), "rows" if found.about == "data" else ""),
            loss(one.validation_loss),
            loss(one.test_loss),
            (words.decimal(one.test_spread), ""),
            none if one is found.candidates[0] else loss(one.difference, signed=True),
            (words.decimal(one.forgetting, signed=True), ""),
            (words.size(one.peak_memory_bytes), ""),
            (words.duration(one.seconds), ""),
            rate(one.tokens_per_second),
            (words.size(one.disk_bytes), ""),
            rate(one.tokens_written),
            rate(one.tokens_written_merged),
        )
        lines.append((one.name, cells))
    return lines


def headline(found: Comparison) -> str:
    """Return what the comparison shows, in one sentence."""
    names = " and ".join(sorted({one.name for one in found.candidates}))
    if len(found.candidates) < 2:
        return f"Trained {names}; there is nothing to compare."
    if found.test_rows == 0:
        return f"Trained {names}; there are no test rows yet to compare them on."
    first, *others = found.candidates
    better = [one.name for one in others if one.difference and one.difference.high < 0]
    worse = [one.name for one in others if one.difference and one.difference.low > 0]
    rest = [one.name for one in others if one.name not in better + worse]
    sides = {"lower than": better, "higher than": worse, "not told apart from": rest}
    parts = [f"{', '.join(part)} {side} {first.name}" for side, part in sides.items() if part]
    said = "; ".join(parts)
    rows, clusters = words.count(found.test_rows), words.count(found.test_clusters)
    return f"Test loss on {rows} rows of {clusters} {found.unit}: {said}."


def table(found: Comparison) -> str:
    """Return the table as plain text, each value with its interval below."""
    title = "method" if found.about == "method" else "trained on"
    lines = [_line(title, COLUMNS)]
    for name, cells in rows(found):
        lines.append(_line(name, (cell for cell, _ in cells)))
        below = [f"[{end.replace(' to ', ', ')}]" if " to " in end else end for _, end in cells]
        if any(below):
            lines.append(_line("", below))
    lines += [f"{name}: {why}" for name, why in found.missing.items()]
    return "\n".join([*lines, "", *notes(found)])


def notes(found: Comparison) -> list[str]:
    """Return how to read the table."""
    seeds = len(found.candidates[0].seeds) if found.candidates else 0
    share = f"{found.confidence:.0%}".replace("%", " %")
    alone = " One seed each: these trainings are told apart, not their recipes."
    caution = alone if seeds == 1 else ""
    return [
        headline(found),
        f"Losses in nats a token, mean over {seeds} seed{'s' if seeds != 1 else ''}; {share} "
        f"intervals over {found.unit} (clustered bootstrap, paired against the first).{caution}",
        "Choose by the validation loss: the test rows are for the last word. Forgets: rise of the "
        "loss on the general set. Peak: memory of the training's own process. Writes: tokens a "
        "second at batch 1, as trained and merged.",
    ]


def _line(title: str, cells: Iterable[str]) -> str:
    padded = (f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS.values(), strict=True))
    return f"{title:<12} {' '.join(padded)}".rstrip()
