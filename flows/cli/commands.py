"""What all commands share: the common options, and errors that a person can act on."""

import errno
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.core.errors import GateFailed, TuneloopError
from pipeline.train.peak_memory import is_out_of_memory, no_memory

if TYPE_CHECKING:
    from pipeline.core.home import Home
    from pipeline.report.contents import Report
    from pipeline.settings import Settings

DEFAULT_CONFIG = Path("tuneloop.toml")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a terminal obeys instead of showing it: an error may quote a damaged file."""
BUG = "this is a bug; please report it with the lines above"
ADVICE = {
    errno.ENOSPC: "expected room to write in the home folder; free some space and run again: what "
    "is finished is kept",
    errno.EROFS: "expected a disk that can be written; mount it so, or take another home with "
    "--set paths.home=DIR",
    errno.EACCES: "expected to be allowed to; mend the permissions and run again",
}
ADVICE |= {errno.EDQUOT: ADVICE[errno.ENOSPC], errno.EPERM: ADVICE[errno.EACCES]}


@dataclass(frozen=True, slots=True)
class Options:
    """What every command takes."""

    config: Path | None
    overrides: tuple[str, ...]
    json: bool
    debug: bool

    def rebuilding(self, stages: tuple[str, ...]) -> "Options":
        """Return the options with stages that are made again where their code changed."""
        return self.overriding([f"store.rebuild={json.dumps(stages)}"] if stages else [])

    def overriding(self, overrides: list[str]) -> "Options":
        """Return the options with more settings, as ``--set`` takes them."""
        return replace(self, overrides=(*self.overrides, *overrides))

    def settings(self, private: bool = True) -> "Settings":
        """Load the settings; ``private``: what the command writes is for nobody else to read."""
        from flows.engine.home import keep_private
        from flows.engine.mirror import pull
        from flows.engine.settings_file import load_settings

        config = self.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
        settings = load_settings(config, self.overrides)
        if private:
            keep_private(settings.paths.home)
        pull(settings.paths.home)
        return settings

    def prepared(self, private: bool = True) -> "Settings":
        """Load the settings, with the process made silent before Prefect or torch is imported."""
        from flows.engine import environment

        settings = self.settings(private)
        environment.prepare(settings.paths.home, settings.model.allow_download)
        return settings

    def home(self) -> "Home":
        """Return the home folder."""
        from pipeline.core.home import Home

        return Home.at(self.settings().paths.home)

    def launch(self, flow: str, **arguments: Any) -> "Report | None":
        """Run the flow of a command and return its report."""
        from flows.cli.launch import launch

        return launch(flow, self.settings(), **arguments)

    def show(self, data: Any, *lines: str) -> None:
        """Print data, such as a report, as one JSON object; or lines for a person to read."""
        if self.json and data is not None:
            from pipeline.core.record import as_json

            click.echo(json.dumps(as_json(data), ensure_ascii=False))
        elif not self.json:
            for line in lines:
                click.echo(line)


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
    def wrapper(*args: Any, **kwargs: Any) -> None:
        given = [kwargs.pop(name) for name in ("config", "overrides", "as_json", "debug")]
        options = Options(*given)
        with _exit_codes(options.debug):
            function(options, *args, **kwargs)
            from flows.engine.mirror import push_decisions

            push_decisions()

    return wrapper


@contextmanager
def _exit_codes(debug: bool) -> Iterator[None]:
    try:
        yield
    except TuneloopError as error:
        if debug:
            traceback.print_exc()
        click.echo(f"tuneloop: {CONTROL.sub('�', str(error))}", err=True)
        sys.exit(1 if isinstance(error, GateFailed) else 2)
    except (click.ClickException, click.exceptions.Exit):
        raise
    except KeyboardInterrupt:
        click.echo("tuneloop: stopped; the next run goes on where this one was", err=True)
        sys.exit(130)
    except Exception as error:  # the border of the program: whatever is left is a bug, and said so
        advice = _advice(error)
        if debug or advice is None:
            traceback.print_exc()
        click.echo(f"tuneloop: {advice or BUG}", err=True)
        sys.exit(3 if advice is None else 2)


def _advice(error: BaseException | None) -> str | None:
    """Return what a person can do about an error, or about one that it came from.

    Libraries written in Rust raise errors of their own with the system's words in them.
    """
    while error is not None:
        if isinstance(error, BrokenPipeError):
            # Python flushes once more at its end: into nothing, so that it does not complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return "output: who read it stopped; expected a reader of all of it; nothing is lost"
        if is_out_of_memory(error):
            return (
                f"{no_memory(error)}; lower generate.batch_size (the teacher), "
                "train.micro_batch_tokens (training) or evaluate.batch_size (answers), or take a "
                "smaller model.base_model, and run again: what is finished is kept"
            )
        for number, advice in ADVICE.items():
            if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
                name = getattr(error, "filename", None)
                return f"{name or 'disk'}: {os.strerror(number)}; {advice}"
        if type(error).__module__.startswith("safetensors"):
            return (
                f"weights: {error}; expected whole safetensors files; `tuneloop fsck` names the "
                "damaged one: delete its folder and run again"
            )
        error = error.__cause__ or error.__context__
    return None
