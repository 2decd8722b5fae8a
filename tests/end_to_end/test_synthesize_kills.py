"""kill -9 at twenty random points of a synthesis, in one home: the same bytes, nothing asked twice.

What is guaranteed: a reply that is on disk is never asked for again. What is asked twice is what
was out when the process died, at most ``teacher.concurrency`` requests a kill.
"""

import json
import multiprocessing
import os
import random
import signal
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests.end_to_end.project import Project, make_quick_project
from tests.pipeline.pairs.endpoint_server import Answer, Server, serving, teach

pytestmark = [pytest.mark.model, pytest.mark.slow]

KILLS, SEED = 20, 4711
AT_ONCE = 4
"""``teacher.concurrency``: few, so that kills fall between replies."""


def synthesize(folder: Path) -> None:
    """Run the command in a process that has all its modules already, as a fork has them."""
    from flows.cli.main import main

    os.chdir(folder)
    with (folder / "out").open("w") as out, redirect_stdout(out), redirect_stderr(out):
        main(["synthesize", "--json"])


def command(project: Project):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "transformers", "flows.cli.main", "flows.synthesize"])
    process = context.Process(target=synthesize, args=(project.folder,))
    process.start()
    return process


def run(project: Project, reached=None) -> bool:
    """Run to the end, or kill as soon as ``reached`` says so; return whether it was killed."""
    earlier, process = project.runs(), command(project)
    while process.is_alive():
        if reached and project.runs() != earlier and reached(project):
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            return True
        time.sleep(0.002)
    process.join()
    assert process.exitcode == 0, (project.folder / "out").read_text("utf-8")
    return False


def completed(project: Project) -> list[str]:
    """Return the stages that the latest run made or reused so far."""
    return [row["stage"] for row in project.events() if row["event"] == "COMPLETE"]


def points(stages: list[str], replies: int, draw: random.Random):
    """Return what is waited for before each kill: before the first reply, among them, after."""
    before = stages[: stages.index("generate")]
    early = sorted(draw.sample(before, 4), key=before.index)
    counts = sorted(draw.sample(range(1, replies), KILLS - 6))
    return [
        *((stage, lambda project, stage=stage: stage in completed(project)) for stage in early),
        *((f"reply {n}", lambda project, n=n: len(project.replies()) >= n) for n in counts),
        *(
            (name, lambda project, name=name: name in completed(project))
            for name in ("generate", "screen")
        ),
    ]


def tables(project: Project) -> dict[str, bytes]:
    """Return the bytes of each table of the store, by its path."""
    store = project.home / "store"
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*.parquet")}


@pytest.fixture
def server():
    """A teacher that takes 20 to 120 ms."""

    def answer(number: int, body: dict) -> Answer:
        time.sleep(random.Random(json.dumps(body)).uniform(0.02, 0.12))
        return teach(number, body)

    with serving(answer) as server:
        yield server


def test_twenty_kills_leave_no_trace_and_no_kept_reply_is_asked_for_again(
    tmp_path: Path, tiny_base, prefect, server: Server
):
    whole, killed = (
        make_quick_project(tmp_path / name, tiny_base.path, server.url)
        for name in ("whole", "killed")
    )
    for project in (whole, killed):
        file = project.folder / "tuneloop.toml"
        text = file.read_text("utf-8").replace("[teacher]", f"[teacher]\nconcurrency = {AT_ONCE}")
        file.write_text(text, "utf-8")
    run(whole)
    replies = len(whole.replies())
    assert len(server.bodies) == replies
    server.bodies.clear()

    draw = random.Random(SEED)
    out = 0
    for name, reached in points(completed(whole), replies, draw):
        kept, asked = killed.replies(), len(server.bodies)
        later = draw.uniform(0, 0.05)

        def after_a_while(project: Project, reached=reached, later=later) -> bool:
            return reached(project) and time.sleep(later) is None

        assert run(killed, after_a_while), f"{name}: it ended before it could be killed"
        now = killed.replies()
        assert now.items() >= kept.items(), "a reply was asked for again"
        lost = len(server.bodies) - asked - (len(now) - len(kept))
        assert 0 <= lost <= AT_ONCE
        out += lost
        print(f"seed {SEED}: killed {1e3 * later:.0f} ms after {name}, {lost} requests out")
    assert not run(killed)

    assert len(server.bodies) == replies + out
    assert killed.replies().keys() == whole.replies().keys()
    assert killed.datasets() == whole.datasets()
    assert tables(killed) == tables(whole)
