"""Commands that train several candidates side by side: compare, ablate."""

import json
from typing import TYPE_CHECKING

import click

from flows.cli.commands import Options, command

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
    from flows.cli.launch import launch

    settings = options.settings()
    names = [name.strip() for name in methods.split(",") if name.strip()]
    if names == ["all"]:
        from pipeline.train.methods import METHODS

        names = list(METHODS)
    _print(options, launch("compare", settings, methods=names, seeds=seeds, steps=steps))


@click.command()
@click.option("--seeds", default=2, show_default=True, help="Trainings of each arm.")
@click.option("--steps", default=24, show_default=True, help="Optimizer steps of each training.")
@command
def ablate(options: Options, seeds: int, steps: int) -> None:
    """Does curation pay? Train on raw, screened and reviewed pairs, with the same steps.

    All three are judged on the same frozen test set. Promotes nothing.
    """
    from flows.cli.launch import launch

    _print(options, launch("ablate", options.settings(), seeds=seeds, steps=steps))


def _print(options: Options, report: "Report | None") -> None:
    assert report is not None and report.comparison is not None
    if options.json:
        click.echo(json.dumps(report.model_dump(mode="json"), ensure_ascii=False))
        return
    from pipeline.report.compared import table

    click.echo()
    click.echo(table(report.comparison))
