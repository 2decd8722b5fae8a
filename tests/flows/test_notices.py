"""Notices over a block of Prefect's, to a real web server: drift, verdict, failed, stopped."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.states import Failed

from flows.services import automations
from flows.services.automations import longest_gap, tell
from flows.services.deploy import apply
from pipeline.settings import Settings
from tests.flows.standin import ENTRIES
from tests.flows.test_deploy import client, eventually, settings

__all__ = ["client", "settings"]


@pytest.fixture
def posted() -> Iterator[list[str]]:
    """What a web hook got, of a block named ``custom-webhook/ops``."""
    texts: list[str] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            texts.append(json.loads(body)["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    block = CustomWebhookNotificationBlock(
        name="ops",
        url=f"http://127.0.0.1:{server.server_address[1]}/",
        json_data={"text": "{{subject}}: {{body}}"},
    )
    block.save("ops", overwrite=True)
    yield texts
    server.shutdown()
    thread.join()
    server.server_close()


def asking(settings: Settings, block: str) -> Settings:
    return Settings.model_validate(settings.model_dump() | {"notify": {"block": block}})


def names(client) -> set[str]:
    return {item.name for item in client.read_automations()}


def test_nothing_is_sent_unless_it_is_configured(client, settings, posted, capsys):
    apply(settings, ENTRIES)
    assert names(client) == {"tuneloop retrain on drift"}
    apply(asking(settings, "custom-webhook/nobody"), ENTRIES)
    assert "no block 'custom-webhook/nobody' found" in capsys.readouterr().err
    assert names(client) == {"tuneloop retrain on drift"}
    apply(asking(settings, "custom-webhook/ops"), ENTRIES)
    assert names(client) == {
        "tuneloop retrain on drift", "tuneloop notice", "tuneloop failed run",
        "tuneloop stopped schedule: curate",
    }  # fmt: skip
    tell(settings, "tuneloop: verdict", "kept")
    apply(settings, ENTRIES)
    assert names(client) == {"tuneloop retrain on drift"} and posted == []


def test_people_are_told_of_notices_failed_runs_and_schedules_that_stopped(
    client, settings, posted, monkeypatch
):
    monkeypatch.setattr(automations, "longest_gap", lambda *_: timedelta(seconds=5))
    configured = asking(settings, "custom-webhook/ops")
    deployments = {item.name: item.id for item in apply(configured, ENTRIES)}
    said = 'promoted: "5 < 6" {{ and }} <b>'
    tell(configured, "tuneloop: verdict", said)
    eventually(lambda: posted)
    assert posted[0] == f"tuneloop: verdict: {said}"
    run = client.create_flow_run_from_deployment(deployments["retrain"])
    client.set_flow_run_state(run.id, Failed(message="no teacher answered"), force=True)
    eventually(lambda: any("retrain" in text for text in posted))
    assert "tuneloop: retrain ended as Failed: no teacher answered" in posted
    eventually(lambda: any("stopped" in text for text in posted))
    assert (
        "tuneloop: curate has stopped: No run of curate ended for 0:00:10: its schedule is paused, "
        "or nothing runs it." in posted
    )


@pytest.mark.parametrize(
    ("cron", "gap"),
    [
        ("*/15 * * * *", "0:15:00"),
        ("15 2 * * *", "1 day, 0:00:00"),
        ("0 9 * * 1,3", "5 days, 0:00:00"),
    ],
)
def test_a_schedule_is_waited_for_as_long_as_it_pauses(cron, gap):
    assert str(longest_gap(cron, "UTC")) == gap
