import polars as pl
import pytest

from annotation.items import to_items
from annotation.label_studio import LabelStudioQueue
from annotation.queue import PushResult
from pipeline.core.errors import ReviewError
from pipeline.core.journal import parse, read_lines
from schemas.base import Drops
from schemas.pairs import Reviews
from tests.annotation.conftest import make_pairs
from tests.annotation.label_studio.conftest import project_of, status_of, with_key


def decisions(pulled):
    Reviews.validate(pulled.reviews, lazy=True)
    Drops.validate(pulled.bounced, lazy=True)
    return {
        (row["pair_id"], row["reviewer"]): row["verdict"]
        for row in pulled.reviews.iter_rows(named=True)
    }


def tasks_in_order(queue, project_tasks, ids):
    found = project_tasks(queue)
    return [found[pair_id][0] for pair_id in ids if pair_id in found]


def lines(queue, name):
    return [parse(line) for line in read_lines(queue.folder / name)]


def test_an_exchange_without_an_answer_and_a_passage_can_be_edited(
    queue, chunks, ids, ann, project_tasks
):
    empty = {name: pl.lit("") for name in ("response", "evidence", "chunk_id", "doc_id")}
    asked = make_pairs(1).with_columns(origin=pl.lit("traffic"), **empty)
    assert queue.push(to_items(asked, chunks, {ids[0]: "a user asked this"})).new == 1
    (task,) = tasks_in_order(queue, project_tasks, ids)
    ann.decide(task, "edit", edited=["6 bar."])
    (review,) = queue.pull().reviews.to_dicts()
    assert (review["verdict"], review["edited_response"]) == ("edit", "6 bar.")


def test_two_reviewers_decide_and_nothing_is_doubled(queue, chunks, ids, ann, ben, project_tasks):
    assert queue.push(to_items(make_pairs(7), chunks), batch="first") == PushResult(
        new=7, already=0
    )
    task = tasks_in_order(queue, project_tasks, ids)
    ann.decide(task[0], "accept")
    ben.decide(task[0], "reject", flags=["wrong", "unsafe"], note=["No."])
    same = ["How much pressure, case 1?"]  # the box as it was filled
    ben.decide(task[1], "edit", edited=["The pump holds 6 bar at most."], asked=same)
    ben.decide(task[5], "edit", asked=["How many bar?"], lead_time=12.5)
    ann.decide(task[2], "reject", flags=["not_grounded"], note="One line")
    ann.skip(task[3])
    ann.skip(task[4])
    ben.decide(task[4], "accept")

    pulled = queue.pull()

    assert decisions(pulled) == {
        (ids[0], ann.email): "accept",
        (ids[0], ben.email): "reject",
        (ids[1], ben.email): "edit",
        (ids[2], ann.email): "reject",
        (ids[3], ann.email): "skip",
        (ids[4], ann.email): "skip",
        (ids[4], ben.email): "accept",
        (ids[5], ben.email): "edit",
    }
    assert pulled.bounced.height == 0
    by_place = {(row["pair_id"], row["reviewer"]): row for row in pulled.reviews.to_dicts()}
    assert by_place[ids[1], ben.email]["edited_response"] == "The pump holds 6 bar at most."
    assert by_place[ids[1], ben.email]["edited_instruction"] is None
    asked = by_place[ids[5], ben.email]
    assert (asked["edited_instruction"], asked["edited_response"]) == ("How many bar?", None)
    assert asked["seconds"] == 12.5
    assert by_place[ids[0], ann.email]["edited_response"] is None
    assert by_place[ids[0], ben.email]["flags"] == ["wrong", "unsafe"]
    assert by_place[ids[2], ann.email]["note"] == "One line"
    assert pulled.reviews.equals(pulled.reviews.sort("pair_id", "reviewer"))
    # They disagree about the first, and a skip is none.
    assert status_of(queue) == dict(queued=7, open=2, skipped=1, done=4, bounced=0)

    before = lines(queue, "annotations.jsonl")
    assert queue.push(to_items(make_pairs(9), chunks), batch="second") == PushResult(
        new=2, already=7
    )
    again = queue.pull()
    assert again.reviews.equals(pulled.reviews)
    assert lines(queue, "annotations.jsonl") == before
    assert sorted(project_tasks(queue)) == sorted(ids[:9])
    assert all(len(found) == 1 for found in project_tasks(queue).values())
    names = ("batch", "tasks", "decided", "skipped", "open")
    assert [tuple(batch[name] for name in names) for batch in queue.batches(queue.stored())] == [
        ("first", 7, 4, 1, 2),
        ("second", 2, 0, 0, 2),
    ]
    assert queue.stored().reviews.equals(pulled.reviews)


