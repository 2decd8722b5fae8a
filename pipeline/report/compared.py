"""The section of a comparison of trainings: its contents, and its table as plain text."""

from typing import NamedTuple

from pipeline.report.parts import Finite, Interval, Part


class Candidate(Part):
    """One candidate over its seeds; losses in nats a token, see pipeline.evaluate.comparison."""

    name: str
    seeds: tuple[int, ...]
    train_rows: int
    trainable_parameters: int
    steps: int
    validation_loss: Interval | None
    test_loss: Interval | None
    test_loss_by_seed: tuple[Finite, ...]
    test_spread: Finite | None
    difference: Interval | None
    forgetting: Finite | None
    peak_memory_bytes: int
    seconds: Finite
    tokens_per_second: Finite
    disk_bytes: int
    tokens_written: Finite | None
    tokens_written_merged: Finite | None


class Comparison(Part):
    """Several trainings, measured on the same held-out rows."""

    about: str
    """What tells the candidates apart: ``method`` or ``data``."""
    candidates: tuple[Candidate, ...]
    missing: dict[str, str]
    """Why a candidate that was asked for is not there."""
    base_validation_loss: Interval | None
    base_test_loss: Interval | None
    validation_rows: int
    test_rows: int
    test_clusters: int
    unit: str = "documents"
    """What the clusters are: documents or sections."""
    confidence: Finite


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
    from pipeline.report import words

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
    from pipeline.report import words

    names = " and ".join(sorted({one.name for one in found.candidates}))
    if len(found.candidates) < 2:
        return f"Trained {names}; there is nothing to compare."
    if found.test_rows == 0:
        return f"Trained {names}; there are no test rows yet to compare them on."
    first, *others = found.candidates
    better = [one.name for one in others if _below_zero(one.difference)]
    worse = [one.name for one in others if _above_zero(one.difference)]
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


def _below_zero(difference: Interval | None) -> bool:
    return difference is not None and difference.high is not None and difference.high < 0


def _above_zero(difference: Interval | None) -> bool:
    return difference is not None and difference.low is not None and difference.low > 0
