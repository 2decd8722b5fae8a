"""Deployments on a real server: applied twice, paused by hand, served, killed, started by event."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client

from flows.engine.context import MODEL_SLOTS
from flows.engine.settings_file import dump_settings, load_settings
from flows.services.automations import RETRAIN_ON_DRIFT, drift_resource, emit_drift
from flows.services.deploy import REGISTRY, apply
from pipeline.settings import Settings
from tests.flows.standin import ENTRIES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def client(prefect: None) -> Iterator[SyncPrefectClient]:
    """A client of a server without deployments, automations and runs; it is left that way."""
    with get_client(sync_client=True) as client:
        clear(client)  # of the runs of other tests on this session's server
        yield client
        clear(client)


def clear(client: SyncPrefectClient) -> None:
    for deployment in client.read_deployments():
        client.delete_deployment(deployment.id)
    for automation in client.read_automations():
        client.delete_automation(automation.id)
    while runs := client.read_flow_runs():  # a page of them
        for run in runs:
            client.delete_flow_run(run.id)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "home").mkdir()
    return Settings.model_validate({"paths": {"home": tmp_path / "home"}, "split": {"test": 0.3}})


def eventually(ready: Callable[[], Any]) -> Any:
    """Return the first true answer; a machine that is far too slow fails."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if answer := ready():
            return answer
        time.sleep(0.2)
    raise AssertionError(f"still {answer!r} after five minutes")


@contextmanager
def serving(settings: Settings) -> Iterator[subprocess.Popen]:
    """Run a process that serves the stand-ins, from its first poll on."""
    home = settings.paths.home
    (home / "settings.toml").write_text(dump_settings(settings))
    beat = home / "services" / "deployments.beat"
    beat.unlink(missing_ok=True)
    with (home / "serving.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.flows.standin", str(home / "settings.toml")],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            env=os.environ | {"PREFECT_LOGGING_LEVEL": "INFO"},
        )
    try:
        eventually(lambda: beat.exists() or process.poll() is not None)
        assert process.poll() is None, (home / "serving.log").read_text()
        yield process
    finally:
        if process.poll() is None:
            children = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            for child in children:
                child.kill()
        process.wait()


def started(settings: Settings) -> list[dict[str, str]]:
    """What the runs of the stand-in wrote down."""
    path = settings.paths.home / "started.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def state(client: SyncPrefectClient) -> tuple[object, ...]:
    """All that applying makes, without ids and times."""
    return (
        sorted(
            (
                item.name,
                item.entrypoint,
                item.paused,
                item.tags,
                item.parameters,
                [
                    (plan.schedule.cron, plan.schedule.timezone, plan.active)
                    for plan in item.schedules
                ],
                item.global_concurrency_limit and item.global_concurrency_limit.limit,
                item.concurrency_options and item.concurrency_options.collision_strategy.value,
            )
            for item in client.read_deployments()
        ),
        [
            (item.name, item.enabled, item.actions[0].deployment_id)
            for item in client.read_automations()
        ],
        sorted((item.name, item.limit) for item in client.read_global_concurrency_limits()),
    )


def test_applying_twice_doubles_nothing(client, settings):
    first = apply(settings, ENTRIES)
    once = state(client)
    second = apply(settings, ENTRIES)
    assert state(client) == once
    assert [item.id for item in first] == [item.id for item in second]
    deployments, automations, limits = once
    own = {"settings": {"paths": {"home": str(settings.paths.home)}, "split": {"test": 0.3}}}
    assert deployments == [
        (
            "tuneloop",
            "tests.flows.standin.curate",
            False,
            ["tuneloop", "cpu"],
            own,
            [("15 1 * * *", "UTC", True)],
            1,
            "CANCEL_NEW",
        ),
        (
            "tuneloop",
            "tests.flows.standin.retrain",
            False,
            ["tuneloop", "cpu"],
            own,
            [],
            1,
            "CANCEL_NEW",
        ),
    ]
    assert automations == [(RETRAIN_ON_DRIFT, True, first[1].id)]
    assert (MODEL_SLOTS, 1) in limits


def test_what_a_person_paused_stays_paused_and_changed_settings_are_applied(client, settings):
    curate, retrain = (item.id for item in apply(settings, ENTRIES))
    plan = client.read_deployment(curate).schedules[0]
    client.update_deployment_schedule(curate, plan.id, active=False)
    client.pause_deployment(retrain)
    client.pause_automation(client.read_automations()[0].id)
    schedule = settings.schedule.model_copy(
        update={"curate": "0 4 * * *", "timezone": "Europe/Berlin", "model_slots": 2}
    )
    apply(settings.model_copy(update={"schedule": schedule}), ENTRIES)
    (first, second), automations, limits = state(client)
    assert first[5] == [("0 4 * * *", "Europe/Berlin", False)]
    assert second[2] is True
    assert [enabled for _, enabled, _ in automations] == [False]
    assert (MODEL_SLOTS, 2) in limits
    never = settings.schedule.model_copy(update={"curate": ""})
    apply(settings.model_copy(update={"schedule": never}), ENTRIES)
    assert client.read_deployment(curate).schedules == []


def test_a_drift_event_starts_one_run_with_its_evidence(client, settings):
    """The same evidence again is the same event; another home's event is not ours."""
    with serving(settings):
        home = settings.paths.home
        emit_drift(home, "evidence-1", "words moved")
        eventually(lambda: started(settings))
        emit_drift(home, "evidence-1", "words moved")
        emit_drift(home.parent / "other", "evidence-x", "not ours")
        [run] = eventually(lambda: finished(client))
        emit_drift(home, "evidence-2", 'a "quoted" {{ reason }}')
        eventually(lambda: len(started(settings)) == 2)
    assert started(settings) == [
        {"reason": "words moved", "evidence_id": "evidence-1"},
        {"reason": 'a "quoted" {{ reason }}', "evidence_id": "evidence-2"},
    ]
    assert run.state.is_completed()
    assert run.created_by.display_value == RETRAIN_ON_DRIFT
    logs = [line.message for line in client.read_logs()]
    assert "stands in: words moved" in logs  # the pages show the lines of a served run


