import csv
import io
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import polars as pl
import pytest

from annotation.decisions import Decision
from annotation.items import to_items
from annotation.queue import PushResult
from annotation.queue_files import FileQueue
from pipeline.core.cache import short_id
from pipeline.core.errors import ReviewError
from pipeline.core.outcome import table
from schemas.base import Drops
from schemas.documents import Chunks
from schemas.pairs import Reviews
from tests.annotation.conftest import CHUNK, make_pairs

OLD_COLUMNS = [
    *("pair_id", "document", "instruction", "input", "chunk_text", "response", "evidence"),
    *("verdict", "edited_response", "flags", "note", "reviewer"),
]


def fill_csv(queue, decisions, delimiter=",", encoding="utf-8-sig", newline="\r\n", keep=None):
    """Save the CSV as a spreadsheet does, with decisions by pair id."""
    path = queue.folder / "queue.csv"
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    for row in rows:
        row.update(decisions.get(row["pair_id"].removeprefix("pair-"), {}))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(
        out,
        keep or list(rows[0]),
        delimiter=delimiter,
        lineterminator=newline,
        extrasaction="ignore",
    )
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(out.getvalue().encode(encoding))


def fill_jsonl(queue, decisions):
    path = queue.folder / "queue.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    path.write_text(
        "".join(json.dumps(row | decisions.get(row["pair_id"], {})) + "\n" for row in rows)
    )


def queued_ids(queue):
    lines = (queue.folder / "queue.jsonl").read_text("utf-8").splitlines()
    sheet = csv.DictReader(
        io.StringIO((queue.folder / "queue.csv").read_text("utf-8-sig"), newline="")
    )
    return [json.loads(line)["pair_id"] for line in lines], [
        row["pair_id"].removeprefix("pair-") for row in sheet
    ]


def verdicts(pulled):
    Reviews.validate(pulled.reviews, lazy=True)
    Drops.validate(pulled.bounced, lazy=True)
    return {row["pair_id"]: row["verdict"] for row in pulled.reviews.iter_rows(named=True)}


def reasons(pulled):
    return dict(pulled.bounced.select("id", "reason").iter_rows())


def test_a_pair_is_queued_once_however_often_it_is_pushed(queue, chunks, ids):
    assert queue.push(to_items(make_pairs(8), chunks)) == PushResult(new=2, already=6)
    assert queue.push(to_items(make_pairs(8), chunks)) == PushResult(new=0, already=8)
    assert queued_ids(queue) == (ids[:8], ids[:8])


def test_a_push_without_news_leaves_the_files_untouched(queue, chunks):
    before = {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in queue.folder.glob("queue.*")
    }
    queue.push(to_items(make_pairs(6), chunks))
    assert before == {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in queue.folder.glob("queue.*")
    }


def test_the_reviewer_sees_neither_split_nor_generator_nor_score(queue):
    for path in queue.folder.iterdir():
        text = path.read_text("utf-8")
        assert "secret-teacher" not in text and "0.123" not in text and "split" not in text
    item = next(iter(queue.items().values()))
    assert item["document"] == "Manual > Pumps > Care" and item["chunk_text"].startswith(
        "The pump holds"
    )


@pytest.mark.parametrize(
    ("title", "section", "place"),
    [
        ("Manual", "Pumps > Care", "Manual > Pumps > Care"),
        ("Manual", "Manual > Pumps", "Manual > Pumps"),
        ("Manual", "Manual", "Manual"),
        ("Manual", "Manuals", "Manual > Manuals"),
        ("Manual", "", "Manual"),
        ("", "Care", "Care"),
    ],
)
def test_no_title_stands_twice_before_a_passage(title, section, place):
    pair, chunk = make_pairs(1), CHUNK | {"title": title, "section": section}
    (item,) = to_items(pair, table(Chunks, [chunk]), {})
    assert item["document"] == place


def test_decisions_of_the_csv_come_back(queue, ids):
    fill_csv(
        queue,
        {
            ids[0]: {"verdict": "Accept ", "reviewer": "Ann"},
            ids[1]: {"verdict": "edit", "edited_response": "Six bar.", "reviewer": "Ann"},
            ids[2]: {
                "verdict": "reject",
                "flags": "wrong; unsafe",
                "note": "7 bar",
                "reviewer": "Ann",
            },
            ids[3]: {"verdict": "skip", "reviewer": "Ann"},
        },
    )
    pulled = queue.pull()
    assert verdicts(pulled) == {ids[0]: "accept", ids[1]: "edit", ids[2]: "reject", ids[3]: "skip"}
    rows = {row["pair_id"]: row for row in pulled.reviews.iter_rows(named=True)}
    assert rows[ids[1]]["edited_response"] == "Six bar." and rows[ids[0]]["edited_response"] is None
    assert rows[ids[2]]["flags"] == ["wrong", "unsafe"] and rows[ids[2]]["note"] == "7 bar"
    assert pulled.bounced.height == 0


