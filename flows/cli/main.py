"""The command line: parses, loads settings, calls a flow, prints.

Exit 0: done; 1: a gate said no; 2: the user must act (one line, no traceback); 3: a bug.
Heavy imports happen inside the commands, so that ``--help`` is instant.
"""

import sys
from pathlib import Path

import click

from flows.cli.commands import Options, command
from flows.cli.compare import ablate, compare, plan, sweep, tune
from flows.cli.data import forget, fsck, gc, promote, rollback, show, trace
from flows.cli.models import card, export, models
from flows.cli.review import review
from flows.cli.up import monitor, retrain, serve, status, up
from pipeline.core.errors import InputError
from pipeline.pairs.teachers.kinds import TEACHERS

TEACHER_HELP = "\n\n".join(
    f"teacher.kind = {name}: {kind.about}. It needs {kind.needs}."
    for name, kind in TEACHERS.items()
)
WHO = click.Choice(["champion", "challenger", "base"])
AGAIN = "Make a stage such as train or evaluate again where its code changed."
_rebuild = click.option("--rebuild", multiple=True, metavar="STAGE", help=AGAIN)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tuneloop")
def main() -> None:
    """From a folder of raw documents to a fine-tuned model that stays good.

    Start with `tuneloop init my-project`, or with `tuneloop run` inside the checkout, which
    takes data/samples to a judged model. Every setting can be changed for one command with
    --set section.key=value.
    """


@main.command()
@_rebuild
@command
def run(options: Options, rebuild: tuple[str, ...]) -> None:
    """Run the whole loop once: documents to a judged model.

    What is finished is reused, what a crash interrupted is continued, and a model reply is never
    asked for twice. A stage whose code changed runs again; one that asks a teacher, trains or runs
    a model only says so. Writes report.html and report.json into the run's folder.
    """
    report = options.rebuilding(rebuild).launch("run")
    assert report is not None
    from pipeline.report.evaluation_text import evaluation_table
    from pipeline.report.text import verdict

    texts = filter(None, (evaluation_table(report), verdict(report)))
    options.show(report, *(f"\n{text}" for text in texts))


@main.command()
@click.option("--dry-run", is_flag=True, help="Only show what cleaning would drop, by rule.")
@click.option("--profile", help="Quality profile of the dry run, or all to compare them.")
@command
def curate(options: Options, dry_run: bool, profile: str | None) -> None:
    """Read, clean and deduplicate the documents; cut chunks; assign splits."""
    if dry_run:
        from flows.views import dry_run as view
        from pipeline.documents.dry_run import names_of

        settings = options.settings()
        found = view.dry_run(settings, names_of(profile or "", settings.clean))
        options.show(found, *view.as_lines(found))
    elif profile:
        raise InputError(
            f"curate: --profile {profile} found without --dry-run; expected both; to curate with "
            f"this profile: --set clean.profile={profile}"
        )
    else:
        options.show(options.launch("curate"))


@main.command(epilog=TEACHER_HELP)
@click.option("--dry-run", is_flag=True, help="Only say what the pairs will take, by a pilot.")
@_rebuild
@command
def synthesize(options: Options, dry_run: bool, rebuild: tuple[str, ...]) -> None:
    """Curate, let the teacher write pairs, and screen them.

    With --dry-run the documents are curated and the first generate.pilot_chunks chunks are asked,
    whose replies are kept; then requests, tokens, money (prices in [budget]) and time are foreseen.
    """
    options.show(options.rebuilding(rebuild).launch("synthesize", dry_run=dry_run))


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@command
def init(options: Options, folder: Path) -> None:
    """Make a new project: tuneloop.toml with comments, folders, a seed-task file to fill."""
    from flows.engine.project import create_project

    files = create_project(folder)
    lines = [f"made  {path}" for path in files]
    lines.append(f"next  put documents into {files[-1]}, then: cd {folder} && tuneloop run")
    options.show({"files": [str(path) for path in files]}, *lines)


@main.command()
@click.option("--model", default="champion", show_default=True, type=WHO, help="Who answers.")
@click.option("--adapter", help="Who answers instead: a fingerprint, or a folder with an adapter.")
@command
def chat(options: Options, model: str, adapter: str | None) -> None:
    """Talk to the champion; an empty line or Ctrl-D ends. Reads lines, so a pipe works too.

    `/adapter B` lets another adapter answer on the same base in memory, `/base` the base alone;
    `/adapters` lists them, `/help` explains.
    """
    settings = options.prepared()
    from flows.models.chat import talk

    talk(settings, adapter or model, sys.stdin, as_json=options.json)


COMMANDS = (
    review, serve, monitor, retrain, compare, ablate, plan, tune, show, trace, fsck, forget, gc,
    promote, rollback, models, card, sweep, export, up, status,
)  # fmt: skip

for each in COMMANDS:
    main.add_command(each)

if __name__ == "__main__":
    main()
