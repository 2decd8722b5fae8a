"""Who gets into the Prefect server of a home: the one with its secret, and nobody else."""

import asyncio
import json
import os
import stat
import threading

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from flows.services.deploy import apply
from flows.services.prefect import make_secret, read_secret, secret_path
from flows.services.running import schedules
from pipeline.core.errors import StoreError
from tests.flows.standin import ENTRIES

ELSEWHERE = "http://127.0.0.1:8000"
"""Origin of a page that another program of this machine serves."""


@pytest.fixture
def api(prefect):
    return os.environ["PREFECT_API_URL"]


@pytest.fixture
def secret(prefect):
    return os.environ["PREFECT_API_AUTH_STRING"]


@pytest.fixture
def stranger(api):
    """Somebody who knows the address and not the secret."""
    with httpx.Client(base_url=api, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def owner(api, secret):
    with httpx.Client(
        base_url=api, auth=tuple(secret.split(":")), trust_env=False, timeout=60
    ) as client:
        yield client


@pytest.fixture
def token(owner):
    """Headers of a page that has fetched its CSRF token."""
    token = owner.get("/csrf-token", params={"client": "test"}).json()["token"]
    return {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "test"}


@pytest.fixture
def reconcile(settings, prefect):
    """A deployment that an attacker would like to change, deleted afterwards."""
    settings.paths.home.mkdir()
    key = apply(settings, ENTRIES)[0].id
    yield f"/deployments/{key}"
    with get_client(sync_client=True) as client:
        for deployment in client.read_deployments():
            client.delete_deployment(deployment.id)
        for automation in client.read_automations():
            client.delete_automation(automation.id)


STEPS = {"pull_steps": [{"prefect.deployments.steps.run_shell_script": {"script": "id"}}]}


def test_nobody_changes_a_deployment_without_secret_and_csrf_token(
    stranger, owner, token, reconcile
):
    before = owner.get(reconcile).json()
    assert stranger.patch(reconcile, json=STEPS, headers=token).status_code == 401
    assert stranger.patch(reconcile, json=STEPS).status_code == 403
    assert owner.patch(reconcile, json=STEPS).status_code == 403
    wrong = stranger.patch(reconcile, json=STEPS, headers=token, auth=("tuneloop", "guess"))
    assert wrong.status_code == 401
    assert owner.get(reconcile).json() == before
    assert owner.patch(reconcile, json={"description": "x"}, headers=token).status_code == 204


def test_a_page_of_another_origin_gets_no_permission(stranger, owner, token, reconcile):
    asked = {"Origin": ELSEWHERE, "Access-Control-Request-Method": "PATCH"}
    answers = [
        stranger.options(reconcile, headers=asked),
        stranger.post("/deployments/filter", json={}, headers={"Origin": ELSEWHERE}),
        stranger.get("/health", headers={"Origin": ELSEWHERE}),
        owner.get(reconcile, headers={"Origin": ELSEWHERE}),
        owner.patch(reconcile, json={}, headers={"Origin": ELSEWHERE} | token),
    ]
    for answer in answers:
        assert "access-control-allow-origin" not in answer.headers, answer.request.url
    assert answers[0].status_code == 400
    page = f"http://127.0.0.1:{owner.base_url.port}"
    mine = stranger.options(reconcile, headers=asked | {"Origin": page})
    assert mine.headers["access-control-allow-origin"] == page


def test_a_name_that_points_at_this_machine_is_no_name_of_the_server(stranger, owner, reconcile):
    """DNS rebinding: the browser takes the page of evil.example for one of the server's own."""
    for host in ("evil.example", "127.0.0.1.evil.example"):
        assert owner.get(reconcile, headers={"Host": host}).status_code == 400
        assert stranger.get("/health", headers={"Host": host}).status_code == 400
    port = owner.base_url.port
    assert owner.get(reconcile, headers={"Host": f"localhost:{port}"}).status_code == 200


def test_nothing_but_its_health_is_told_without_the_secret(stranger, owner):
    paths = owner.get("/openapi.json").json()["paths"]
    read = [path for path, methods in paths.items() if "get" in methods and "{" not in path]
    assert "/admin/settings" in read
    told = {path for path in read if stranger.get(path).status_code != 401}
    assert told <= {"/health", "/ready"}
    assert stranger.get("/openapi.json").status_code == 401
    assert stranger.get("/docs").status_code == 401


@pytest.mark.parametrize("path", ["/events/in", "/events/out", "/logs/out"])
def test_events_and_logs_are_sent_to_nobody_without_the_secret(api, path):
    async def listen():
        async with connect(
            api.replace("http", "ws") + path, subprotocols=["prefect"], proxy=None
        ) as socket:
            await socket.send(json.dumps({"type": "auth", "token": "tuneloop:guess"}))
            return await socket.recv()

    with pytest.raises(ConnectionClosed) as closed:
        asyncio.run(listen())
    assert closed.value.rcvd.code == 1008


def test_what_runs_when_is_told_with_the_secret_alone(api, secret, reconcile):
    assert {item["name"] for item in schedules(api, secret)} == {entry.name for entry in ENTRIES}
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        schedules(api, "tuneloop:guess")


def test_the_secret_is_told_to_nobody_by_the_server(owner, secret, reconcile):
    password = secret.partition(":")[2]
    assert password not in owner.get("/admin/settings").text
    assert password not in owner.get(reconcile).text


def test_prefects_own_client_goes_on_working(reconcile):
    key = reconcile.rpartition("/")[2]
    with get_client(sync_client=True) as client:
        client.update_deployment(key, DeploymentUpdate(description="by the client"))
        assert client.read_deployment(key).description == "by the client"


@pytest.fixture
def shared_umask():
    before = os.umask(0o002)
    yield
    os.umask(before)


def test_the_secret_of_a_home_is_made_once_for_its_owner_alone(tmp_path, shared_umask):
    made = []
    threads = [threading.Thread(target=lambda: made.append(make_secret(tmp_path))) for _ in "1234"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(made) == {read_secret(tmp_path)}
    assert len(made[0]) > 30
    assert stat.S_IMODE(secret_path(tmp_path).stat().st_mode) == 0o600
    assert make_secret(tmp_path / "other") != made[0]


@pytest.mark.parametrize("damage", [b"", b"tuneloop:", b"\xff\xfe\x00", b"somebody:" + b"x" * 32])
def test_a_damaged_secret_lets_nobody_in_and_is_said(tmp_path, damage):
    make_secret(tmp_path)
    secret_path(tmp_path).write_bytes(damage)
    with pytest.raises(StoreError, match=r"cannot be used .*; expected .*; delete it and start"):
        make_secret(tmp_path)
