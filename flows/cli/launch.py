"""Start a flow from the command line: environment, checks, Prefect server, flow."""

import gc
from importlib import import_module
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from flows.engine import environment
from flows.engine.home import MONITOR_LOCK, RUN_LOCK, at_work, check_space, locked
from flows.engine.tracking import require_mlflow
from flows.services.prefect import prefect_server
from pipeline.core.errors import StoreError
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.report.contents import Report

NAMES = ("curate", "synthesize", "monitor", "retrain", "sweep", "compare", "ablate", "tune")
FLOWS = {"run": "flows.run:run_loop"} | {name: f"flows.{name}:{name}" for name in NAMES}
"""Flows that a command starts, by its name."""


def launch(name: str, settings: Settings, **arguments: Any) -> "Report | None":
    """Run a flow by the name of its command and return its report.

    The home folder is checked before a server is started: a full disk or a second run is said at
    once. A server that ``tuneloop up`` runs for this home is used: its pages show this run too.
    """
    home = settings.paths.home
    require_mlflow(settings.tracking)  # said now, rather than after the training
    with locked(home, MONITOR_LOCK if name == "monitor" else RUN_LOCK):
        check_space(home, settings.store.min_free_megabytes)
    environment.prepare(home, settings.model.allow_download)
    with prefect_server(home) as wait_until_ready:
        gc.disable()  # what is imported is no garbage: to look through it is a tenth of the time
        flow = resolve_name(FLOWS[name])
        from prefect import tags
        from prefect.exceptions import PrefectHTTPStatusError

        # Prefect imports it in its first run; here the server is still starting.
        import_module("fastapi.encoders")
        gc.enable()
        wait_until_ready()
        try:
            with at_work(home) as command, tags(command):
                report: Report | None = flow(settings, **arguments)
                return report
        except PrefectHTTPStatusError as error:
            if error.response.status_code != 401:
                raise
            raise StoreError(
                "prefect: the server that PREFECT_API_URL names answers 401 Unauthorized; expected "
                "its login in PREFECT_API_AUTH_STRING (for one of `tuneloop up`: the line in "
                "<home>/prefect/login); set it and run again"
            ) from error
