"""Start a flow from the command line: environment, checks, Prefect server, flow."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flows import environment
from flows.home import check_home
from flows.services.prefect import prefect_server
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.report.contents import Report


def launch(name: str, settings: Settings) -> "Report":
    """Run a flow by name (``run``, ``curate``, ``synthesize``, ``train``) and return its report.

    The home folder is checked before a server is started, so that a full disk or a second run
    is said at once.
    """
    home = settings.paths.home
    check_home(home, settings.store.min_free_megabytes)
    environment.prepare(home, settings.model.allow_download)
    with prefect_server(home) as wait_until_ready:
        flow = _flow(name)
        wait_until_ready()
        return flow(settings)


def _flow(name: str) -> "Callable[[Settings], Report]":
    if name == "curate":
        from flows.curate import curate

        return curate
    if name == "synthesize":
        from flows.synthesize import synthesize

        return synthesize
    from flows.run import run_loop

    return run_loop
