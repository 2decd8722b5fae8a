"""A push that is killed, or that loses the answer: exactly what is missing is stored again."""

import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from annotation.items import to_items
from annotation.label_studio import LabelStudioQueue
from annotation.label_studio_connection import Connection
from annotation.queue import PushResult
from tests.annotation.conftest import make_pairs
from tests.annotation.label_studio.conftest import project_of, status_of

ROOT = Path(__file__).parents[3]

PUSH = """
import os, signal, sys
from pathlib import Path
import annotation.label_studio_ledger as ledger
from annotation.items import to_items
from annotation.label_studio import LabelStudioQueue
from annotation.label_studio_connection import find_connection
from pipeline.core.outcome import table
from pipeline.settings import LabelStudioSettings
from schemas.documents import Chunks
from tests.annotation.conftest import CHUNK, make_pairs

folder, home, moment, number = sys.argv[1:]
left = int(number)
append = ledger.append


def append_or_die(path, rows):
    global left
    if rows and moment in rows[0]:
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
    append(path, rows)


ledger.append = append_or_die
settings = LabelStudioSettings(chunk_size=3)
queue = LabelStudioQueue(Path(folder), find_connection(settings, Path(home)), settings)
queue.push(to_items(make_pairs(10), table(Chunks, [CHUNK])))
"""


@pytest.mark.parametrize(
    ("moment", "number", "stored", "new"),
    [
        ("importing", 3, 6, 4),  # between two chunks
        ("task_id", 2, 6, 4),  # the server has the chunk, the ledger does not
        ("task_id", 4, 10, 0),
    ],
)
def test_a_killed_push_is_completed(
    queue, chunks, ids, server, project_tasks, moment, number, stored, new
):
    killed = subprocess.run(
        [sys.executable, "-c", PUSH, queue.folder, server.home, moment, str(number)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(project_tasks(queue)) == stored

    assert queue.push(to_items(make_pairs(10), chunks)) == PushResult(new=new, already=10 - new)

    found = project_tasks(queue)
    assert sorted(found) == sorted(ids[:10])
    assert all(len(tasks) == 1 for tasks in found.values())
    assert queue.push(to_items(make_pairs(10), chunks)) == PushResult(new=0, already=10)
    assert status_of(queue)["open"] == 10


def test_a_torn_ledger_line_is_no_second_task(queue, chunks, ids, project_tasks):
    queue.push(to_items(make_pairs(3), chunks))
    ledger = queue.folder / "pushed.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-40])
    assert queue.push(to_items(make_pairs(3), chunks)) == PushResult(new=0, already=3)
    assert [len(tasks) for tasks in project_tasks(queue).values()] == [1, 1, 1]


def test_doubles_on_the_server_are_removed_unless_somebody_worked_on_them(
    queue, chunks, ids, ann, project_tasks
):
    queue.push(to_items(make_pairs(3), chunks))
    project = project_of(queue)
    tasks = ann.call("GET", f"/api/tasks/?project={project}")["tasks"]
    again = [{"data": task["data"]} for task in tasks]
    ann.call("POST", f"/api/projects/{project}/import", again)
    first, second, third = (project_tasks(queue)[pair_id] for pair_id in ids[:3])
    ann.decide(second[1], "accept")
    ann.decide(third[0], "accept")
    ann.decide(third[1], "reject", flags=["wrong"])

    queue.push(to_items(make_pairs(3), chunks))

    found = project_tasks(queue)
    assert [found[pair_id] for pair_id in ids[:3]] == [first[:1], second[1:], third]
    verdicts = queue.pull().reviews.sort("pair_id")
    assert dict(verdicts.select("pair_id", "verdict").iter_rows()) == {
        ids[1]: "accept",
        ids[2]: "reject",
    }
    assert status_of(queue)["open"] == 1


@pytest.fixture
def lossy_proxy(server):
    """A way to the server on which the answers to some imports get lost."""
    losses = []

    class Proxy(BaseHTTPRequestHandler):
        def forward(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {
                name: self.headers[name]
                for name in ("Authorization", "Content-Type")
                if name in self.headers
            }
            url = server.service.url + self.path
            answer = httpx.request(
                *(self.command, url), content=body, headers=headers, trust_env=False, timeout=60
            )
            if losses and "/import" in self.path:
                status = losses.pop(0)
                if status is None:
                    self.close_connection = True  # without a word
                    return
                answer = httpx.Response(status, text="Bad gateway")
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = forward

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", losses
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("lost", [[None], [502, None, 502]])
def test_a_lost_answer_stores_nothing_twice(
    queue, connection, chunks, ids, project_tasks, lossy_proxy, lost
):
    url, losses = lossy_proxy
    losses.extend(lost)
    far = LabelStudioQueue(queue.folder, Connection(url, connection.key), queue._settings)
    assert far.push(to_items(make_pairs(10), chunks)) == PushResult(new=10, already=0)
    assert not losses
    found = project_tasks(queue)
    assert sorted(found) == sorted(ids[:10])
    assert all(len(tasks) == 1 for tasks in found.values())
    assert status_of(queue)["open"] == 10
