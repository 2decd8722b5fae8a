"""What a person sees while a command runs, on stderr: a line a stage, a bar for long work."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from pipeline.core.manifest import Facts

console = Console(stderr=True, highlight=False)
EVENT_EVERY = 2.0  # seconds between two progress events of one stage
PLAIN_EVERY = 15.0  # seconds between progress lines where no terminal can draw a bar


@dataclass(frozen=True, slots=True)
class StageLine:
    """The one line that a stage ends with."""

    stage: str
    facts: Facts  # of the dataset; it has more rows than are kept where one row becomes several
    seconds: float
    reused: str | None  # fingerprint of the dataset that was taken instead of running the stage
    note: str  # why it was made anew, or that the code changed of what is reused

    def __str__(self) -> str:
        note, facts = f"  {self.note}" if self.note else "", self.facts
        if self.reused:
            return f"{self.stage:<22} reused {self.reused[:8]}  {facts.rows:,} rows{note}"
        shown = sorted(facts.reasons.items(), key=lambda item: (-item[1], item[0]))
        why = ", ".join(f"{reason} {count:,}" for reason, count in shown[:4])
        rest = sum(count for _, count in shown[4:])
        why += f", other {rest:,}" if rest else ""
        counts = f"{facts.rows_in:,} -> {facts.rows_kept:,}"
        counts += f" = {facts.rows:,} rows" if facts.rows != facts.rows_kept else ""
        return (
            f"{self.stage:<22} {counts:<22} {f'({why})  ' if why else ''}{self.seconds:.1f} s{note}"
        )


class StageProgress(Progress):
    """A listener for :mod:`pipeline.core.progress`: bar, rate, time left; ``tell`` gets events."""

    def __init__(self, stage: str, tell: Callable[..., None] = lambda *_, **__: None) -> None:
        self.stage, self.tell = stage, tell
        self.started = self.last_line = time.monotonic()
        self.last_event = 0.0
        self.bar: TaskID | None = None
        super().__init__(
            TextColumn("{task.description:<22}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}  {task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __call__(self, done: int, total: int, unit: str) -> None:
        """Show that ``done`` of ``total`` units are finished."""
        seconds = time.monotonic() - self.started
        rate = f"{done / seconds:,.1f}/s" if done and seconds > 0 else ""
        if self.bar is None:
            self.bar = self.add_task(self.stage, total=None, unit=unit, rate="")
        self.update(self.bar, completed=done, total=total or None, unit=unit, rate=rate)
        if done == total or time.monotonic() - self.last_event > EVENT_EVERY:
            self.last_event = time.monotonic()
            self.tell("PROGRESS", self.stage, done=done, total=total, unit=unit)
        if not console.is_terminal and time.monotonic() - self.last_line > PLAIN_EVERY:
            self.last_line = time.monotonic()
            left = f", {seconds / done * (total - done):.0f} s left" if done and total else ""
            console.print(f"{self.stage:<22} {done:,}/{total:,} {unit}  {rate}{left}")
