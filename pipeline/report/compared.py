"""The comparison of trainings: headline, table and notes, the same on page and terminal."""

from typing import NamedTuple

from pipeline.evaluate.comparison import Comparison
from pipeline.evaluate.results import Interval
from pipeline.report import words


class Row(NamedTuple):
    """One line of the table: each cell as (what it says, its small print)."""

    name: str
    cells: tuple[tuple[str, str], ...]


COLUMNS = (
    "trained",
    "validation",
    "test",
    "\N{PLUS-MINUS SIGN} seeds",
    "vs first",
    "forgets",
    "peak",
    "time",
    "tokens/s",
    "disk",
    "writes",
    "merged",
)
"""Column titles; the first column has the name of the candidate."""
WIDTHS = (11, 14, 14, 7, 16, 8, 8, 9, 8, 8, 7, 7)


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
    lines = [Row("base", base)]
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
        lines.append(Row(one.name, cells))
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
    said = [
        f"{', '.join(part)} {verb}"
        for part, verb in (
            (better, f"lower than {first.name}"),
            (worse, f"higher than {first.name}"),
            (rest, f"not told apart from {first.name}"),
        )
        if part
    ]
    where = (
        f"{words.count(found.test_rows)} rows of {words.count(found.test_clusters)} {found.unit}"
    )
    return f"Test loss on {where}: {'; '.join(said)}."


def table(found: Comparison) -> str:
    """Return the table as plain text, each value with its interval below."""
    title = "method" if found.about == "method" else "trained on"
    lines = [_line(title, COLUMNS)]
    for row in rows(found):
        lines.append(_line(row.name, [cell for cell, _ in row.cells]))
        below = [
            f"[{small.replace(' to ', ', ')}]" if " to " in small else small
            for _, small in row.cells
        ]
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


def _line(title: str, cells: list[str] | tuple[str, ...]) -> str:
    padded = (f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
    return f"{title:<12} {' '.join(padded)}".rstrip()
