"""kill -9 at five points, run again each time: the same data sets, nothing paid for twice."""

import pytest

from tests.end_to_end.project import Project, make_project

pytestmark = [pytest.mark.model, pytest.mark.slow]


def happened(event: str, stage: str, done: int = 0, unit: str = ""):
    def reached(project: Project) -> bool:
        return any(
            row["event"] == event
            and row["stage"] == stage
            and row.get("done", 0) >= done
            and (not unit or row["unit"] == unit)
            for row in project.events()
        )

    return reached


def queue_is_being_written(project: Project) -> bool:
    return any((project.home / "reviews").glob("*queue*"))


def test_five_kills_leave_no_trace(undisturbed, tmp_path, embedded_model):
    reference, _ = undisturbed
    project = make_project(tmp_path / "killed", embedded_model.parent)

    project.run_until(happened("START", "ingest"))
    project.run_until(happened("PROGRESS", "generate", done=1))
    first_replies = project.replies()
    assert first_replies, "the kill came before the first reply"
    project.run_until(queue_is_being_written)
    replies = project.replies()
    assert {name: at for name, at in replies.items() if name in first_replies} == first_replies
    project.run_until(happened("PROGRESS", "train", done=3, unit="steps"))
    project.run_until(happened("PROGRESS", "evaluate challenger", done=1))
    steps = [
        row["done"]
        for row in project.events()
        if row["event"] == "PROGRESS" and row["stage"] == "train" and row["unit"] == "steps"
    ]
    assert min(steps) >= 2, "the training began anew"
    report = project.run()

    assert project.replies() == replies, "a reply was asked for again"
    assert replies.keys() == reference.replies().keys()
    assert project.datasets() == reference.datasets()
    queue = project.queue()
    assert len(queue) == len(set(queue))
    assert queue == reference.queue()
    reused = {stage["stage"] for stage in report["stages"] if stage["reused"]}
    assert {"generate", "train"} <= reused, "the model was trained a second time"
