"""A pair in the queue files and in Label Studio: counted once, offered once, closed in both."""

import io
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from annotation.decisions import Decision
from annotation.items import to_items
from annotation.label_studio import LabelStudioQueue
from annotation.queue import PushResult
from annotation.queue_files import FileQueue
from annotation.queues import CombinedQueue
from annotation.terminal import review_in_terminal
from tests.annotation.conftest import make_pairs
from tests.annotation.label_studio.conftest import ALONE
from tests.annotation.label_studio.test_killed import ROOT
from tests.annotation.test_queue import fill_csv, queued_ids, verdicts


@pytest.fixture
def both(queue, tmp_path, chunks):
    """Six pairs in the files, and then in Label Studio as well: the way of a first day."""
    files = FileQueue(tmp_path)
    assert files.push(to_items(make_pairs(6), chunks)) == PushResult(new=6, already=0)
    both = CombinedQueue(queue, tmp_path)
    assert both.push(to_items(make_pairs(6), chunks)) == PushResult(new=6, already=0)
    return both


def by_ann(pair_id, verdict="accept", reviewer="ann"):
    return Decision(pair_id, verdict, "", (), "", reviewer)


def test_a_pair_queued_in_both_counts_once(both, ids, ann, project_tasks):
    assert both.status() == dict(queued=6, open=6, skipped=0, done=0, bounced=0)
    ann.decide(project_tasks(both.server)[ids[0]][0], "accept")
    fill_csv(both, {ids[1]: {"verdict": "accept", "reviewer": "Bo"}})
    both.decide(by_ann(ids[1], "accept"))  # two people, one pair
    both.pull()
    assert both.status() == dict(queued=6, open=4, skipped=0, done=2, bounced=0)


def test_new_pairs_go_to_both(both, ids, chunks, project_tasks):
    assert both.push(to_items(make_pairs(8), chunks)) == PushResult(new=2, already=6)
    assert queued_ids(both) == (ids[:8], ids[:8])
    assert sorted(project_tasks(both.server)) == sorted(ids[:8])
    assert both.status()["queued"] == 8


def test_what_is_decided_in_label_studio_is_offered_nowhere_else(
    both, ids, chunks, ann, project_tasks, monkeypatch
):
    ann.decide(project_tasks(both.server)[ids[0]][0], "accept")
    both.pull()
    assert [item["pair_id"] for item in both.open_items("bo")] == ids[1:6]
    assert queued_ids(both) == (ids[:6], ids[1:6])
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO("a\nq\n"))
    session = review_in_terminal(both, "bo", Console(file=out))
    assert "case 0?" not in out.getvalue() and "case 1?" in out.getvalue()
    assert session["left"] == 4
    both.push(to_items(make_pairs(6)[1:], chunks))
    assert queued_ids(both)[1] == ids[2:6]


def test_what_is_decided_in_the_files_leaves_label_studio_until_it_is_taken_back(
    both, ids, chunks, project_tasks
):
    both.decide(by_ann(ids[0]))
    both.pull()
    assert sorted(project_tasks(both.server)) == sorted(ids[1:6])
    assert both.status() == dict(queued=6, open=5, skipped=0, done=1, bounced=0)
    (batch,) = both.server.batches(both.stored())
    assert (batch["tasks"], batch["decided"], batch["open"]) == (6, 1, 5)
    both.decide(by_ann(ids[0], "skip"))
    assert both.push(to_items(make_pairs(6), chunks)) == PushResult(new=1, already=5)
    assert sorted(project_tasks(both.server)) == sorted(ids[:6])


def test_a_task_that_somebody_works_on_is_left_alone(both, ids, ann, ben, project_tasks):
    tasks = project_tasks(both.server)
    draft = {"result": [ann.answer("verdict", choices=["reject"])], "lead_time": 1}
    ann.call("POST", f"/api/tasks/{tasks[ids[0]][0]}/drafts", draft)
    ann.decide(tasks[ids[1]][0], "accept")
    for pair_id in ids[:3]:
        both.decide(by_ann(pair_id))
    both.pull()
    assert sorted(project_tasks(both.server)) == sorted([*ids[:2], *ids[3:6]])


