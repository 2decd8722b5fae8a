"""What a search found: the trials, the Pareto front, and the winner within the limits."""

from typing import Any

from pipeline.core.record import record
from pipeline.settings import TuneSettings

TUNED = ("method", "rank", "targets", "learning_rate")


@record
class Trial:
    """One training of the search."""

    number: int
    settings: dict[str, Any]
    state: str  # `complete`, `stopped` or `unfinished`
    steps: int  # at the last rung that it reached
    loss: float | None
    """Validation loss, nats a supervised token: the lowest if complete, else at the last rung."""
    forgetting: float | None  # rise of loss on general text, nats a token
    bytes: int
    seconds: float
    about: str


@record
class Choice:
    """What the search found."""

    trials: tuple[Trial, ...]
    front: tuple[int, ...]  # complete trials that no other beats in loss, forgetting, memory, time
    winner: int | None  # the lowest validation loss within the limit of forgetting
    start: str  # the closed form that the search started from, and why
    max_forgetting: float
    settings: dict[str, Any]  # the winner's of [train], without those its method does not use


def choose(study: Any, tune: TuneSettings, start: str) -> Choice:
    """Read what was found out of a study."""
    trials = tuple(_trial(each) for each in study.trials)
    complete = [trial for trial in trials if trial.state == "complete"]
    allowed = [trial for trial in complete if (trial.forgetting or 0) <= tune.max_forgetting]
    winner = min(allowed, key=lambda trial: (trial.loss, trial.number), default=None)
    chosen = winner.settings if winner else {}
    return Choice(
        trials=trials,
        front=_front(complete),
        winner=winner.number if winner else None,
        start=start,
        max_forgetting=tune.max_forgetting,
        settings={name: chosen[name] for name in TUNED if chosen.get(name) is not None},
    )


def _front(trials: list[Trial]) -> tuple[int, ...]:
    """Return the trials that no other beats: as good in everything and better in something."""
    measured = {
        trial.number: (trial.loss or 0.0, trial.forgetting or 0.0, trial.bytes, trial.seconds)
        for trial in trials
    }

    def beaten(own: tuple[float, ...]) -> bool:
        others = (each for each in measured.values() if each != own)
        return any(all(a <= b for a, b in zip(each, own, strict=True)) for each in others)

    return tuple(number for number, own in measured.items() if not beaten(own))


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
