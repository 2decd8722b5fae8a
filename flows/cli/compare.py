"""Commands that choose among trainings or scales: compare, ablate, tune, sweep."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.cli.commands import DEFAULT_CONFIG, Options, command

if TYPE_CHECKING:
    from pipeline.report.contents import Report


@click.command()
@click.option(
    "--methods",
    default="lora,qlora",
    show_default=True,
    help="Names with commas; the first is what the others are held against. all: every method.",
)
@click.option("--seeds", default=2, show_default=True, help="Trainings of each method.")
@click.option("--steps", default=0, help="Optimizer steps of each training [by the settings].")
@command
def compare(options: Options, methods: str, seeds: int, steps: int) -> None:
    """Train several methods on the same rows; show quality, forgetting, memory, time and size.

    Trains on what `tuneloop retrain` would train on, each method with its own preset. Promotes
    nothing. What is finished is reused: a further method or seed costs only itself.
    """
    names = [name.strip() for name in methods.split(",") if name.strip()]
    if names == ["all"]:
        from pipeline.train.methods import METHODS

        names = list(METHODS)
    _show(options, options.launch("compare", methods=names, seeds=seeds, steps=steps))


@click.command()
@click.option("--seeds", default=2, show_default=True, help="Trainings of each arm.")
@click.option("--steps", default=24, show_default=True, help="Optimizer steps of each training.")
@command
def ablate(options: Options, seeds: int, steps: int) -> None:
    """Does curation pay? Train on raw, screened and reviewed pairs, with the same steps.

    All three are judged on the same frozen test set. Promotes nothing.
    """
    _show(options, options.launch("ablate", seeds=seeds, steps=steps))


def _show(options: Options, report: "Report | None") -> None:
    from pipeline.report.compared import table

    assert report is not None and report.comparison is not None
    options.show(report, "", table(report.comparison))


@click.command()
@click.option("--model", default="challenger", show_default=True, help="Or champion, fingerprint.")
@click.option(
    "--apply",
    "scale",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Make the model of this scale, the new challenger, and let the gate judge it.",
)
@command
def sweep(options: Options, model: str, scale: float | None) -> None:
    """Measure validation loss and forgetting at several scales of an adapter.

    A cheap cure when a model forgot too much: less of its change. Nothing is trained and no test
    row is looked at.
    """
    from pipeline.core.record import as_json

    report = options.launch("sweep", model=model, scale=scale)
    from flows.sweep import read_frontier, table  # Prefect, which launch prepares for

    home = options.home()
    found = read_frontier(home.store.path(home.dataset("sweep")))
    lines = [*table(found), found.summary]
    if report is not None and report.gate is not None:
        lines.append(report.gate.summary)
    elif found.chosen not in (None, 1.0):
        lines.append(f"next         tuneloop sweep --model {model} --apply {found.chosen:g}")
    options.show(as_json(found) | {"gate": report.gate if report else None}, *lines)


@click.command()
@click.option("--apply", is_flag=True, help="Write the winner into the settings file's [train].")
@command
def tune(options: Options, apply: bool) -> None:
    """Choose method, rank, targets and learning rate by validation loss.

    Starts many short trainings on the rows that are accepted now and stops all but the best
    early, under the limits of memory, time and forgetting in [tune]. Killed, it goes on where it
    was; with more tune.trials or tune.budget_minutes it goes on further. The test set is not read.
    """
    from flows.engine.project import set_in_file
    from pipeline.core.errors import GateFailed, SettingsError
    from pipeline.report.tune import summary, toml_lines

    file: Path = options.config or DEFAULT_CONFIG
    if apply and not file.is_file():
        raise SettingsError(
            f"tune: {file} is not there; expected a settings file to write the winner into; name "
            "one with --config, make one with `tuneloop init DIR`, or leave --apply away"
        )
    report = options.launch("tune")
    assert report is not None and report.tuning is not None
    lines = [summary(report.tuning)]
    if apply and report.tuning.settings:
        set_in_file(file, "train", report.tuning.settings)
        lines.append(f"written into {file}")
    elif report.tuning.settings:
        lines += ["", *toml_lines(report.tuning)]
    options.show(report, *lines)
    if report.tuning.winner is None:
        raise GateFailed(
            "tune: no training ended within the limits; expected at least one; raise "
            "tune.budget_minutes, tune.trials, tune.max_gigabytes or tune.max_forgetting, and run "
            "again: what is finished is kept"
        )
