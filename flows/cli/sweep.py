"""The command that looks for a smaller scale of an adapter: sweep."""

import json

import click

from flows.cli.commands import Options, command


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
    from flows.cli.launch import launch
    from pipeline.core.home import Home
    from pipeline.core.record import as_json

    settings = options.settings()
    report = launch("sweep", settings, model=model, scale=scale)
    from flows.sweep import read_frontier, table  # Prefect, which launch prepares for

    home = Home.at(settings.paths.home)
    found = read_frontier(home.store.path(home.dataset("sweep")))
    if options.json:
        gate = as_json(report.gate) if report else None
        click.echo(json.dumps(as_json(found) | {"gate": gate}))
        return
    for line in table(found):
        click.echo(line)
    click.echo(found.summary)
    if report is not None and report.gate is not None:
        click.echo(report.gate.summary)
    elif found.chosen not in (None, 1.0):
        click.echo(f"next         tuneloop sweep --model {model} --apply {found.chosen:g}")
