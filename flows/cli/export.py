"""The command that takes a model to a server: export."""

import json
from pathlib import Path
from typing import Any

import click

from flows.cli.commands import Options, command
from pipeline.train.export.exporters import EXPORTERS


@click.command()
@click.argument("model")
@click.option(
    "--format",
    "form",
    default=next(iter(EXPORTERS)),
    show_default=True,
    type=click.Choice(list(EXPORTERS)),
    help="; ".join(f"{form.name}: {form.about} ({form.takes})" for form in EXPORTERS.values())
    + ".",
)
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A new or empty folder.",
)
@command
def export(options: Options, model: str, form: str, folder: Path) -> None:
    """Write a MODEL (champion, challenger or a fingerprint) for a server.

    What is written is loaded back and must say what the adapter says: the same greedy tokens on
    64 prompts, logits within [export] limits. Exit 1 when it does not. Merged weights are in the
    type of the base (bfloat16 stays bfloat16), or float32 where that is too coarse.
    """
    from flows.engine import environment

    settings = options.settings(private=False)  # for a server, which may be another user's
    environment.prepare(settings.paths.home, settings.model.allow_download)
    from flows.models.export import export as write

    record = write(settings, model, form, folder.absolute())
    if options.json:
        click.echo(json.dumps(record))
        return
    click.echo(f"exported     {record['model']} as {form} to {record['folder']}")
    if "merge" in record:
        click.echo(f"stored       {record['merge']['stored']}")
    for name in ("parity", "parity_as_served"):
        if record.get(name):
            click.echo(f"{name.replace('_', ' '):<12} {_parity(record[name])}")
    places = {key: record[key] for key in ("folder", "base_folder")}
    click.echo(f"next         {record['next'].format(**places)}")


def _parity(facts: dict[str, Any]) -> str:
    return (
        f"{facts['equal_prompts']} of {facts['prompts']} prompts with the same greedy tokens, "
        f"largest logit difference {facts['max_logit_difference']:.4g}, KL at most "
        f"{facts['max_kl']:.2g} ({facts.get('dtype', 'float32')})"
    )