def test_raw_annotations_are_kept_as_the_server_has_them(queue, chunks, ids, ann, project_tasks):
    queue.push(to_items(make_pairs(1), chunks))
    task = tasks_in_order(queue, project_tasks, ids)[0]
    ann.decide(task, "accept", lead_time=3.5)
    queue.pull()
    (line,) = lines(queue, "annotations.jsonl")
    (raw,) = ann.call("GET", f"/api/tasks/{task}/annotations/")
    assert line["pair_id"] == ids[0] and line["task_id"] == task
    kept = line["annotation"]
    assert kept["lead_time"] == 3.5
    assert {name: kept[name] for name in ("id", "result", "created_at", "updated_at")} == {
        name: raw[name] for name in ("id", "result", "created_at", "updated_at")
    }


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"verdict": "nonsense"}, "unknown_verdict"),
        ({"verdict": ["accept", "reject"]}, "unknown_verdict"),
        ({"note": ["hello"]}, "missing_verdict"),
        ({"verdict": "edit"}, "missing_edit"),
        ({"verdict": "edit", "edited": ["The pump holds 6 bar in case 0."]}, "same_edit"),
        ({"verdict": "accept", "edited": ["Another text"]}, "edit_without_verdict"),
        ({"verdict": "reject"}, "missing_flag"),
        ({"verdict": "reject", "flags": ["ugly"]}, "unknown_flag"),
    ],
)
def test_nonsense_is_bounced_with_its_reason_and_mended_later(
    queue, chunks, ids, ann, project_tasks, answer, reason
):
    queue.push(to_items(make_pairs(1), chunks))
    task = tasks_in_order(queue, project_tasks, ids)[0]
    annotation = ann.decide(task, **answer)
    pulled = queue.pull()
    assert decisions(pulled) == {}
    assert pulled.bounced.select("id", "reason").rows() == [(ids[0], reason)]
    assert f'"task": {task}' in pulled.bounced["excerpt"][0]
    assert status_of(queue)["bounced"] == 1
    ann.change(annotation, "accept")
    assert decisions(queue.pull()) == {(ids[0], ann.email): "accept"}
    assert status_of(queue) == dict(queued=1, open=0, skipped=0, done=1, bounced=0)


def test_a_changed_and_a_deleted_annotation(queue, chunks, ids, ann, ben, project_tasks):
    queue.push(to_items(make_pairs(2), chunks))
    task = tasks_in_order(queue, project_tasks, ids)
    mine = ann.decide(task[0], "accept")
    ben.decide(task[0], "accept")
    ann.decide(task[1], "accept")
    queue.pull()
    ann.change(mine, "reject")  # without a flag: neither the old nor the new one counts
    assert decisions(queue.pull()) == {(ids[0], ben.email): "accept", (ids[1], ann.email): "accept"}
    ann.call("DELETE", f"/api/annotations/{mine['id']}/")
    pulled = queue.pull()
    assert pulled.bounced.height == 0
    assert decisions(pulled) == {(ids[0], ben.email): "accept", (ids[1], ann.email): "accept"}
    ann.decide(task[1], "reject", flags=["wrong"])  # a second one by the same person
    assert decisions(queue.pull())[ids[1], ann.email] == "reject"
    assert len(lines(queue, "annotations.jsonl")) == 6


