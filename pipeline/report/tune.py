"""The report's section on `tuneloop tune`: trials, Pareto front, winner."""

from math import inf

import tomlkit
from markupsafe import Markup

from pipeline.report import words
from pipeline.report.drawing import draw, scale
from pipeline.train.tune.choice import Choice, Trial

ROW = ("trial", "settings", "steps", "validation loss", "forgetting", "memory", "time", "")


def toml_lines(tuning: Choice) -> list[str]:
    """Return the [train] section to paste."""
    return tomlkit.dumps({"train": tuning.settings}).splitlines()


def summary(tuning: Choice) -> str:
    """Return the trials and the winner as lines of text."""
    lines = [f"started from {tuning.start}", _line(ROW)]
    lines += [_line(cells(tuning, trial)) for trial in ranked(tuning)]
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


def _line(parts: tuple[str, ...]) -> str:
    widths = (5, 30, 5, 15, 10, 9, 12, 0)
    return "  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
