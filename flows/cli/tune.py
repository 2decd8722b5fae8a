"""The command `tuneloop tune`: automatic choice of a training."""

import json
from pathlib import Path

import click

from flows.cli.commands import DEFAULT_CONFIG, Options, command


@click.command()
@click.option("--apply", is_flag=True, help="Write the winner into the settings file's [train].")
@command
def tune(options: Options, apply: bool) -> None:
    """Choose method, rank, targets and learning rate by validation loss.

    Starts many short trainings on the rows that are accepted now and stops all but the best
    early, under the limits of memory, time and forgetting in [tune]. Killed, it goes on where it
    was; with more tune.trials or tune.budget_minutes it goes on further. The test set is not read.
    """
    from flows.cli.launch import launch
    from flows.engine.project import set_in_file
    from pipeline.core.errors import GateFailed, SettingsError
    from pipeline.report.tune import summary, toml_lines

    file: Path = options.config or DEFAULT_CONFIG
    if apply and not file.is_file():
        raise SettingsError(
            f"tune: {file} is not there; expected a settings file to write the winner into; name "
            "one with --config, make one with `tuneloop init DIR`, or leave --apply away"
        )
    report = launch("tune", options.settings())
    assert report is not None
    assert report.tuning is not None
    if apply and report.tuning.settings:
        set_in_file(file, "train", report.tuning.settings)
    if options.json:
        click.echo(json.dumps(report.model_dump(mode="json"), ensure_ascii=False))
    else:
        click.echo(summary(report.tuning))
        if apply and report.tuning.settings:
            click.echo(f"written into {file}")
        elif report.tuning.settings:
            click.echo("\n".join(["", *toml_lines(report.tuning)]))
    if report.tuning.winner is None:
        raise GateFailed(
            "tune: no training ended within the limits; expected at least one; raise "
            "tune.budget_minutes, tune.trials, tune.max_gigabytes or tune.max_forgetting, and run "
            "again: what is finished is kept"
        )
