"""The command line: parses, loads settings, calls a flow, prints.

Exit 0: done; 1: a gate said no; 2: the user must act (one line, no traceback); 3: a bug.
Heavy imports happen inside the commands, so that ``--help`` is instant.
"""

import errno
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.errors import GateFailed, TuneloopError

if TYPE_CHECKING:
    from pipeline.report.contents import Report

    from pipeline.settings import Settings

DEFAULT_CONFIG = Path("tuneloop.toml")


@dataclass(frozen=True, slots=True)
class Options:
    """What every command takes."""

    config: Path | None
    overrides: tuple[str, ...]
    json: bool
    debug: bool

    def settings(self) -> "Settings":
        """Load the settings; tuneloop.toml of the working directory when none is named."""
        from pipeline.settings import load_settings

        config = self.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
        return load_settings(config, self.overrides)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options, and errors that a person can act on."""

    @click.option(
        "--config", type=click.Path(path_type=Path), help="Settings file [tuneloop.toml]."
    )
    @click.option(
        "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Change a setting."
    )
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
    @click.option("--debug", is_flag=True, help="Show tracebacks.")
    @wraps(function)
    def wrapper(
        *args: Any,
        config: Path | None,
        overrides: tuple[str, ...],
        as_json: bool,
        debug: bool,
        **kwargs: Any,
    ) -> None:
        with _exit_codes(debug):
            function(Options(config, overrides, as_json, debug), *args, **kwargs)

    return wrapper


@contextmanager
def _exit_codes(debug: bool) -> Iterator[None]:
    try:
        yield
    except TuneloopError as error:
        if debug:
            traceback.print_exc()
        click.echo(f"tuneloop: {error}", err=True)
        sys.exit(1 if isinstance(error, GateFailed) else 2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            _bug()
        if debug:
            traceback.print_exc()
        click.echo(
            f"tuneloop: disk: {error.strerror} ({error.filename or 'home folder'}); expected room "
            "to write; free some space and run again: what is finished is kept",
            err=True,
        )
        sys.exit(2)
    except (click.ClickException, click.exceptions.Exit, KeyboardInterrupt):
        raise
    except Exception:  # the border of the program: whatever is left is a bug, and said so
        _bug()


def _bug() -> None:
    traceback.print_exc()
    click.echo("tuneloop: this is a bug; please report it with the lines above", err=True)
    sys.exit(3)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tuneloop")
def main() -> None:
    """From a folder of raw documents to a fine-tuned model that stays good.

    Start with `tuneloop init my-project`, or with `tuneloop run` inside the checkout, which
    takes data/samples to a judged model. Every setting can be changed for one command with
    --set section.key=value.
    """


@main.command()
@command
def run(options: Options) -> None:
    """Run the whole loop once: documents to a judged model.

    What is finished is reused, what a crash interrupted is continued, and a model reply is never
    asked for twice. Writes report.html and report.json into the run's folder.
    """
    from flows.launch import launch

    report = launch("run", options.settings())
    if options.json:
        _print_json(report)
    else:
        _print_summary(report)


@main.command()
@command
def curate(options: Options) -> None:
    """Read, clean and deduplicate the documents; cut chunks; assign splits."""
    _part("curate", options)


@main.command()
@command
def synthesize(options: Options) -> None:
    """Curate, let the teacher write pairs, and screen them."""
    _part("synthesize", options)


def _part(flow: str, options: Options) -> None:
    from flows.launch import launch

    report = launch(flow, options.settings())
    if options.json:
        _print_json(report)


def _print_json(report: "Report") -> None:
    click.echo(json.dumps(report.model_dump(mode="json"), ensure_ascii=False))


def _print_summary(report: "Report") -> None:
    from pipeline.report.text import evaluation_table, verdict

    click.echo()
    click.echo(evaluation_table(report))
    click.echo()
    click.echo(verdict(report))


if __name__ == "__main__":
    main()
