"""A first day: everything up, a reviewer in Label Studio, and the evening's figures."""

import json

import httpx
import pytest

from annotation.label_studio_connection import read_login
from annotation.queue_files import FileQueue
from flows.services.prefect import free_port
from pipeline.core.journal import read_rows
from tests.annotation.test_queue import fill_csv
from tests.end_to_end.servers import running_up

pytestmark = [pytest.mark.model, pytest.mark.slow]


def answer(name, **value):
    kind = "choices" if "choices" in value else "textarea"
    return {"from_name": name, "to_name": "response", "type": kind, "value": value}


def test_pairs_go_to_label_studio_and_decisions_come_back(quick, tmp_path):
    before, _ = quick
    project = before.copy(tmp_path / "project")
    studio = ("label_studio.managed=true", f"label_studio.port={free_port()}")
    arguments = [word for override in studio for word in ("--set", override)]

    with running_up(project, *studio, "schedule.review=", "schedule.monitor=") as prefect:
        again = project.call("up")  # a second one finds the first
        assert again["running"]
        assert f"{again['prefect']}/api" == prefect.url
        first = prefect.run("review")
        assert first["state"]["name"] == "Completed"
        login = read_login(project.home)
        key = {"Authorization": f"Token {login.token}"}
        with httpx.Client(base_url=login.url, headers=key, trust_env=False) as client:
            (there,) = client.get("/api/projects/").json()["results"]
            asked = {"project": there["id"], "page_size": 500}
            tasks = client.get("/api/tasks/", params=asked).json()["tasks"]
            assert len(tasks) > 2
            gold = {row["pair_id"] for row in read_rows(project.home / "reviews/gold_items.jsonl")}
            tasks.sort(key=lambda task: task["data"]["pair_id"] in gold)  # they count for no pair
            pairs = [task["data"]["pair_id"] for task in tasks]
            assert len(set(pairs)) == len(pairs)
            for task, verdict in zip(tasks[:2], ("accept", "nonsense"), strict=True):
                body = {"result": [answer("verdict", choices=[verdict])]}
                client.post(f"/api/tasks/{task['id']}/annotations/", json=body).raise_for_status()
        prefect.run("review")
        queued = set(project.queue())  # by `run`, before there was a Label Studio
        assert queued == set(pairs)
        (artifact,) = json.loads(prefect.artifact("reviews")["data"])
        counts = project.call("review", "status", *arguments)
        about = counts.pop("about")
        assert counts == artifact
        assert about["queues"]["gold"]["items"] == len(gold) > 0
        assert counts == {
            "queued": len(queued),
            "open": len(queued) - 1,
            "skipped": 0,
            "done": 1,
            "bounced": 1,
        }
        reviews = project.call("status", *arguments)["reviews"]
        assert reviews | counts == reviews
        (batch,) = reviews["batches"]
        assert batch["decided"] == 1
        assert batch["open"] == len(tasks) - 1
        pulled = project.call("review", "pull", *arguments)
        assert pulled["decisions"] == 1
        assert [row["reason"] for row in pulled["bounced"]] == ["unknown_verdict"]

    # The server is gone: one line says so, the files are taken in, and all of it counts.
    fill_csv(
        FileQueue(project.home / "reviews"), {pairs[2]: {"verdict": "accept", "reviewer": "Ann"}}
    )
    refused = project.refused("review", "pull", *arguments)
    assert refused.count("\n") == 1
    assert "label studio" in refused.lower()
    rehearsal = project.call("retrain", "--reason", "test", "--dry-run", *arguments)
    settled = next(stage for stage in rehearsal["stages"] if stage["stage"] == "settle")
    assert settled["rows_kept"] > 0
    assert rehearsal["review"]["accepted"] == 2
    assert rehearsal["review"]["queued"] == len(queued)
