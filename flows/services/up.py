"""`tuneloop up`: the servers and the deployments, started, looked after and stopped together.

::

    <home>/services/
        lock             held by the one `up` of this home
        up.json          where its servers are
        settings.toml    the settings of the serving process
        deployments.beat written each time the serving process asked what is due
        *.log            output of the services
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
import httpx

from annotation.label_studio_connection import login_path
from flows.engine import environment
from flows.engine.console import console
from flows.engine.home import check_space
from flows.engine.settings_file import dump_settings
from flows.services import running
from flows.services.prefect import CLIENT_SECRET, prefect_service, read_secret, secret_path
from flows.services.running import Up
from flows.services.service import Service, Supervisor, check_port
from pipeline.core.cache import write_atomically
from pipeline.core.journal import now
from pipeline.core.record import as_json as facts_of
from pipeline.settings import Settings

CHECK_SECONDS = 3.0
BEAT_SECONDS = 90.0  # age of the last beat of a serving process that is not well; usual are 10 s
SERVING_STOP_SECONDS = 40.0  # Prefect gives flow runs 30 s to end when it stops them
_say = partial(console.print, markup=False, soft_wrap=True)


def up(settings: Settings, as_json: bool) -> None:
    """Start everything and keep it running until Ctrl-C or SIGTERM.

    When an `up` of this home runs already, says where its servers are and returns. A StoreError
    where a port is taken, the home folder cannot be used, or a service keeps dying.
    """
    home = settings.paths.home
    with running.sole(home) as alone:
        if not alone:
            return _tell(running.running_up(home), home, [], as_json)
        check_space(home, settings.store.min_free_megabytes)
        # The pages of the runs show their lines; on the command line our own stand for them.
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO")
        environment.prepare(home, settings.model.allow_download)
        supervisor = Supervisor(_say)
        _on_signals(signal.default_int_handler)
        try:
            _start(settings, supervisor, as_json)
            while True:
                time.sleep(CHECK_SECONDS)
                supervisor.check()
        except KeyboardInterrupt:
            _say("stopping; a run that is at work has 30 s to end")
        finally:
            _on_signals(signal.SIG_IGN)
            supervisor.stop()
            _on_signals(signal.default_int_handler)
        _say("stopped; schedules and what is stored go on with the next `tuneloop up`")


def _on_signals(handler: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


def _start(settings: Settings, supervisor: Supervisor, as_json: bool) -> None:
    """Start the servers, then what needs them, and say what will run when."""
    home, services = settings.paths.home, [prefect_service(settings)]
    if settings.label_studio.managed and not settings.label_studio.url:  # neither off nor elsewhere
        from flows.services.label_studio import label_studio_service

        services.append(label_studio_service(settings))
    for service in (*services, page_service(settings)):
        check_port(service)  # all of them before any of them is started
    here = Up(
        process=os.getpid(),
        since=now(),
        ready=False,
        prefect=services[0].url,
        label_studio=services[1].url if len(services) > 1 else "",
        page=page_service(settings).url,
    )
    running.record(home, here)
    with console.status("starting the servers; the first time takes a minute"):
        for service in services:
            supervisor.start(service)
        supervisor.wait()
    with console.status("starting the deployments"):
        supervisor.start(serving_service(settings, here.prefect))
        supervisor.start(page_service(settings))
        supervisor.wait()
    here = replace(here, ready=True)
    running.record(home, here)
    planned: list[dict[str, Any]] = []
    api, secret = f"{here.prefect}/api", read_secret(home)
    try:
        running.plan(api, secret)
        planned = running.schedules(api, secret)
    except httpx.HTTPError as error:  # the server is too busy to say
        _say(f"prefect: no plan yet ({error}); `tuneloop status` shows it later")
    _tell(here, home, planned, as_json)
    if not as_json:
        click.echo("\nCtrl-C stops everything.")


def _beats(beat: Path) -> bool:
    try:
        return time.time() - beat.stat().st_mtime < BEAT_SECONDS
    except OSError:
        return False


def serving_service(settings: Settings, prefect: str) -> Service:
    """Return the process that applies the deployments and runs what is due."""
    folder, secret = settings.paths.home / "services", read_secret(settings.paths.home)
    beat = folder / running.BEAT
    beat.unlink(missing_ok=True)
    path = folder / "settings.toml"
    write_atomically(path, dump_settings(settings).encode())
    return Service(
        name="deployments",
        command=(sys.executable, "-m", "flows.services.deploy", str(path)),
        healthy=partial(_beats, beat),
        log=folder / "deployments.log",
        environment={"PREFECT_API_URL": f"{prefect}/api", CLIENT_SECRET: secret},
        stop_seconds=SERVING_STOP_SECONDS,
    )


def page_service(settings: Settings) -> Service:
    """Return the front page; it reads the settings that the deployments have."""
    folder, port = settings.paths.home / "services", settings.schedule.page_port
    url = f"http://127.0.0.1:{port}"
    return Service(
        name="front page",
        command=(sys.executable, "-m", "flows.views.page", str(folder / "settings.toml")),
        healthy=partial(running.answers, url),
        log=folder / "page.log",
        url=url,
        port=port,
        port_setting="schedule.page_port",
    )


def _tell(there: Up | None, home: Path, planned: Any, as_json: bool) -> None:
    """Say where the servers of a home are, None while they stop, and what runs when."""
    found = facts_of(there) if there else {}
    if as_json:
        logins = {"prefect_login": str(secret_path(home)), "login": None}
        if found.get("label_studio"):
            logins["login"] = str(login_path(home))
        following = {item["name"]: item["next"] for item in facts_of(planned)}
        facts = {"running": True, "process": None} | found | logins | {"next": following}
        click.echo(json.dumps(facts))
    elif there is None:
        click.echo("tuneloop up is starting or stopping in another process; try again in a moment")
    else:
        lines = [*server_lines(found, home), f"logs          {home / 'services'}"]
        lines += ["", *schedule_lines(facts_of(planned))] if planned else []
        click.echo("\n".join(lines))


def server_lines(servers: Mapping[str, Any], home: Path) -> list[str]:
    """Return where the servers of an :class:`Up` are, as JSON has it, and where their logins."""
    state = "running" if servers["ready"] else "starting"
    lines = [f"{state} since {local(servers['since'])}, process {servers['process']}"]
    lines.append(f"Front page    {servers['page']}")
    lines.append(f"Prefect       {servers['prefect']}  login: {secret_path(home)}")
    if servers["label_studio"]:
        lines.append(f"Label Studio  {servers['label_studio']}  login: {login_path(home)}")
    return lines


def schedule_lines(schedules: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table of deployments: of :func:`running.schedules`, as JSON has it."""
    lines = [f"{'':<12}{'next run':<22}last run"]
    for item in schedules:
        last = f"{local(item['last'])}  {item['state']}" if item["last"] else item["state"]
        none = "on a drift event" if item["name"] == "retrain" else "-"
        lines.append(f"{item['name']:<12}{local(item['next']) or none:<22}{last or 'none yet'}")
    return lines


def local(time: str | None) -> str:
    """Return a UTC time in the local time zone, which it names; empty for None."""
    return f"{datetime.fromisoformat(time).astimezone():%a %d %b %H:%M %Z}" if time else ""