def test_tasks_that_a_person_deletes_or_makes(queue, chunks, ids, ann, project_tasks):
    queue.push(to_items(make_pairs(4), chunks))
    task = tasks_in_order(queue, project_tasks, ids)
    ann.decide(task[0], "accept")
    queue.pull()
    ann.call("DELETE", f"/api/tasks/{task[0]}/")
    ann.call("DELETE", f"/api/tasks/{task[1]}/")
    project = project_of(queue)
    data = {"pair_id": ids[15], "batch": "", "document": "", "passage": "", "instruction": "?"}
    stranger = ann.call(
        "POST", "/api/tasks/", {"project": project, "data": data | {"input": "", "response": "!"}}
    )
    ann.decide(stranger["id"], "accept")

    assert queue.push(to_items(make_pairs(4), chunks)) == PushResult(new=0, already=4)

    assert sorted(project_tasks(queue)) == sorted([ids[2], ids[3], ids[15]])
    pulled = queue.pull()
    assert decisions(pulled)[ids[0], ann.email] == "accept"
    assert pulled.bounced.filter(pl.col("id") == ids[1]).height == 0
    assert status_of(queue)["open"] == 2


def test_a_lost_project_is_an_error_until_a_person_decides(queue, chunks, ids, ann, project_tasks):
    queue.push(to_items(make_pairs(3), chunks))
    task = tasks_in_order(queue, project_tasks, ids)
    ann.decide(task[0], "accept")
    queue.pull()
    project = project_of(queue)
    ann.call("DELETE", f"/api/projects/{project}/")
    for call in (queue.pull, lambda: queue.push(to_items(make_pairs(3), chunks))):
        with pytest.raises(ReviewError, match=r"no project with .*state\.json"):
            call()
    (queue.folder / "state.json").unlink()
    assert queue.push(to_items(make_pairs(3), chunks)) == PushResult(new=2, already=1)
    assert sorted(project_tasks(queue)) == sorted(ids[1:3])
    assert decisions(queue.pull()) == {(ids[0], ann.email): "accept"}
    assert status_of(queue) == dict(queued=3, open=2, skipped=0, done=1, bounced=0)


def test_a_lost_state_file_is_found_again(queue, chunks, ids, project_tasks):
    queue.push(to_items(make_pairs(3), chunks))
    project = project_of(queue)
    (queue.folder / "state.json").write_text("{")
    assert queue.push(to_items(make_pairs(4), chunks)) == PushResult(new=1, already=3)
    assert project_of(queue) == project
    assert sorted(project_tasks(queue)) == sorted(ids[:4])


@pytest.mark.filterwarnings("ignore:The `parse_obj` method")  # in the SDK
def test_a_personal_access_token_works(queue, connection, chunks, tmp_path, personal_token):
    settings = queue._settings
    other = LabelStudioQueue(tmp_path / "other", with_key(connection, personal_token), settings)
    assert other.push(to_items(make_pairs(2), chunks)) == PushResult(new=2, already=0)
    assert decisions(other.pull()) == {}


def test_the_project_shows_the_guidelines_and_follows_the_settings(queue, chunks, ann, connection):
    queue.push(to_items(make_pairs(1), chunks))
    project = project_of(queue)
    found = ann.call("GET", f"/api/projects/{project}/")
    assert found["show_instruction"] and "not_grounded" in found["expert_instruction"]
    assert found["maximum_annotations"] == 1
    settings = queue._settings.model_copy(update={"reviewers": 2, "project": "Second title"})
    LabelStudioQueue(queue.folder, connection, settings).pull()
    found = ann.call("GET", f"/api/projects/{project}/")
    assert (found["maximum_annotations"], found["title"]) == (2, "Second title")


def test_nothing_is_asked_of_the_server_before_the_first_push(queue):
    assert queue.pull().reviews.height == 0
    assert status_of(queue) == dict(queued=0, open=0, skipped=0, done=0, bounced=0)
    assert project_of(queue) is None
