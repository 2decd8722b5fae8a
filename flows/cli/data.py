"""Commands that look at data and move the champion: show, trace, fsck, promote, rollback."""

import json
from typing import TYPE_CHECKING, Any

import click

from flows.cli.commands import Options, command

if TYPE_CHECKING:
    from pipeline.core.registry import Ref


@click.command()
@click.argument("dataset", required=False)
@click.option("-n", "count", default=5, show_default=True, help="Rows to show.")
@click.option("--dropped", is_flag=True, help="Show the ledger of dropped rows instead.")
@click.option("--near", is_flag=True, help="With duplicates: the pairs nearest to the threshold.")
@command
def show(options: Options, dataset: str | None, count: int, dropped: bool, near: bool) -> None:
    """Show rows of a DATASET (name, or name/fingerprint); without one, list what there is.

    `show duplicates` puts each removed document beside the one that stays for it, with their
    similarity and the words in which they differ; with --near it shows the pairs that a slightly
    other dedup.threshold would decide otherwise.
    """
    from flows.views.duplicates import duplicates
    from pipeline.core.home import Home

    home = Home.at(options.settings().paths.home)
    if dataset == "duplicates":
        rows = duplicates(home, near, count)
    elif near:
        raise click.UsageError("--near goes with `show duplicates` only")
    elif dataset is None:
        rows = [
            {"dataset": name, "fingerprint": item.fingerprint, "rows": item.rows}
            for name, item in home.latest().items()
        ]
    else:
        rows = home.rows(home.dataset(dataset), dropped).head(count).to_dicts()
    if options.json:
        click.echo(json.dumps({"rows": rows}, ensure_ascii=False))
        return
    for row in rows:
        if dataset is None:
            click.echo(f"{row['dataset']:<24} {row['fingerprint']}  {row['rows']:>8,} rows")
        elif dataset == "duplicates":
            _print_pair(row)
        else:
            _print_row(row)


@click.command()
@click.argument("identifier", metavar="ID")
@command
def trace(options: Options, identifier: str) -> None:
    """Follow a document, chunk or pair by its ID: source, prompt, reviewer, split, models.

    The models are all that were trained on it, also when the latest datasets do not have it.
    """
    from flows.views.trace import trace as follow
    from pipeline.core.home import Home

    story = follow(Home.at(options.settings().paths.home), identifier)
    if options.json:
        click.echo(json.dumps(story, ensure_ascii=False))
        return
    for dataset, row in story["found"].items():
        click.secho(dataset, bold=True)
        _print_row(row)
    for dataset, row in story["dropped"].items():
        click.secho(f"dropped from {dataset}", bold=True)
        _print_row(row)
    if story["place"]:
        click.echo(f"taken from: {story['place']['label']}")
    click.echo(f"trained into: {', '.join(story['models']) or 'no model'}")


@click.command()
@command
def fsck(options: Options) -> None:
    """Hash every stored file again and compare with the manifests; exit 2 when one differs."""
    from pipeline.core.errors import CorruptDataset
    from pipeline.core.home import Home
    from pipeline.core.home import fsck as verify

    home = Home.at(options.settings().paths.home)
    problems = verify(home)
    datasets = len(home.manifests())
    if options.json:
        click.echo(json.dumps({"datasets": datasets, "problems": problems}))
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise CorruptDataset(
            f"fsck: {len(problems)} files differ from their manifests; expected none; delete "
            "their folders and run again: they will be made anew"
        )
    if not options.json:
        click.echo(f"{datasets} datasets are whole")


@click.command()
@click.option("--reason", required=True, help="Why; it goes into the log.")
@command
def promote(options: Options, reason: str) -> None:
    """Make the challenger champion by hand, and show what the gate had said of it."""
    from flows.engine.home import locked, now
    from flows.engine.tracking import mirror
    from flows.models.listing import judgement
    from pipeline.core.errors import InputError
    from pipeline.core.home import Home
    from pipeline.core.registry import CHALLENGER, CHAMPION

    settings = options.settings()
    path = settings.paths.home
    home = Home.at(path)
    with locked(path):
        challenger = home.registry.dataset(CHALLENGER, home.store)
        if challenger is None:
            raise InputError(
                "promote: no challenger found; expected one; train with `tuneloop run`"
            )
        found = judgement(home, challenger)
        ref = home.registry.point(
            CHAMPION, challenger, f"by hand: {reason}", now(), found.evidence if found else None
        )
        mirror(settings)
    said = found.summary if found else "nothing: this model was not judged"
    if options.json:
        click.echo(json.dumps(ref.model_dump() | {"gate": said}))
        return
    click.echo(f"gate said    {said}")
    _print_ref(options, ref)


@click.command()
@click.option("--reason", required=True, help="Why; it goes into the log.")
@command
def rollback(options: Options, reason: str) -> None:
    """Bring back the champion before the current one."""
    from flows.engine.home import locked, now
    from flows.engine.tracking import mirror
    from pipeline.core.home import Home

    settings = options.settings()
    path = settings.paths.home
    home = Home.at(path)
    with locked(path):
        ref = home.registry.rollback(home.store, f"rollback: {reason}", now())
        mirror(settings)
        _print_ref(options, ref)


def _print_row(row: dict[str, Any]) -> None:
    for key, value in row.items():
        click.echo(f"  {key:<18} {value}")
    click.echo()


def _print_pair(row: dict[str, Any]) -> None:
    click.secho(
        f"{row['verdict']}  {row['similarity']:.4f} (threshold {row['threshold']:g})", bold=True
    )
    click.echo(f"  - {row['document']}  {row['doc_id']}")
    click.echo(f"  + {row['survivor']}  {row['related_id']}")
    for line in row["differences"]:
        click.echo(f"      {line}")


def _print_ref(options: Options, ref: "Ref") -> None:
    if options.json:
        click.echo(ref.model_dump_json())
    else:
        click.echo(f"champion     {ref.name}/{ref.fingerprint}  ({ref.reason})")
