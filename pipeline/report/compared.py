"""Trainings side by side, the same on page and terminal: of `compare`, and the trials of `tune`."""

from collections.abc import Iterable
from math import inf

import tomlkit
from markupsafe import Markup

from pipeline.evaluate.comparison import Comparison
from pipeline.evaluate.results import Interval
from pipeline.report import words
from pipeline.report.charts import draw, scale
from pipeline.train.tune.choice import Choice, Trial

Row = tuple[str, tuple[tuple[str, str], ...]]  # name; of each cell what it says, its small print

WIDTHS = {
    "trained": 11, "validation": 14, "test": 14, "\N{PLUS-MINUS SIGN} seeds": 7, "vs first": 16,
    "forgets": 8, "peak": 8, "time": 9, "tokens/s": 8, "disk": 8, "writes": 7, "merged": 7,
}  # fmt: skip
TRIAL = ("trial", "settings", "steps", "validation loss", "forgetting", "memory", "time", "")
COLUMNS = tuple(WIDTHS)  # column titles; the first column has the name of the candidate


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
    rows, clusters = words.count(found.test_rows), words.count(found.test_clusters)
    return f"Test loss on {rows} rows of {clusters} {found.unit}: {'; '.join(parts)}."


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
    caution = " One seed each: these trainings are told apart, not their recipes." * (seeds == 1)
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


def toml_lines(tuning: Choice) -> list[str]:
    """Return the [train] section to paste."""
    return tomlkit.dumps({"train": tuning.settings}).splitlines()


def summary(tuning: Choice) -> str:
    """Return the trials and the winner as lines of text."""
    lines = [f"started from {tuning.start}", _trial_line(TRIAL)]
    lines += [_trial_line(cells(tuning, trial)) for trial in ranked(tuning)]
    if tuning.winner is None:
        lines.append(f"no winner: none ended with forgetting of at most {tuning.max_forgetting:g}")
    else:
        winner = next(trial for trial in tuning.trials if trial.number == tuning.winner)
        lines.append(f"winner: trial {tuning.winner}, {_settings(winner)}")
    return "\n".join(lines)


def cells(tuning: Choice, trial: Trial) -> tuple[str, ...]:
    """Return what a table says about a trial."""
    note = trial.about
    if trial.number in tuning.front:
        note = "Pareto front"
    if trial.number == tuning.winner:
        note = "winner"
    elif trial.forgetting is not None and trial.forgetting > tuning.max_forgetting:
        note = "forgets too much"
    return (
        str(trial.number),
        _settings(trial),
        str(trial.steps),
        words.decimal(trial.loss, 4),
        words.decimal(trial.forgetting, 3, signed=True),
        words.size(trial.bytes),
        words.duration(trial.seconds),
        note,
    )


def plot(tuning: Choice) -> Markup:
    """Draw the complete trials by forgetting (across) and validation loss (up)."""
    points = [
        (trial.forgetting or 0.0, trial.loss, trial.number)
        for trial in tuning.trials
        if trial.state == "complete" and trial.loss is not None
    ]
    if len(points) < 2:
        return Markup("")
    width, height, edge = 560, 220, 36
    across, up, _ = zip(*points, strict=True)
    x = scale(min(across), max(across), edge, width - edge)
    y = scale(min(up), max(up), height - edge, edge)
    return draw(
        "trials",
        rows=[(number, number in tuning.front, x(at), y(loss)) for at, loss, number in points],
        width=width,
        height=height,
        edge=edge,
        lowest=(min(across), min(up)),
        highest=(max(across), max(up)),
    )


def ranked(tuning: Choice) -> list[Trial]:
    """Return complete trials by loss, then the others by how far they came."""

    def rank(trial: Trial) -> tuple[bool, int, float, int]:
        loss = inf if trial.loss is None else trial.loss
        return trial.state != "complete", -trial.steps, loss, trial.number

    return sorted(tuning.trials, key=rank)


def _settings(trial: Trial) -> str:
    formats = {"rank": "r {}", "targets": "{}", "learning_rate": "{:g}"}
    found = trial.settings
    parts = [form.format(found[name]) for name, form in formats.items() if found.get(name)]
    return " ".join([str(found.get("method", "-")), *parts])


def _trial_line(parts: tuple[str, ...]) -> str:
    widths = (5, 30, 5, 15, 10, 9, 12, 0)
    return "  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
