"""The report's section on `tuneloop tune`: trials, Pareto front, winner."""

from typing import Any

from markupsafe import Markup, escape

from pipeline.report import words
from pipeline.train.tune.choice import Choice, Trial

ROW = ("trial", "settings", "steps", "validation loss", "forgetting", "memory", "time", "")


def toml_lines(tuning: Choice) -> list[str]:
    """Return the [train] section to paste."""
    values = [f"{name} = {_toml(value)}" for name, value in tuning.settings.items()]
    return ["[train]", *values]


def summary(tuning: Choice) -> str:
    """Return the trials and the winner as lines of text."""
    lines = [f"started from {tuning.start}", _line(ROW)]
    lines += [_line(cells(tuning, trial)) for trial in _ranked(tuning)]
    if tuning.winner is None:
        lines.append(f"no winner: none ended with forgetting of at most {tuning.max_forgetting:g}")
    else:
        lines.append(f"winner: trial {tuning.winner}, {_settings(_winner(tuning))}")
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


def section(tuning: Choice | None) -> dict[str, Any] | None:
    """Return what the template shows."""
    if tuning is None:
        return None
    return {
        "tuning": tuning,
        "columns": ROW,
        "rows": [
            (trial.number == tuning.winner, cells(tuning, trial)) for trial in _ranked(tuning)
        ],
        "toml": "\n".join(toml_lines(tuning)) if tuning.settings else "",
        "plot": _plot(tuning),
    }


def _plot(tuning: Choice) -> Markup:
    """Draw the complete trials by forgetting (across) and validation loss (up)."""
    points = [
        (trial.forgetting or 0.0, trial.loss, trial.number)
        for trial in tuning.trials
        if trial.state == "complete" and trial.loss is not None
    ]
    if len(points) < 2:
        return Markup("")
    width, height, edge = 560, 220, 36
    across, up = [point[0] for point in points], [point[1] for point in points]

    def place(value: float, values: list[float], start: float, end: float) -> float:
        span = (max(values) - min(values)) or 1.0
        return start + (value - min(values)) / span * (end - start)

    marks = []
    for x, y, number in points:
        left, top = place(x, across, edge, width - edge), place(y, up, height - edge, edge)
        on_front = number in tuning.front
        marks.append(
            f'<circle cx="{left:.1f}" cy="{top:.1f}" r="{5 if on_front else 3}" '
            f'class="{"trace retrain" if on_front else "trace"}" fill="currentColor" '
            f'opacity="{1 if on_front else 0.4}"/>'
            f'<text x="{left + 7:.1f}" y="{top + 4:.1f}">{number}</text>'
        )
    label = escape("validation loss (up) against forgetting (across) of the complete trials")
    return Markup(
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        f"{''.join(marks)}"
        f'<text x="{edge}" y="{height - 8}">forgetting {min(across):+.3f}</text>'
        f'<text x="{width - edge}" y="{height - 8}" text-anchor="end">{max(across):+.3f}</text>'
        f'<text x="4" y="{edge - 14}">loss {max(up):.3f}</text>'
        f'<text x="4" y="{height - edge + 14}">{min(up):.3f}</text></svg>'
    )


def _ranked(tuning: Choice) -> list[Trial]:
    """Return complete trials by loss, then the others by how far they came."""
    return sorted(
        tuning.trials,
        key=lambda trial: (
            trial.state != "complete",
            -trial.steps,
            trial.loss if trial.loss is not None else float("inf"),
            trial.number,
        ),
    )


def _winner(tuning: Choice) -> Trial:
    return next(trial for trial in tuning.trials if trial.number == tuning.winner)


def _settings(trial: Trial) -> str:
    found = trial.settings
    parts = [str(found.get("method", "-"))]
    if found.get("rank"):
        parts.append(f"r {found['rank']}")
    if found.get("targets"):
        parts.append(str(found["targets"]))
    if found.get("learning_rate"):
        parts.append(f"{found['learning_rate']:g}")
    return " ".join(parts)


def _line(parts: tuple[str, ...]) -> str:
    widths = (5, 30, 5, 15, 10, 9, 12, 0)
    return "  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"
