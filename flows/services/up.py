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
from flows.services.running import Scheduled, Up
from flows.services.service import Service, Supervisor, check_port
from pipeline.core.cache import write_atomically
from pipeline.core.journal import now
from pipeline.settings import Settings

CHECK_SECONDS = 3.0
BEAT_SECONDS = 90.0  # age of the last beat of a serving process that is not well; usual are 10 s
TITLES = {"page": "Front page", "prefect": "Prefect", "label_studio": "Label Studio"}
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
            _say_where(running.running_up(home), as_json)
            return
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
    planned: list[Scheduled] = []
    api, secret = f"{here.prefect}/api", read_secret(home)
    try:
        running.plan(api, secret)
        planned = running.schedules(api, secret)
    except httpx.HTTPError as error:  # the server is too busy to say
        _say(f"prefect: no plan yet ({error}); `tuneloop status` shows it later")
    if not as_json:
        return _say_all(here, home, planned)
    facts = {
        "running": True,
        "process": here.process,
        **_addresses(here),
        "prefect_login": str(secret_path(home)),
        "login": str(login_path(home)) if here.label_studio else None,
        "next": {item.name: item.next and item.next.isoformat() for item in planned},
    }
    click.echo(json.dumps(facts))


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


def _say_where(there: Up | None, as_json: bool) -> None:
    """Say that another process has this home, and where its servers are."""
    if as_json:
        facts = {"running": True, "process": there.process if there else None}
        click.echo(json.dumps(facts | (_addresses(there) if there else {})))
    elif there is None:
        click.echo("tuneloop up is starting or stopping in another process; try again in a moment")
    else:
        state = "runs already" if there.ready else "is starting"
        click.echo(f"tuneloop up {state}: process {there.process}, since {there.since}")
        for name, address in _addresses(there).items():
            if address:
                click.echo(f"  {TITLES[name]:<14} {address}")


def _addresses(there: Up) -> dict[str, str]:
    return {name: getattr(there, name) for name in TITLES}


def _say_all(here: Up, home: Path, planned: list[Scheduled]) -> None:
    studio = f"\nLabel Studio   {here.label_studio}\n{'':<15}its login is in {login_path(home)}"
    studio = studio if here.label_studio else ""
    runs = "".join(f"\n  {item.name:<12} {local(item)}" for item in planned)
    click.echo(f"""
Front page     {here.page}
Prefect        {here.prefect}/deployments
               the login of both is the line in {secret_path(home)}{studio}
logs           {home / "services"}

next runs, {datetime.now().astimezone():%Z (UTC%z)}{runs}

Ctrl-C stops everything.""")


def local(item: Scheduled) -> str:
    """Say when a deployment runs next, in local time."""
    if item.next is None:
        return "on a drift event, or by hand" if item.name == "retrain" else "nothing planned"
    return f"{item.next.astimezone():%a %d %b %H:%M}"
