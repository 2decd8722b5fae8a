"""Commands about models: the list of them, and their cards."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from flows.cli.commands import Options, command


@click.command()
@command
def models(options: Options) -> None:
    """List the models trained here: method, verdict, test loss, champion and challenger."""
    from flows.models.listing import entries
    from pipeline.core.home import Home
    from pipeline.core.registry import CHAMPION

    home = Home.at(options.settings().paths.home)
    found = entries(home)
    if options.json:
        click.echo(json.dumps({"models": [asdict(entry) for entry in found]}))
        found = []
    elif not found and home.registry.get(CHAMPION) is None:
        click.echo("no model yet; train one with `tuneloop run`")
    for entry in found:
        loss = "     -" if entry.test_loss is None else f"{entry.test_loss:6.3f}"
        click.echo(
            f"{entry.fingerprint}  {entry.trained_at}  {entry.method:<18} {entry.verdict:<10} "
            f"{loss}  {', '.join(entry.marks)}".rstrip()
        )
    home.registry.dataset(CHAMPION, home.store)  # one that is gone is an error, after the list


@click.command()
@click.argument("model", default="")
@click.option("--data", is_flag=True, help="The card of its data instead.")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write model_card.md and data_card.md into a folder.",
)
@command
def card(options: Options, model: str, data: bool, folder: Path | None) -> None:
    """Print the model card of MODEL (champion, challenger or a fingerprint).

    Without MODEL: of the champion, or of the challenger while there is no champion.
    """
    from flows.views.cards import model_and_data_card, write_cards
    from pipeline.core.home import Home
    from pipeline.core.registry import CHAMPION

    settings = options.settings()
    home = Home.at(settings.paths.home)
    chosen = model or ("champion" if home.registry.get(CHAMPION) else "challenger")
    cards = model_and_data_card(home, settings, home.model(chosen))
    files = [str(path) for path in write_cards(cards, folder)] if folder else []
    if options.json:
        click.echo(json.dumps({"model": cards.model, "data": cards.data, "files": files}))
    elif files:
        for path in files:
            click.echo(f"card         {path}")
    else:
        click.echo(cards.data if data else cards.model)
