"""kill -9 at five points, run again each time: the same data sets, nothing paid for twice."""

import pytest

from tests.end_to_end.project import Project, make_quick_project

pytestmark = [pytest.mark.model, pytest.mark.slow]


def happened(event: str, stage: str, done: int = 0):
    def reached(project: Project) -> bool:
        return any(
            row["event"] == event and row["stage"] == stage and row.get("done", 0) >= done
            for row in project.events()
        )

    return reached


def three_steps_are_kept(project: Project) -> bool:
    return any(
        int(path.name.removeprefix("step-")) >= 3
        for path in (project.home / "work").glob("*/step-*")
    )


def queue_is_being_written(project: Project) -> bool:
    return any((project.home / "reviews").glob("*queue*"))


def test_five_kills_leave_no_trace(quick, tmp_path, tiny_base, endpoint):
    reference, _ = quick
    project = make_quick_project(tmp_path / "killed", tiny_base.path, endpoint.url)
    file = project.folder / "tuneloop.toml"
    file.write_text(file.read_text("utf-8").replace('"inline"', '"processes"'), "utf-8")

    project.run_until(happened("START", "ingest"))
    project.run_until(lambda project: len(project.replies()) > 3)
    first_replies = project.replies()
    assert len(first_replies) < len(reference.replies()), "the kill came after the last reply"
    project.run_until(queue_is_being_written)
    replies = project.replies()
    assert {name: at for name, at in replies.items() if name in first_replies} == first_replies
    project.run_until(three_steps_are_kept)
    project.run_until(happened("PROGRESS", "evaluate challenger", done=1))
    steps = [
        row["done"]
        for row in project.events()
        if row["event"] == "PROGRESS" and row["stage"] == "train" and row["unit"] == "steps"
    ]
    assert min(steps) >= 3, "the training began anew"
    report = project.run()

    assert project.replies() == replies, "a reply was asked for again"
    assert replies.keys() == reference.replies().keys()
    assert project.datasets() == reference.datasets()
    queue = project.queue()
    assert len(queue) == len(set(queue))
    assert queue == reference.queue()
    reused = {stage["stage"] for stage in report["stages"] if stage["reused"]}
    assert {"generate", "train"} <= reused, "the model was trained a second time"
