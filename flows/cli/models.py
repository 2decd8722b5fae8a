"""Commands about models: the list of them, their cards, their export."""

from pathlib import Path
from typing import Any

import click

from flows.cli.commands import Options, command
from pipeline.pairs.data_forms import DATA_FORMS
from pipeline.train.export.exporters import EXPORTERS

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@command
def models(options: Options) -> None:
    """List the models trained here: method, verdict, correctness, champion and challenger."""
    from flows.models.listing import entries
    from pipeline.core.registry import CHAMPION

    home = options.home()
    found = entries(home)
    lines = list(map(str, found))
    if not found and home.registry.get(CHAMPION) is None:
        lines.append("no model yet; train one with `tuneloop run`")
    options.show({"models": found}, *lines)
    home.registry.dataset(CHAMPION, home.store)  # one that is gone is an error, after the list


@click.command()
@click.argument("model", default="")
@click.option("--data", is_flag=True, help="The card of its data instead.")
@click.option(
    "--to", "folder", type=FOLDER, help="Write model_card.md and data_card.md into a folder."
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
    lines = [f"card         {path}" for path in files] or [cards["data" if data else "model"]]
    options.show(cards | {"files": files}, *lines)


@click.command()
@click.argument("model")
@click.option(
    "--format",
    "form",
    help="Of a model: "
    + "; ".join(f"{form.name}: {form.about} ({form.takes})" for form in EXPORTERS.values())
    + f" [{next(iter(EXPORTERS))}]. Of data: "
    + "; ".join(f"{name}: {form.about}" for name, form in DATA_FORMS.items())
    + f" [{next(iter(DATA_FORMS))}].",
)
@click.option("--to", "folder", required=True, type=FOLDER, help="A new or empty folder.")
@command
def export(options: Options, model: str, form: str | None, folder: Path) -> None:
    """Write a MODEL (champion, challenger or a fingerprint) for a server; or `data`, the rows.

    `tuneloop export data` writes the pairs that training uses, gold rows among them, a file a
    split, with the ids that lead back to their documents and the data card.

    What is written is loaded back and must say what the adapter says: the same greedy tokens on
    64 prompts, logits within [export] limits. Exit 1 when it does not. Merged weights are in the
    type of the base (bfloat16 stays bfloat16), or float32 where that is too coarse.
    """
    choices = DATA_FORMS if model == "data" else EXPORTERS
    form = form or next(iter(choices))
    if form not in choices:
        raise click.UsageError(f"--format {form} found; expected one of {', '.join(choices)}")
    settings = options.prepared(private=False)  # for a server, which may be another user's
    if model == "data":
        from flows.views.export_data import export_data

        written = export_data(settings, form, folder.absolute())
        counts = ", ".join(f"{rows:,} {split}" for split, rows in written["splits"].items())
        options.show(written, f"exported     {counts} rows as {form} to {written['folder']}")
        return
    from flows.models.export import export as write

    record = write(settings, model, form, folder.absolute())
    lines = [f"exported     {record['model']} as {form} to {record['folder']}"]
    if "merge" in record:
        lines.append(f"stored       {record['merge']['stored']}")
    for name in ("parity", "parity_as_served"):
        if record.get(name):
            lines.append(f"{name.replace('_', ' '):<12} {_parity(record[name])}")
    places = {key: record[key] for key in ("folder", "base_folder")}
    options.show(record, *lines, f"next         {record['next'].format(**places)}")


def _parity(facts: dict[str, Any]) -> str:
    return (
        f"{facts['equal_prompts']} of {facts['prompts']} prompts with the same greedy tokens, "
        f"largest logit difference {facts['max_logit_difference']:.4g}, KL at most "
        f"{facts['max_kl']:.2g} ({facts.get('dtype', 'float32')})"
    )
