"""Commands about what runs by itself: up, status."""

import click

from flows.cli.commands import Options, command


@click.command()
@command
def up(options: Options) -> None:
    """Start Prefect, Label Studio and the schedules; keep them running until Ctrl-C.

    Prints the addresses and what will run when, restarts a server that died, and leaves no process
    behind. When it runs already for this home folder, says where.
    """
    from flows.services.up import up as start

    start(options.settings(), options.json)


@click.command()
@command
def status(options: Options) -> None:
    """Show servers, schedules, last runs, open reviews, champion and the last drift decision."""
    from flows.views.status import show

    show(options.settings(), options.json)
