"""The human step on the command line: `tuneloop review`."""

import getpass
from typing import TYPE_CHECKING

import click

from flows.cli.commands import Options, command
from pipeline.core.errors import ReviewError

if TYPE_CHECKING:
    from annotation.queue import Pulled


@click.group(invoke_without_command=True)
@click.option("--reviewer", default=getpass.getuser, help="Your name [the login name].")
@command
@click.pass_context
def review(context: click.Context, options: Options, reviewer: str) -> None:
    """Decide on generated pairs, one at a time, in this terminal.

    The same queue lies as queue.csv and queue.jsonl in the reviews folder of the home: fill in
    the columns verdict, flags, reviewer and what you edit there if you prefer a spreadsheet,
    or review in the browser: `tuneloop up` starts Label Studio. A pair decided in one place is
    not offered in the others. The next `tuneloop run` takes the decisions in.
    """
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console

    from annotation.queues import open_queue
    from annotation.terminal import review_in_terminal

    queue = open_queue(options.prepared())
    before = queue.pull()
    _say(before)
    if before.missed:
        click.echo(f"{before.missed}; pairs decided there since may be offered again", err=True)
    session = review_in_terminal(queue, reviewer, Console(stderr=options.json))
    if session["verdicts"] and not before.missed:
        queue.pull()  # takes what was decided here out of Label Studio
    options.show(session)


@review.command()
@command
def status(options: Options) -> None:
    """Count what is queued, open and decided, in Label Studio and in the queue files.

    Then what the decisions tell: how many sampled pairs are accepted, whether people agree, who
    they are (gold items, time, edits), and how often the screens are right.
    """
    from annotation.queues import open_queue
    from flows.views.reviews import about_reviews, lines_of

    settings = options.prepared()
    queue = open_queue(settings)
    counts = queue.status()
    facts = about_reviews(queue, settings)
    line = "  ".join(f"{name} {count}" for name, count in counts.items())
    options.show({**counts, "about": facts}, line, *lines_of(facts))


@review.command()
@command
def pull(options: Options) -> None:
    """Take in what was decided, and say which decisions must be mended.

    The queue files are taken in even when Label Studio cannot be reached; the exit code is 2 then.
    """
    from annotation.queues import open_queue

    pulled = open_queue(options.prepared()).pull()
    _say(pulled)
    bounced = pulled.bounced.select("id", "reason", "excerpt").to_dicts()
    options.show(
        {"decisions": pulled.reviews.height, "bounced": bounced},
        f"{pulled.reviews.height} decisions, {len(bounced)} to mend",
        *(f"  {row['id']}  {row['reason']}: {row['excerpt']}" for row in bounced),
    )
    if pulled.missed:
        raise ReviewError(f"{pulled.missed}; the queue files were taken in")


@review.command()
@command
def push(options: Options) -> None:
    """Queue a sample of the screened pairs; what is queued already stays as it is."""
    settings = options.prepared()
    from annotation.queues import open_queue
    from flows.review import push_next
    from pipeline.core.home import Home

    home = Home.at(settings.paths.home)
    screened, chunks = home.dataset("screened_pairs"), home.dataset("chunks")
    queue = open_queue(settings)
    pulled = queue.pull()
    _say(pulled)
    result = push_next(queue, pulled, screened, chunks, settings)
    counts = {"new": result.new, "already": result.already}
    options.show(counts, f"{result.new} new, {result.already} queued already")
    if result.missed:
        raise ReviewError(f"{result.missed}; the pairs are in the queue files")


@review.command()
@click.argument("pair_id")
@click.option("-n", "count", default=10, show_default=True, help="Similar pairs, at most.")
@click.option("--reject", is_flag=True, help="Reject it and all that are listed.")
@click.option("--flag", "flags", multiple=True, default=["wrong"], help="What is wrong  [wrong].")
@click.option("--requeue", is_flag=True, help="Ask people again about it and all that are listed.")
@click.option("--reviewer", default=getpass.getuser, help="Your name [the login name].")
@command
def like(
    options: Options, pair_id: str, count: int, flags: tuple[str, ...], reviewer: str, **asked: bool
) -> None:
    """List the pairs that are like PAIR_ID; with --reject or --requeue decide on all together.

    Such decisions are about the pairs alone: they do not count as a random sample.
    """
    reject, requeue = asked["reject"], asked["requeue"]
    if reject and requeue:
        raise click.UsageError("review like: --reject and --requeue found; expected one of them")
    settings = options.prepared()
    from flows.review import decide_together, similar_to

    found = similar_to(pair_id, count, settings)
    if reject or requeue:
        decide_together(found, pair_id, settings, reviewer if reject else "", flags)
    done = "rejected" if reject else "asked again" if requeue else ""
    rows = found.select("pair_id", "similarity", "instruction", "response").to_dicts()
    shown = "{pair_id}  {similarity:.2f}  {instruction} -> {response}"
    lines = [shown.format_map(row) for row in rows]
    lines += [f"{len(rows)} pairs {done}"] if done else []
    options.show({"pairs": rows, "done": done}, *lines)


@review.command()
@click.argument("name")
@command
def invite(options: Options, name: str) -> None:
    """Make a Label Studio account for NAME (or an e-mail address), and show its password once.

    Whoever reviews with an account of their own is told apart: agreement, gold items, times.
    """
    from annotation import label_studio_connection

    account = label_studio_connection.invite(name, options.prepared())
    options.show(
        account,
        "{url}  login: {email}  password: {password}".format_map(account),
        "the password is stored nowhere: hand it over now",
        f"in the terminal and the files the same person is {account['email']} (--reviewer)",
    )


def _say(pulled: "Pulled") -> None:
    """Say what a person should know besides the decisions."""
    for note in pulled.notes:
        click.echo(f"review: {note}", err=True)
