"""Commands that watch for drift and train again: monitor, retrain."""

import json

import click

from flows.cli.commands import Options, command


@click.command()
@command
def monitor(options: Options) -> None:
    """Check what is new for drift, and decide: ok, watch, review, retrain or broken.

    New are documents that `curate` took in since the champion was trained, pairs made of them,
    and the exchanges logged in paths.logs. Each text is tested once. With `tuneloop up` this runs
    every hour, and a decision to retrain starts one.
    """
    from flows.cli.launch import launch

    report = launch("monitor", options.settings())
    if options.json:
        click.echo(json.dumps(report.model_dump(mode="json") if report else {"drift": None}))
    elif report is not None:
        from pipeline.report.text import drift_summary

        click.echo(drift_summary(report))


@click.command()
@click.option("--reason", required=True, help="Why; it goes into the ledger and the report.")
@click.option("--evidence", default="", metavar="ID", help="The drift decision it answers.")
@click.option("--dry-run", is_flag=True, help="Say what would be trained on; train nothing.")
@command
def retrain(options: Options, reason: str, evidence: str, dry_run: bool) -> None:
    """Train on what is accepted now; promote the result when it beats the champion.

    Makes no new pairs: that is `tuneloop synthesize`. One drift finding trains at most once.
    """
    from flows.cli.launch import launch

    report = launch(
        "retrain", options.settings(), reason=reason, evidence_id=evidence, dry_run=dry_run
    )
    if options.json:
        click.echo(json.dumps(report.model_dump(mode="json") if report else {"retrain": None}))
    elif report is not None:
        from pipeline.report.text import retrain_summary

        click.echo(retrain_summary(report))