@pytest.mark.parametrize(
    ("delimiter", "encoding"),
    [(";", "utf-8-sig"), (";", "cp1252"), ("\t", "utf-16"), (",", "utf-8")],
)
def test_the_csv_reads_as_spreadsheets_save_it(queue, ids, delimiter, encoding):
    fill_csv(
        queue,
        {
            ids[0]: {
                "verdict": "edit",
                "edited_response": "Größer; als 6 bar,\nimmer.",
                "reviewer": "Zoë",
            }
        },
        delimiter,
        encoding,
    )
    review = queue.pull().reviews.row(0, named=True)
    assert (review["edited_response"], review["reviewer"]) == ("Größer; als 6 bar,\nimmer.", "Zoë")


def test_a_question_is_edited_in_either_file_alone_or_with_the_response(queue, ids):
    asked = {"verdict": "edit", "edited_instruction": "How many bar?", "reviewer": "Ann"}
    fill_csv(queue, {ids[0]: asked})
    fill_jsonl(queue, {ids[1]: asked | {"edited_response": "Six bar."}})
    edited = pl.col("edited_instruction", "edited_response")
    rows = queue.pull().reviews.sort(pl.col("pair_id") == ids[1]).select(edited).rows()
    assert rows == [("How many bar?", None), ("How many bar?", "Six bar.")]


def test_the_turns_before_a_question_stay_as_they_were():
    item = {"response": "6 bar.", "instruction": "User: Hi\n\nAssistant: Hello\n\nUser: Bar?"}
    edit = Decision("0" * 16, "edit", "", (), "", "Ann")
    changed = replace(edit, edited_instruction="User: Ho\n\nAssistant: Hello\n\nUser: How many?")
    assert changed.bounce_reason(item) == "turns_changed"
    last = replace(edit, edited_instruction=f"{item['instruction']} How many?")
    assert last.bounce_reason(item) is None


def test_the_files_of_an_earlier_version_are_read_and_get_the_new_columns(queue, chunks, ids):
    fill_csv(queue, {ids[0]: {"verdict": "accept", "reviewer": "Ann"}}, keep=OLD_COLUMNS)
    path = queue.folder / "queue.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    old = [{name: value for name, value in row.items() if name in OLD_COLUMNS} for row in rows]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in old))
    assert verdicts(queue.pull()) == {ids[0]: "accept"}
    assert queue.push(to_items(make_pairs(7), chunks)) == PushResult(new=1, already=6)
    edit = {"verdict": "edit", "edited_instruction": "Why?", "reviewer": "Ann"}
    fill_csv(queue, {ids[1]: edit})
    assert verdicts(queue.pull()) == {ids[0]: "accept", ids[1]: "edit"}


def test_why_a_pair_is_to_be_mended_is_shown_and_of_the_others_nothing(queue, chunks, ids):
    queue.push(to_items(make_pairs(8), chunks, {ids[6]: "a number is not in the passage"}))
    shown = {pair_id: (item["queue"], item["hint"]) for pair_id, item in queue.items().items()}
    assert shown[ids[6]] == ("fix", "a number is not in the passage")
    assert shown[ids[5]] == shown[ids[7]] == ("audit", "")


def test_a_later_push_keeps_what_was_filled_in(queue, chunks, ids):
    fill_csv(
        queue, {ids[0]: {"verdict": "edit", "edited_response": "=6 bar", "reviewer": "Ann"}}, ";"
    )
    fill_jsonl(queue, {ids[1]: {"verdict": "accept", "reviewer": "Bo"}})
    queue.push(to_items(make_pairs(9), chunks))
    pulled = queue.pull()
    assert verdicts(pulled) == {ids[0]: "edit", ids[1]: "accept"}
    assert pulled.reviews.row(0, named=True)["edited_response"] in ("=6 bar", None)
    assert "=6 bar" in pulled.reviews["edited_response"].to_list()
    assert len(queue.items()) == 9


def test_rows_that_a_spreadsheet_lost_come_back_with_the_next_push(queue, chunks, ids):
    (queue.folder / "queue.csv").unlink()
    queue.push(to_items(make_pairs(6), chunks))
    assert queued_ids(queue) == (ids[:6], ids[:6])


