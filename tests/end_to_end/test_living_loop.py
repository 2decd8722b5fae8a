"""Scheduled flows, a drift alert and the retrain it starts, on real servers."""

import json

import pytest

from pipeline.drift.reasons import Reason
from pipeline.report.drift_words import reasons_line
from tests.end_to_end.drifting import (
    FIRST,
    MORE,
    deliver,
    jargon,
    make_drifting_project,
    sample_documents,
)
from tests.end_to_end.servers import running_up

pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.usefixtures("prefect"),
]


CRAFT = ("keepers", "strokes", "spare", "beside", "hums", "lip")
"""Words of the other topic; which of them tell most depends on what was drawn."""


def decisions(project):
    path = project.home / "monitor" / "decisions.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def retrains(project):
    path = project.home / "monitor" / "retrains.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_drift_alert_starts_one_retrain_and_calm_starts_none(tmp_path, tiny_base, endpoint):
    """Curate, monitor, event, automation, retrain, verdict; then the same with a lost event."""
    project = make_drifting_project(tmp_path, tiny_base.path, endpoint.url)
    project.run()
    champion = project.call("promote", "--reason", "the first one")["fingerprint"]

    with running_up(project) as prefect:
        # More of the same: checked, and nothing follows.
        deliver(project, sample_documents()[FIRST : FIRST + MORE])
        prefect.run("synthesize")
        prefect.run("monitor")
        assert [row["action"] for row in decisions(project)] == ["ok"]
        assert prefect.runs("retrain") == []

        # Another topic: two windows of it, an event, the automation, one retrain.
        deliver(project, jargon(1))
        prefect.run("synthesize")
        prefect.run("monitor")
        (alarm,) = [row for row in decisions(project) if row["action"] == "retrain"]
        why = reasons_line([Reason.model_validate(row) for row in alarm["reasons"]])
        assert any(word in why for word in CRAFT), why
        run = prefect.wait_for_run("retrain", 1)
        assert run["parameters"]["evidence_id"] == alarm["id"]
        assert run["parameters"]["reason"] == why
        assert run["created_by"]["type"] == "AUTOMATION"
        started, ended = retrains(project)
        assert (started["outcome"], started["evidence_id"]) == ("started", alarm["id"])
        assert ended["outcome"] in ("promoted", "kept")
        report = json.loads((project.home / "runs" / ended["run"] / "report.json").read_text())
        assert report["gate"]["reasons"]
        assert "champion" in report["evaluation"]["arms"]
        assert report["retrain"]["evidence_id"] == alarm["id"]
        assert report["retrain"]["champion_before"] == champion
        for key in ("stages", "ledger", "evaluation", "gate", "drift", "retrain"):
            assert prefect.artifact(key)["data"], key

        # The same evidence again, by the clock and by a second event: nothing.
        decided = len(decisions(project))
        models = list((project.home / "store" / "model").iterdir())
        prefect.run("monitor")
        assert len(decisions(project)) == decided
        prefect.run("reconcile")
        assert len(prefect.runs("retrain")) == 1
        assert project.call("retrain", "--reason", "again", "--evidence", alarm["id"]) == {
            "retrain": None
        }
        assert retrains(project) == [started, ended]
        assert list((project.home / "store" / "model").iterdir()) == models

        # Third topic, and the automation is gone: reconcile starts what nobody started.
        prefect.delete_automations()
        deliver(project, jargon(2))
        prefect.run("synthesize")
        prefect.run("monitor")
        _, lost = [row for row in decisions(project) if row["action"] == "retrain"]
        assert lost["id"] != alarm["id"]
        before = len(prefect.runs("retrain"))
        prefect.run("reconcile")
        run = prefect.wait_for_run("retrain", before + 1)
        assert run["parameters"]["evidence_id"] == lost["id"]
        assert retrains(project)[-1]["outcome"] in ("promoted", "kept")
        assert retrains(project)[-1]["evidence_id"] == lost["id"]
    status = project.call("status")
    assert status["decision"]["id"] == decisions(project)[-1]["id"]
