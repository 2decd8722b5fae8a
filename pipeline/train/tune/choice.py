"""What a search found: the trials, the Pareto front, and the winner within the limits."""

from typing import Any

from pipeline.core.record import record
from pipeline.settings import TuneSettings

TUNED = ("method", "rank", "targets", "learning_rate")
"""Settings of [train] that a search chooses."""


@record
class Trial:
    """One training of the search."""

    number: int
    settings: dict[str, Any]
    """Of [train]; None where the method has no use for one."""
    state: str
    """``complete``, ``stopped`` or ``unfinished``."""
    steps: int
    """At the last rung that it reached."""
    loss: float | None
    """Validation loss, nats a supervised token: the lowest if complete, else at the last rung."""
    forgetting: float | None
    """Rise of loss on general text, nats a token."""
    bytes: int
    """Peak memory by the plan."""
    seconds: float
    about: str
    """Why it was stopped; empty if it was not."""


@record
class Choice:
    """What the search found."""

    trials: tuple[Trial, ...]
    front: tuple[int, ...]
    """Numbers of the complete trials that no other beats in all of loss, forgetting, memory and
    time."""
    winner: int | None
    """The lowest validation loss within the limit of forgetting."""
    start: str
    """The closed form that the search started from, and why."""
    max_forgetting: float
    settings: dict[str, Any]
    """The winner's settings of [train], without those its method does not use."""


def choose(study: Any, tune: TuneSettings, start: str) -> Choice:
    """Read what was found out of a study."""
    trials = tuple(_trial(each) for each in study.trials)
    complete = [trial for trial in trials if trial.state == "complete"]
    allowed = [
        trial
        for trial in complete
        if trial.forgetting is None or trial.forgetting <= tune.max_forgetting
    ]
    winner = min(allowed, key=lambda trial: (trial.loss, trial.number), default=None)
    return Choice(
        trials=trials,
        front=tuple(trial.number for trial in pareto(complete)),
        winner=winner.number if winner else None,
        start=start,
        max_forgetting=tune.max_forgetting,
        settings={
            name: winner.settings[name]
            for name in (TUNED if winner else ())
            if winner and winner.settings.get(name) is not None
        },
    )


def pareto(trials: list[Trial]) -> list[Trial]:
    """Return the trials that no other beats: as good in everything and better in something."""

    def measures(trial: Trial) -> tuple[float, ...]:
        assert trial.loss is not None
        return (trial.loss, trial.forgetting or 0.0, float(trial.bytes), trial.seconds)

    def beats(one: Trial, other: Trial) -> bool:
        pairs = list(zip(measures(one), measures(other), strict=True))
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)

    return [trial for trial in trials if not any(beats(other, trial) for other in trials)]


def _trial(found: Any) -> Trial:
    names = {"COMPLETE": "complete", "PRUNED": "stopped"}
    reports, facts = found.intermediate_values, found.user_attrs
    last = max(reports, default=0)
    return Trial(
        number=found.number,
        settings=facts.get("settings", {}),
        state=names.get(found.state.name, "unfinished"),
        steps=last,
        loss=found.value if found.state.name == "COMPLETE" else reports.get(last),
        forgetting=facts.get("forgetting"),
        bytes=facts.get("bytes", 0),
        seconds=facts.get("seconds", 0.0),
        about=facts.get("stopped", ""),
    )