def test_a_second_reviewer_is_waited_for(both, ids, connection, project_tasks):
    settings = both.server._settings.model_copy(update={"reviewers": 2})
    policy = replace(ALONE, people=2)
    server = LabelStudioQueue(both.server.folder, connection, settings, policy)
    two = CombinedQueue(server, both.folder)
    two.decide(by_ann(ids[0]))
    two.pull()
    assert ids[0] in project_tasks(two.server)
    two.decide(by_ann(ids[0], reviewer="bo"))
    two.pull()
    assert ids[0] not in project_tasks(two.server)


def test_a_disagreement_is_given_to_a_third_person_until_it_is_settled(
    both, ids, ann, ben, project_tasks
):
    first, second = (project_tasks(both.server)[pair_id][0] for pair_id in ids[:2])
    for task, pair_id in ((first, ids[0]), (second, ids[1])):
        ann.decide(task, "accept")
        both.decide(Decision(pair_id, "reject", "", ("wrong",), "", "bo"))
    both.pull()
    assert both.status() == dict(queued=6, open=6, skipped=0, done=0, bounced=0)
    given = ann.call("GET", f"/api/tasks/{first}/")
    assert (given["overlap"], given["is_labeled"], given["total_annotations"]) == (2, False, 1)
    project = given["project"]
    assert ben.call("GET", f"/api/projects/{project}/next")["id"] == first

    ben.decide(first, "reject", flags=["wrong"])
    both.decide(by_ann(ids[1], reviewer="cy"))  # the other one is settled in the files
    both.pull()
    assert both.status() == dict(queued=6, open=4, skipped=0, done=2, bounced=0)
    closed = ann.call("GET", f"/api/tasks/{second}/")
    assert (closed["overlap"], closed["is_labeled"]) == (1, True)
    assert ben.call("GET", f"/api/projects/{project}/next")["id"] not in (first, second)


KILLED = """
import os, signal, sys
from pathlib import Path
import annotation.label_studio_api as api
from annotation.label_studio import LabelStudioQueue
from annotation.label_studio_connection import find_connection
from annotation.queues import CombinedQueue
from pipeline.settings import LabelStudioSettings

folder, home = sys.argv[1:]
api.Server.delete_task = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
settings = LabelStudioSettings()
server = LabelStudioQueue(Path(folder), find_connection(settings, Path(home)), settings)
CombinedQueue(server, Path(folder).parent).pull()
"""


def test_a_pull_killed_while_it_closes_is_completed_by_the_next_one(
    both, ids, server, chunks, project_tasks
):
    for pair_id in ids[:2]:
        both.decide(by_ann(pair_id))
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, both.server.folder, server.home],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert sorted(project_tasks(both.server)) == sorted(ids[:6])
    both.pull()
    assert sorted(project_tasks(both.server)) == sorted(ids[2:6])
    assert both.push(to_items(make_pairs(6)[2:], chunks)) == PushResult(new=0, already=4)


def test_a_restarted_label_studio_catches_up_with_what_the_files_took_in(
    both, ids, chunks, connection, project_tasks
):
    from annotation.label_studio_connection import Connection
    from flows.services.prefect import free_port

    away = Connection(f"http://127.0.0.1:{free_port()}", connection.key)
    down = LabelStudioQueue(both.server.folder, away, both.server._settings)
    meanwhile = CombinedQueue(down, both.folder)
    fill_csv(both, {ids[0]: {"verdict": "accept", "reviewer": "Ann"}})
    assert verdicts(meanwhile.pull()) == {ids[0]: "accept"}
    assert meanwhile.push(to_items(make_pairs(7)[1:], chunks)).missed
    pulled = both.pull()
    assert not pulled.missed and verdicts(pulled) == {ids[0]: "accept"}
    assert both.push(to_items(make_pairs(7)[1:], chunks)) == PushResult(new=1, already=5)
    assert sorted(project_tasks(both.server)) == sorted(ids[1:7])
