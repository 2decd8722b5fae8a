"""Torn lines in the ledger of Label Studio: said, and what they held comes back."""

import json

import pytest

from annotation.items import to_items
from annotation.queue import PushResult
from pipeline.core.journal import parse, read_lines
from tests.annotation.conftest import make_pairs
from tests.annotation.label_studio.conftest import status_of
from tests.annotation.test_queue import verdicts


def tear(path, number):
    """Cut a line in two, as a write that did not reach the disk as a whole does."""
    lines = path.read_bytes().split(b"\n")
    lines[number] = lines[number][: len(lines[number]) // 2]
    path.write_bytes(b"\n".join(lines))


@pytest.fixture
def decided(queue, chunks, ids, ann, project_tasks):
    """Three accepted pairs, pulled."""
    queue.push(to_items(make_pairs(3), chunks))
    for pair_id in ids[:3]:
        ann.decide(project_tasks(queue)[pair_id][0], "accept")
    assert queue.pull().reviews.height == 3
    # So long ago that a pull of what is new would not look at these tasks again.
    state = json.loads(queue._ledger.state_path.read_text())
    queue._ledger.state_path.write_text(json.dumps(state | {"seen": "2099-01-01T00:00:00Z"}))
    return queue


@pytest.mark.parametrize("damage", ["torn", "without id", "without response", "no object"])
def test_a_decision_in_a_torn_line_is_said_and_comes_back(decided, ids, damage):
    path = decided.folder / "annotations.jsonl"
    if damage == "torn":
        tear(path, 1)
    else:
        lines = read_lines(path)
        row = parse(lines[1])
        if damage == "without id":
            del row["annotation"]["id"]
        elif damage == "without response":
            del row["response"]
        lines[1] = "[]" if damage == "no object" else json.dumps(row)
        path.write_text("\n".join(lines) + "\n")
    stored = decided.stored()
    assert stored.reviews.height == 2
    assert stored.bounced["reason"].to_list() == ["unreadable"]
    assert stored.bounced["excerpt"][0].startswith("annotations.jsonl: ")
    assert status_of(decided)["bounced"] == 1

    pulled = decided.pull()

    assert verdicts(pulled) == dict.fromkeys(ids[:3], "accept")
    assert pulled.bounced.height == 0
    assert len(pulled.notes) == 1 and pulled.notes[0].startswith(
        "annotations.jsonl: 1 of its lines"
    )
    assert decided.pull().notes == ()


def test_a_torn_line_of_pushed_pairs_costs_neither_the_pair_nor_its_decision(
    decided, chunks, ids, project_tasks
):
    tear(decided.folder / "pushed.jsonl", 2)
    assert decided.stored().bounced["reason"].to_list() == ["unknown_pair"]
    pulled = decided.pull()
    assert verdicts(pulled) == dict.fromkeys(ids[:3], "accept")
    assert len(pulled.notes) == 1 and pulled.notes[0].startswith("pushed.jsonl: 1 of its lines")
    assert decided.push(to_items(make_pairs(3), chunks)) == PushResult(new=0, already=3)
    assert [len(tasks) for tasks in project_tasks(decided).values()] == [1, 1, 1]
    assert decided.pull().notes == ()


def test_a_torn_state_is_found_again_by_a_pull(queue, chunks, ids, ann, project_tasks):
    queue.push(to_items(make_pairs(2), chunks))
    ann.decide(project_tasks(queue)[ids[0]][0], "accept")
    (queue.folder / "state.json").write_text('{"queue": ')
    pulled = queue.pull()
    assert verdicts(pulled) == {ids[0]: "accept"}
    assert len(pulled.notes) == 1 and pulled.notes[0].startswith("state.json")


def test_what_helps_to_mend_a_decision_stands_before_its_long_text(
    queue, chunks, ids, ann, project_tasks
):
    queue.push(to_items(make_pairs(1), chunks))
    task = project_tasks(queue)[ids[0]][0]
    ann.decide(task, "accept", edited=["Another text. " * 50])
    (said,) = queue.pull().bounced["excerpt"]
    assert f'"task": {task}' in said and ann.email in said and len(said) == 240
