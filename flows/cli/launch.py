"""Start a flow from the command line: environment, checks, Prefect server, flow."""

import importlib
from typing import TYPE_CHECKING, Any

from flows.engine import environment
from flows.engine.home import MONITOR_LOCK, RUN_LOCK, at_work, check_home
from flows.engine.tracking import require_mlflow
from flows.services.prefect import prefect_server
from pipeline.core.errors import StoreError
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.report.contents import Report

FLOWS = {
    "run": "flows.run.run_loop",
    "curate": "flows.curate.curate",
    "synthesize": "flows.synthesize.synthesize",
    "monitor": "flows.monitor.monitor",
    "retrain": "flows.retrain.retrain",
    "sweep": "flows.sweep.sweep",
    "compare": "flows.compare.compare",
    "ablate": "flows.ablate.ablate",
    "tune": "flows.tune.tune",
}
"""Flows that a command starts, by its name."""


def launch(name: str, settings: Settings, **arguments: Any) -> "Report | None":
    """Run a flow by the name of its command and return its report.

    The home folder is checked before a server is started, so that a full disk or a second run
    is said at once. A server that ``tuneloop up`` runs for this home is used, so that its pages
    show this run too.
    """
    home = settings.paths.home
    lock = MONITOR_LOCK if name == "monitor" else RUN_LOCK
    require_mlflow(settings.tracking)  # said now, rather than after the training
    check_home(home, settings.store.min_free_megabytes, lock)
    environment.prepare(home, settings.model.allow_download)
    with prefect_server(home) as wait_until_ready:
        module, _, function = FLOWS[name].rpartition(".")
        flow = getattr(importlib.import_module(module), function)
        from prefect import tags
        from prefect.exceptions import PrefectHTTPStatusError

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
