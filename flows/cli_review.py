"""The human step on the command line: `tuneloop review`."""

import getpass
import json
from typing import TYPE_CHECKING

import click

from flows.commands import Options, command

if TYPE_CHECKING:
    from annotation.queue import FileQueue
    from pipeline.settings import Settings


@click.group(invoke_without_command=True)
@click.option("--reviewer", default=getpass.getuser, help="Your name [the login name].")
@command
@click.pass_context
def review(context: click.Context, options: Options, reviewer: str) -> None:
    """Decide on generated pairs, one at a time, in this terminal.

    The same queue lies as queue.csv and queue.jsonl in the reviews folder of the home: fill in
    the columns verdict, edited_response, flags and reviewer there if you prefer a spreadsheet,
    or review in the browser: `tuneloop up` starts Label Studio. The next `tuneloop run` takes the
    decisions in.
    """
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console

    from annotation.terminal import review_in_terminal

    session = review_in_terminal(_queue(options), reviewer, Console(stderr=options.json))
    if options.json:
        click.echo(json.dumps({"verdicts": session.verdicts, "left": session.left}))


@review.command()
@command
def status(options: Options) -> None:
    """Count what is queued, open and decided, in Label Studio and in the queue files."""
    from flows.review import open_queue

    state = open_queue(_prepared(options)).status()
    counts = {name: getattr(state, name) for name in state.__slots__}
    if options.json:
        click.echo(json.dumps(counts))
    else:
        click.echo("  ".join(f"{name} {count}" for name, count in counts.items()))


@review.command()
@command
def pull(options: Options) -> None:
    """Take in what was decided, and say which decisions must be mended."""
    from flows.review import open_queue

    pulled = open_queue(_prepared(options)).pull()
    bounced = pulled.bounced.select("id", "reason", "excerpt").to_dicts()
    if options.json:
        click.echo(json.dumps({"decisions": pulled.reviews.height, "bounced": bounced}))
        return
    click.echo(f"{pulled.reviews.height} decisions, {len(bounced)} to mend")
    for row in bounced:
        click.echo(f"  {row['id']}  {row['reason']}: {row['excerpt']}")


@review.command()
@command
def push(options: Options) -> None:
    """Queue a sample of the screened pairs; what is queued already stays as it is."""
    settings = _prepared(options)
    from flows.inspect import Home
    from flows.review import open_queue, push_next
    from schemas.chunks import Chunks
    from schemas.pairs import ScreenedPairs

    home = Home.at(settings.paths.home)
    queue = open_queue(settings)
    pairs = home.store.read(home.dataset("screened_pairs"), ScreenedPairs)
    chunks = home.store.read(home.dataset("chunks"), Chunks)
    result = push_next(queue, queue.pull(), pairs, chunks, settings)
    if options.json:
        click.echo(json.dumps({"new": result.new, "already": result.already}))
    else:
        click.echo(f"{result.new} new, {result.already} queued already")


def _prepared(options: Options) -> "Settings":
    """Return the settings, with the process made silent before Prefect is imported."""
    from flows import environment

    settings = options.settings()
    environment.prepare(settings.paths.home, settings.model.allow_download)
    return settings


def _queue(options: Options) -> "FileQueue":
    from annotation.queue import FileQueue

    return FileQueue(options.settings().paths.home / "reviews")
