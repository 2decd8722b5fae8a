"""Flows that stand in for the real ones where only the wiring is tested."""

import json
import os
import sys
import time
from pathlib import Path

from prefect import flow, get_run_logger
from prefect.concurrency.sync import concurrency

from flows.engine.context import LEASE_SECONDS, MODEL_SLOTS
from flows.engine.settings_file import load_settings
from flows.services.deploy import Entry, serve_all
from pipeline.settings import Settings

ENTRIES = (
    Entry("curate", "tests.flows.standin.curate", "Takes nothing in."),
    Entry("retrain", "tests.flows.standin.retrain", "Trains nothing.", scheduled=False),
)


@flow
def curate(settings: Settings) -> None:
    """Do nothing."""


@flow
def retrain(settings: Settings, reason: str = "", evidence_id: str = "") -> None:
    """Hold a model slot, write down why, and stay as long as the file ``stay`` is in the home."""
    get_run_logger().info("stands in: %s", reason)
    home = settings.paths.home
    with concurrency(MODEL_SLOTS, strict=True, lease_duration=LEASE_SECONDS):
        with (home / "started.jsonl").open("a") as log:
            log.write(json.dumps({"reason": reason, "evidence_id": evidence_id}) + "\n")
        while (home / "stay").exists():
            time.sleep(0.1)


@flow
def linger(settings: Settings) -> None:
    """Stay for good, as a long training does."""
    (settings.paths.home / f"lingers-{os.getpid()}").touch()
    time.sleep(3600)


if __name__ == "__main__":
    serve_all(load_settings(Path(sys.argv[1])), ENTRIES)
