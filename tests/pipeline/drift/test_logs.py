"""Logs as servers write them: each line is read or dropped with its reason."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import InputError
from pipeline.drift.logs import read_logs
from schemas.exchanges import Exchanges

GOOD = {"prompt": "Why?", "response": "Because.", "time": "2026-11-24T10:00:00Z"}


def written(folder, *lines, name="a.jsonl", encoding="utf-8", newline="\n"):
    text = newline.join(
        line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines
    )
    (folder / name).write_bytes((text + newline).encode(encoding))
    return folder


def test_good_lines_become_exchanges_in_the_order_of_time(tmp_path):
    (tmp_path / "2026").mkdir()
    written(
        tmp_path, GOOD | {"time": "2026-11-24T11:00:00+02:00", "rating": 4}, name="2026/B.JSONL"
    )
    written(tmp_path, GOOD | {"response": None}, "", GOOD | {"extra": [1]}, name="a.ndjson")
    written(tmp_path, "no log", name="notes.txt")
    found = read_logs(tmp_path)
    Exchanges.validate(found.kept)
    assert found.kept["time"].to_list() == ["2026-11-24T09:00:00Z"] + ["2026-11-24T10:00:00Z"] * 2
    assert found.kept["file"].to_list() == ["2026/B.JSONL", "a.ndjson", "a.ndjson"]
    assert found.kept["rating"].to_list() == [4.0, None, None]
    assert found.balances and found.rows_in == 3
    assert found.metrics == {"exchanges": 3.0, "unanswered": 1.0, "rated": 1.0}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "bad_json"),
        ("[" * 100_000, "bad_json"),
        ("\0\0\0", "bad_json"),
        ('"text"', "not_an_object"),
        ({"response": "x", "time": GOOD["time"]}, "no_prompt"),
        (GOOD | {"prompt": " \n"}, "no_prompt"),
        (GOOD | {"prompt": ["a"]}, "no_prompt"),
        (GOOD | {"response": {"text": "x"}}, "bad_response"),
        ({"prompt": "x", "response": "y"}, "bad_time"),
        (GOOD | {"time": "yesterday"}, "bad_time"),
        (GOOD | {"time": True}, "bad_time"),
        ('{"prompt": "x", "time": 1e400}', "bad_time"),
        ('{"prompt": "x", "time": NaN}', "bad_time"),
        (GOOD | {"time": "0001-01-01T00:00:00+14:00"}, "bad_time"),
        (GOOD, "repeated"),
    ],
)
def test_a_bad_line_is_dropped_alone_with_its_reason(tmp_path, line, reason):
    found = read_logs(written(tmp_path, GOOD, line))
    assert found.reasons == {reason: 1} and found.kept.height == 1
    assert found.dropped["id"].to_list() == ["a.jsonl:2"]
    assert found.balances


@pytest.mark.parametrize(
    ("time", "utc"),
    [
        ("2026-11-24", "2026-11-24T00:00:00Z"),
        ("2026-11-24 10:00:00.5", "2026-11-24T10:00:00.500000Z"),
        (1795514400, "2026-11-24T10:00:00Z"),
        (1795514400000, "2026-11-24T10:00:00Z"),
    ],
)
def test_times_are_written_in_one_way(tmp_path, time, utc):
    assert read_logs(written(tmp_path, GOOD | {"time": time})).kept["time"].item() == utc


@pytest.mark.parametrize("rating", ["5", None, [1], float("nan"), 10**400])
def test_a_rating_that_is_no_number_is_none(tmp_path, rating):
    found = read_logs(written(tmp_path, GOOD | {"rating": rating}))
    assert found.kept["rating"].to_list() == [None]
    assert read_logs(written(tmp_path, GOOD | {"rating": True})).kept["rating"].to_list() == [1.0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_marks_encodings_and_line_ends_survive(tmp_path, encoding, newline):
    first, second = GOOD | {"prompt": "Wie heiß?"}, GOOD | {"prompt": "Größer?"}
    found = read_logs(written(tmp_path, first, second, encoding=encoding, newline=newline))
    assert sorted(found.kept["prompt"]) == ["Größer?", "Wie heiß?"]


def test_control_characters_line_separators_and_half_surrogates_survive(tmp_path):
    raw = json.dumps(GOOD).replace("Why?", "a\0b\tc\u2028d \\ud83d")
    found = read_logs(written(tmp_path, raw))
    assert found.kept["prompt"].item() == "a\0b\tc\u2028d \ufffd"


def test_blank_responses_are_null(tmp_path):
    assert read_logs(written(tmp_path, GOOD | {"response": " "})).kept["response"].to_list() == [
        None
    ]


def test_an_empty_folder_holds_no_exchange(tmp_path):
    found = read_logs(tmp_path)
    assert found.kept.height == 0 and found.balances
    Exchanges.validate(found.kept)
    (tmp_path / "a.jsonl").touch()
    assert read_logs(tmp_path).rows_in == 0


def test_a_missing_folder_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"no such folder found; expected .*; set paths\.logs"):
        read_logs(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="a file found"):
        read_logs(tmp_path / "file")


def test_a_file_name_that_is_no_utf8_is_read(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.jsonl"
    with open(path, "wb") as stream:  # noqa: PTH123 - a path of bytes
        stream.write(json.dumps(GOOD).encode())
    assert read_logs(tmp_path).kept["file"].item() == "caf\ufffd.jsonl"


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_balance(tmp_path_factory, lines):
    folder = tmp_path_factory.mktemp("logs")
    good = [json.dumps(GOOD | {"time": hour}).encode() for hour in range(40)]
    (folder / "a.jsonl").write_bytes(b"\n".join([*good, *lines]))
    found = read_logs(folder)
    assert found.balances
    Exchanges.validate(found.kept)


def test_a_folder_of_other_files_than_logs_stops_with_the_first_line(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"messages": []}\n{"messages": []}\n' + json.dumps(GOOD))
    found = r'2 of 3 rows are bad \(the first: a.jsonl:1 no_prompt: {"messages": \[\]}\); expected'
    with pytest.raises(InputError, match=found):
        read_logs(tmp_path)
