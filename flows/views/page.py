"""The front page of `tuneloop up`: what one would collect from five places, read anew each time.

::

    python -m flows.views.page SETTINGS.toml   serve it on 127.0.0.1, for whoever has the login

It asks for the login of the home's Prefect, changes nothing, and has no script.
"""

import base64
import functools
import secrets
import shutil
import sys
from pathlib import Path
from typing import Any

import click
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from annotation.queues import open_queue
from flows.engine.settings_file import load_settings
from flows.models.listing import entries
from flows.services.prefect import read_secret
from flows.services.prefect_process import NAMES
from flows.views.reviews import about_reviews, lines_of
from flows.views.status import status
from pipeline.core.errors import TuneloopError
from pipeline.core.home import Home
from pipeline.core.journal import now, parse
from pipeline.documents.forgotten import forgotten
from pipeline.drift.ledger import Ledger
from pipeline.drift.policy import Decision
from pipeline.pairs.forecast import cost_of
from pipeline.report.charts import templates
from pipeline.report.drift_charts import history
from pipeline.report.drift_words import reasons_line
from pipeline.settings import Settings

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
SHOWN_RUNS = 12


def facts(settings: Settings) -> dict[str, Any]:
    """Collect what the page shows, by the names that its template has."""
    path = settings.paths.home
    found = status(settings)
    models = entries(Home.at(path)) if (path / "store").is_dir() else []
    decisions = Ledger(path, lambda line: None).rows(Decision)
    runs = [_run(folder) for folder in sorted((path / "runs").glob("*"), reverse=True)]
    keys = {"read": "prompt_tokens", "written": "completion_tokens", "calls": "calls"}
    spent = {name: sum(run["teacher"].get(key) or 0 for run in runs) for name, key in keys.items()}
    cost = cost_of(spent["read"], spent["written"], settings.budget)
    people: list[str] = []
    if found["reviews"] and "error" not in found["reviews"]:
        people = lines_of(about_reviews(open_queue(settings), settings))
    shown = found | {
        "now": now(),
        "champion": next((item for item in models if "champion" in item.marks), None),
        "reason": found["champion"]["reason"] if found["champion"] else "",
        "runs": runs[:SHOWN_RUNS],
        "decisions": decisions,
        "decision": decisions[-1] if decisions else None,
        "decided": [reasons_line([one]) for row in decisions[-1:] for one in row.reasons],
        "people": [click.unstyle(line) for line in people],
        "spent": spent | {"runs": len(runs), "cost": cost},
        "limits": settings.budget.model_dump(include={"tokens", "cost", "minutes"}),
        "free": shutil.disk_usage(path).free,
    }
    return shown | {"todo": _todo(settings, shown, found)}


def _todo(settings: Settings, shown: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return what a person has to look at, a line each."""
    lines = []
    latest = next((run for run in shown["runs"] if run["ended"]), None)
    if latest and latest["error"]:
        lines.append(f"The last run ({latest['flow']}) failed: {latest['error']}")
    if found["champion"] and shown["champion"] is None:
        lines.append(
            "The champion is not in the store any more: `tuneloop models` says what to do."
        )
    elif shown["champion"]:
        lines += [f"The champion {mark}." for mark in shown["champion"].marks if " " in mark]
    if shown["free"] < settings.store.min_free_megabytes * 2**20:
        lines.append("The disk is nearly full: no run starts (store.min_free_megabytes).")
    reviews = shown["reviews"] or {}
    if reviews.get("error"):
        lines.append("The reviews cannot be read.")
    if reviews.get("bounced"):
        lines.append(f"{reviews['bounced']} decisions are to be mended: `tuneloop review pull`.")
    if shown["decision"] and shown["decision"].action in ("broken", "review"):
        lines.append(f"The last drift check says {shown['decision'].action}.")
    for item in shown["schedules"] or ():
        if item["state"] in ("Failed", "Crashed", "TimedOut"):
            lines.append(f"The last {item['name']} ended as {item['state']}.")
        if item["next"] is None and getattr(settings.schedule, item["name"], None):
            lines.append(f"The schedule of {item['name']} is stopped.")
    left = [row.sources[0] for row in forgotten(settings.paths.home) if not row.done]
    again = "was not ended: run `tuneloop forget` with it again."
    lines += [f"Forgetting {source} {again}" for source in left]
    if shown["schedules"] is None:
        lines.append("Prefect does not answer: nothing runs by itself.")
    return lines


def _run(folder: Path) -> dict[str, Any]:
    record = folder / "run.json"
    told = parse(record.read_text("utf-8", "replace")) if record.exists() else None
    ended = told or {}
    report = folder / "report.json"
    said = _said(report, report.stat().st_mtime_ns) if report.exists() else {}
    return {
        "name": folder.name,
        "flow": ended.get("flow") or folder.name.partition("-")[2].rpartition("-")[0],
        "started_at": folder.name[:16],
        "ended": told is not None,
        "error": ended.get("error") or "",
        "said": said.get("said", "" if told else "at work, or killed"),
        "teacher": said.get("teacher") or {},
        "report": (folder / "report.html").exists(),
    }


@functools.lru_cache(maxsize=512)
def _said(path: Path, _: int) -> dict[str, Any]:
    """Return of a report what the page shows; asked again when the file is another."""
    report = parse(path.read_text("utf-8", "replace")) or {}
    gate = report.get("gate") or {}
    return {"said": gate.get("summary") or "", "teacher": report.get("teacher")}


def application(settings: Settings, secret: str) -> Starlette:
    """Return the application: the page, and the reports that it links to."""
    runs = settings.paths.home / "runs"
    login = "Basic " + base64.b64encode(secret.encode()).decode()

    def front(request: Request) -> Response:
        try:
            page = templates().get_template("front.html")
            return HTMLResponse(page.render(history=history, **facts(settings)))
        except TuneloopError as error:
            return PlainTextResponse(f"{error}\n", 500)

    def report(request: Request) -> Response:
        path = runs / request.path_params["run"] / "report.html"
        if path.parent.parent == runs and path.parent.name != ".." and path.is_file():
            return FileResponse(path)
        return PlainTextResponse("no such report\n", 404)

    async def guarded(request: Request, go_on: RequestResponseEndpoint) -> Response:
        told = request.headers.get("authorization", "")
        if request.url.path == "/health":
            answer: Response = PlainTextResponse("well\n")
        elif secrets.compare_digest(told.encode(), login.encode()):
            answer = await go_on(request)
        else:
            ask = {"WWW-Authenticate": 'Basic realm="tuneloop"'}
            answer = PlainTextResponse("the login is the line in prefect/login\n", 401, ask)
        answer.headers.update(HEADERS)
        return answer

    routes = [Route("/", front), Route("/runs/{run}/report.html", report)]
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=list(NAMES))
    guard = Middleware(BaseHTTPMiddleware, dispatch=guarded)
    return Starlette(routes=routes, middleware=[hosts, guard])


if __name__ == "__main__":
    chosen = load_settings(Path(sys.argv[1]))
    app = application(chosen, read_secret(chosen.paths.home))
    uvicorn.run(app, host="127.0.0.1", port=chosen.schedule.page_port, log_level="error")