def test_a_run_that_is_stopped_or_killed_does_not_stay_running(client, settings):
    """Its slots come back, the schedules stay active, and of missed runs only the latest stays."""
    leap_days = settings.schedule.model_copy(update={"curate": "15 1 29 2 *"})
    settings = settings.model_copy(update={"schedule": leap_days})
    home = settings.paths.home
    (home / "stay").touch()
    with serving(settings) as process:
        emit_drift(home, "evidence-1", "stopped")
        eventually(lambda: started(settings))
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert not any(child.is_running() for child in children)
    [run] = finished(client)
    assert run.state.is_cancelled()
    with serving(settings) as process:
        emit_drift(home, "evidence-2", "killed")
        eventually(lambda: len(started(settings)) == 2)
    assert [run.state.name for run in client.read_flow_runs() if run.state.is_running()] == [
        "Running"
    ]
    curate = client.read_deployment_by_name("curate/tuneloop")
    assert all(plan.active for plan in curate.schedules)
    miss_runs(client, curate.id)
    (home / "stay").unlink()
    with serving(settings):
        emit_drift(home, "evidence-3", "goes on")
        eventually(lambda: len(started(settings)) == 3)
        eventually(lambda: sum(run.auto_scheduled for run in finished(client)) == 3)
    runs = finished(client)
    missed = [run for run in runs if run.auto_scheduled]
    assert [run.state.name for run in missed] == ["Skipped", "Skipped", "Completed"]
    others = [run.state.name for run in runs if run not in missed]
    assert others[:2] == ["Cancelled", "Crashed"]


LINGER = """
import sys
from pathlib import Path
from flows.cli import launch
from flows.engine.settings_file import load_settings
launch.FLOWS["linger"] = "tests.flows.standin.linger"
launch.launch("linger", load_settings(Path(sys.argv[1])))
"""


def test_a_run_whose_command_was_killed_crashes_and_others_go_on(client, settings):
    home = settings.paths.home
    (home / "settings.toml").write_text(dump_settings(settings))
    command = [sys.executable, "-c", LINGER, str(home / "settings.toml")]
    killed, alive = [subprocess.Popen(command, cwd=ROOT) for _ in "12"]
    try:
        eventually(lambda: len(list(home.glob("lingers-*"))) == 2)
        killed.kill()
        killed.wait()
        with serving(settings):
            eventually(lambda: finished(client))
        [crashed] = finished(client)
        assert (crashed.state.name, crashed.state.message) == (
            "Crashed",
            "The command of this run was killed.",
        )
        [_] = [run for run in client.read_flow_runs() if run.state.is_running()]
    finally:
        for process in (killed, alive):
            process.kill()
            process.wait()


def finished(client: SyncPrefectClient) -> list[Any]:
    """Runs that ended, by the time they were due."""
    runs = [run for run in client.read_flow_runs() if run.state.is_final()]
    return sorted(runs, key=lambda run: run.expected_start_time)


def miss_runs(client: SyncPrefectClient, deployment: object) -> None:
    """Let the server plan runs for three leap days that are over."""
    body = {"start_time": "2016-01-01T00:00:00Z", "end_time": "2024-12-31T00:00:00Z", "max_runs": 3}
    key = {"id": deployment}
    client.request("POST", "/deployments/{id}/schedule", path_params=key, json=body)


def test_deployments_for_workers_are_left_to_them(client, settings, tmp_path):
    """Made twice, on the way of a person who knows no more than the settings."""
    (tmp_path / "settings.toml").write_text(dump_settings(settings))
    settings = load_settings(tmp_path / "settings.toml")  # with absolute paths
    command = [sys.executable, "-m", "flows.services.deploy", "--workers"]
    for _ in "12":
        made = subprocess.run(
            [*command, str(tmp_path / "settings.toml")], capture_output=True, text=True, check=True
        )
    assert "prefect worker start --pool tuneloop-gpu" in made.stdout
    assert {pool.type for pool in client.read_work_pools()} == {"process"}
    there = {item.entrypoint: item for item in client.read_deployments()}
    assert there.keys() == {entry.entrypoint for entry in REGISTRY}
    for entry in REGISTRY:
        deployment = there[entry.entrypoint]
        assert deployment.work_pool_name == f"tuneloop-{entry.pool}"
        changed = settings.model_dump(mode="json", exclude_defaults=True)
        assert deployment.parameters == {"settings": changed}
        assert [plan.schedule.cron for plan in deployment.schedules] == [
            cron for cron in [entry.cron(settings)] if cron
        ]
        assert deployment.global_concurrency_limit.limit == 1
    assert [item.served for item in apply(settings)] == [None] * len(REGISTRY)
    [automation] = client.read_automations()
    assert automation.actions[0].deployment_id == there["flows.retrain.retrain"].id
    assert {entry.name for entry in REGISTRY if entry.pool == "gpu"} == {"synthesize", "retrain"}


def test_every_flow_of_the_registry_has_a_time_limit():
    """Retrain's is long, but there is one: a hung run would hold its slot for ever."""
    for entry in REGISTRY:
        assert entry.flow().name == entry.name
        assert entry.flow().timeout_seconds, entry.name


def test_two_homes_have_two_resources(tmp_path):
    here, there = drift_resource(tmp_path / "a"), drift_resource(tmp_path / "b")
    assert here != there
    assert here == drift_resource(tmp_path / "c" / ".." / "a")