BAD = {
    "unknown_verdict": {"verdict": "yes", "reviewer": "Ann"},
    "missing_verdict": {"note": "hm", "reviewer": "Ann"},
    "missing_reviewer": {"verdict": "accept"},
    "missing_edit": {"verdict": "edit", "reviewer": "Ann"},
    "same_edit": {
        "verdict": "edit",
        "edited_response": "The pump  holds 6 bar in case 0.",
        "reviewer": "Ann",
    },
    "edit_without_verdict": {"verdict": "accept", "edited_response": "Other.", "reviewer": "Ann"},
    "instruction_overwritten": {"verdict": "accept", "instruction": "Why?", "reviewer": "Ann"},
    "missing_flag": {"verdict": "reject", "note": "bad", "reviewer": "Ann"},
    "unknown_flag": {"verdict": "reject", "flags": "ugly", "reviewer": "Ann"},
    "response_overwritten": {"verdict": "accept", "response": "Seven bar.", "reviewer": "Ann"},
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_decision_is_bounced_kept_and_never_applied(queue, ids, reason):
    fill_csv(queue, {ids[0]: BAD[reason]})
    for _ in range(2):  # neither at once nor out of the stored lines later
        pulled = queue.pull()
        assert reasons(pulled) == {ids[0]: reason}
        assert pulled.reviews.height == 0
    stored = (queue.folder / "decisions.jsonl").read_text("utf-8").splitlines()
    assert len(stored) == 1 and json.loads(stored[0])["verdict"] == BAD[reason].get("verdict", "")


@pytest.mark.parametrize("reason", BAD)
def test_a_mended_decision_counts(queue, ids, reason):
    item = queue.items()[ids[0]]
    original = {name: item[name] for name in ("instruction", "response")}
    fill_csv(queue, {ids[0]: BAD[reason]})
    queue.pull()
    fill_csv(
        queue,
        {
            ids[0]: {
                "verdict": "accept",
                "flags": "",
                "edited_response": "",
                "note": "",
                "reviewer": "Ann",
                **original,
            }
        },
    )
    pulled = queue.pull()
    assert verdicts(pulled) == {ids[0]: "accept"} and reasons(pulled) == {}


def test_a_bad_decision_takes_the_earlier_one_out_until_it_is_mended(queue, ids):
    fill_csv(queue, {ids[0]: {"verdict": "accept", "reviewer": "Ann"}})
    assert queue.pull().reviews.height == 1
    fill_csv(queue, {ids[0]: {"verdict": "reject", "reviewer": "Ann"}})
    assert queue.pull().reviews.height == 0
    fill_csv(queue, {ids[0]: {"verdict": "accept", "reviewer": "Ann"}})
    assert verdicts(queue.pull()) == {ids[0]: "accept"}


def test_an_unknown_pair_is_bounced(queue, ids):
    with (queue.folder / "queue.csv").open("ab") as stream:
        stream.write(b'"deadbeefdeadbeef","","","","","","","accept","","","","","Ann"\r\n')
    assert reasons(queue.pull()) == {"deadbeefdeadbeef": "unknown_pair"}


def test_a_broken_line_is_bounced_and_its_pair_is_not_pushed_again(queue, chunks, ids):
    path = queue.folder / "queue.jsonl"
    lines = path.read_text("utf-8").splitlines()
    lines[0] = lines[0].replace('"verdict": ""', '"verdict": accept')
    path.write_text("\n".join(lines))
    assert queue.push(to_items(make_pairs(6), chunks)) == PushResult(new=0, already=6)
    assert reasons(queue.pull()) == {ids[0]: "unreadable"}
    assert path.read_text("utf-8").count(ids[0]) == 1


def test_pulling_again_gives_the_same_reviews_and_stores_nothing_twice(queue, ids):
    fill_csv(queue, {i: {"verdict": "accept", "reviewer": "Ann"} for i in ids[:6]})
    first = queue.pull()
    stored = (queue.folder / "decisions.jsonl").read_bytes()
    assert queue.pull().reviews.equals(first.reviews)
    assert (queue.folder / "decisions.jsonl").read_bytes() == stored
    assert stored.count(b"\n") == 6


def test_a_changed_mind_counts_and_both_decisions_are_kept(queue, ids):
    for verdict in ("accept", "skip", "accept"):
        fill_csv(queue, {ids[0]: {"verdict": verdict, "reviewer": "Ann"}})
        assert verdicts(queue.pull()) == {ids[0]: verdict}
    stored = (queue.folder / "decisions.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["verdict"] for line in stored] == ["accept", "skip", "accept"]


def test_two_reviewers_keep_a_decision_each(queue, ids):
    fill_csv(queue, {ids[0]: {"verdict": "accept", "reviewer": "Ann"}})
    fill_jsonl(queue, {ids[0]: {"verdict": "reject", "flags": ["wrong"], "reviewer": "Bo"}})
    pulled = queue.pull()
    assert pulled.reviews.select("reviewer", "verdict").rows() == [
        ("Ann", "accept"),
        ("Bo", "reject"),
    ]


def test_a_torn_last_line_costs_that_line_only(queue, ids):
    queue.decide(Decision(ids[0], "accept", "", (), "", "Ann"))
    with (queue.folder / "decisions.jsonl").open("ab") as stream:
        stream.write(f'{{"pair_id": "{ids[1]}", "verd'.encode())
    queue.decide(Decision(ids[2], "accept", "", (), "", "Ann"))
    pulled = queue.pull()
    assert verdicts(pulled) == {ids[0]: "accept", ids[2]: "accept"} and reasons(pulled) == {
        ids[1]: "unreadable"
    }


def test_the_later_decision_counts_wherever_its_line_stands(queue, ids):
    for verdict in ("accept", "skip"):
        queue.decide(Decision(ids[0], verdict, "", (), "", "Ann"))
    path = queue.folder / "decisions.jsonl"
    path.write_text("\n".join(reversed(path.read_text("utf-8").splitlines())))
    assert verdicts(queue.pull()) == {ids[0]: "skip"}


def test_a_decision_against_the_rules_is_refused_at_once(queue, ids):
    with pytest.raises(ReviewError, match=r"missing_flag; a reject needs a flag: not_grounded"):
        queue.decide(Decision(ids[0], "reject", "", (), "", "Ann"))
    assert not (queue.folder / "decisions.jsonl").exists()


def test_status_counts_pairs_by_where_they_stand_without_writing(queue, ids):
    fill_csv(
        queue,
        {
            ids[0]: {"verdict": "accept", "reviewer": "Ann"},
            ids[1]: {"verdict": "skip", "reviewer": "Ann"},
            ids[2]: {"verdict": "yes", "reviewer": "Ann"},
        },
    )
    assert queue.status() == dict(queued=6, open=4, skipped=1, done=1, bounced=1)
    assert not (queue.folder / "decisions.jsonl").exists()


def test_an_empty_queue_has_nothing_to_tell(tmp_path):
    queue = FileQueue(tmp_path / "none")
    assert queue.status()["queued"] == 0
    assert queue.pull().reviews.height == 0 and queue.pull().bounced.height == 0


def test_a_pair_without_its_chunk_is_refused(queue):
    with pytest.raises(ReviewError, match=r"names chunk .* not among the 0 chunks given"):
        queue.push(to_items(make_pairs(1, start=50), table(Chunks, [])))


def test_a_csv_without_its_columns_is_refused_in_one_line(queue):
    (queue.folder / "queue.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ReviewError, match=r"queue.csv has a, b; expected also pair_id, verdict"):
        queue.pull()


PUSHER = """
import sys
from pathlib import Path
from annotation.items import to_items
from annotation.queue_files import FileQueue
from pipeline.core.outcome import table
from schemas.documents import Chunks
from tests.annotation.conftest import CHUNK, make_pairs
queue = FileQueue(Path(sys.argv[1]))
print("ready", flush=True)
for size in range(1, 400):
    queue.push(to_items(make_pairs(size), table(Chunks, [CHUNK])))
"""


def test_a_push_killed_at_any_moment_is_completed_by_the_next_one(tmp_path, chunks, pytestconfig):
    queue = FileQueue(tmp_path)
    for delay in (0.05, 0.11, 0.17):
        process = subprocess.Popen(
            [sys.executable, "-c", PUSHER, str(tmp_path)],
            cwd=pytestconfig.rootpath,
            stdout=subprocess.PIPE,
        )
        with process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
    size = max(len(queue.items()), 1) + 1
    queue.push(to_items(make_pairs(size), chunks))
    expected = [short_id("pair", str(i)) for i in range(size)]
    lines, sheet = queued_ids(queue)
    assert lines == expected and sorted(sheet) == sorted(expected)


def test_the_queue_does_not_depend_on_row_order_for_its_reviews(queue, ids):
    fill_csv(queue, {i: {"verdict": "accept", "reviewer": "Ann"} for i in reversed(ids[:6])})
    assert queue.pull().reviews["pair_id"].to_list() == sorted(ids[:6])
    assert isinstance(queue.pull().reviews, pl.DataFrame)


def test_a_queue_cut_in_half_is_whole_after_the_next_push(queue, chunks, ids):
    """queue.jsonl lost lines: their pairs and what was decided on them come back."""
    fill_csv(queue, {ids[5]: {"verdict": "accept", "reviewer": "Ann"}})
    lines = (queue.folder / "queue.jsonl").read_text().splitlines(keepends=True)
    (queue.folder / "queue.jsonl").write_text("".join(lines[:2]))
    assert reasons(queue.pull()) == {ids[5]: "unknown_pair"}
    assert queue.push(to_items(make_pairs(6), chunks)) == PushResult(new=4, already=2)
    assert verdicts(queue.pull()) == {ids[5]: "accept"}
    assert queued_ids(queue) == (ids[:6], ids[:6])
