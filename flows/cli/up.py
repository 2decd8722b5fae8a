"""Commands about what runs by itself: serve, up, status, monitor, retrain."""

import json

import click

from flows.cli.commands import Options, command


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port to listen on; serve.port if not given."
)
@click.option("--upstream", metavar="URL", help="A server of the exported model answers instead.")
@click.option("--log", is_flag=True, help="Log exchanges, redacted, for the drift check.")
@command
def serve(options: Options, port: int | None, upstream: str | None, log: bool) -> None:
    """Serve the champion as an OpenAI-compatible endpoint, with a page to ask in at /.

    Puts passages of the documents before a question where the verdict says so, and names them as
    sources. A new champion takes over between two requests. Ctrl-C ends. With TUNELOOP_SERVE_KEY in
    the environment every request has to bring that key; section [serve] has the rest.
    """
    more = [f"serve.port={port}"] if port else []
    more += [f"serve.upstream={json.dumps(upstream)}"] if upstream else []
    more += ["serve.log=true"] if log else []
    settings = options.overriding(more).prepared()
    from flows.gateway.serve import serve as start

    start(settings, lambda url: options.show({"url": url}, f"serve        {url}/ and {url}/v1"))


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


@click.command()
@command
def monitor(options: Options) -> None:
    """Check what is new for drift, and decide: ok, watch, review, retrain or broken.

    New are documents that `curate` took in since the champion was trained, pairs made of them,
    and the exchanges logged in paths.logs. Each text is tested once. With `tuneloop up` this runs
    every hour, and a decision to retrain starts one.
    """
    from pipeline.report.text import drift_summary

    report = options.launch("monitor")
    options.show(report or {"drift": None}, *([drift_summary(report)] if report else []))


@click.command()
@click.option("--reason", required=True, help="Why; it goes into the ledger and the report.")
@click.option("--evidence", default="", metavar="ID", help="The drift decision it answers.")
@click.option("--dry-run", is_flag=True, help="Say what would be trained on; train nothing.")
@command
def retrain(options: Options, reason: str, evidence: str, dry_run: bool) -> None:
    """Train on what is accepted now; promote the result when it beats the champion.

    Makes no new pairs: that is `tuneloop synthesize`. One drift finding trains at most once.
    """
    from pipeline.report.text import retrain_summary

    report = options.launch("retrain", reason=reason, evidence_id=evidence, dry_run=dry_run)
    options.show(report or {"retrain": None}, *([retrain_summary(report)] if report else []))
