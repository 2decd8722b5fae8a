"""Rows of other tools in, and out again."""

import json
from pathlib import Path

import datasets
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import InputError
from pipeline.core.outcome import table
from pipeline.pairs.assignment import split_of
from pipeline.pairs.data_forms import DATA_FORMS
from pipeline.pairs.rows import import_rows, load_rows, read_turns
from pipeline.pairs.screen.judge import Criteria
from pipeline.pairs.screen.screen import screen
from pipeline.settings import CleanSettings, ScreenSettings, SplitSettings
from schemas.documents import Chunks
from schemas.pairs import Pairs, SeedTasks, Splits

SAID = [
    {"role": "system", "content": "You know pumps."},
    {"role": "user", "content": "What is P1?"},
    {"role": "assistant", "content": "A pump."},
    {"role": "user", "content": "How heavy is it?"},
    {"role": "assistant", "content": "3 kg"},
]
CONVERSATIONS = {
    "messages": {"messages": SAID},
    "messages in a column of a table": {"messages": json.dumps(SAID)},
    "parts": {
        "messages": [turn | {"content": [{"type": "text", "text": turn["content"]}]}
                     for turn in SAID],
    },
    "sharegpt": {
        "conversations": [
            {"from": name, "value": turn["content"]}
            for name, turn in zip(["human", "gpt", "human", "gpt"], SAID[1:], strict=True)
        ],
        "system": "You know pumps.",
    },
    "alpaca": {
        "instruction": "How heavy is it?", "input": "", "output": "3 kg",
        "system": "You know pumps.", "history": [["What is P1?", "A pump."]],
    },
    "prompt and completion as messages": {"prompt": SAID[:-1], "completion": SAID[-1:]},
    "a greeting before and a question behind": {
        "messages": [SAID[0], {"role": "assistant", "content": "Hello!"}, *SAID[1:],
                     {"role": "user", "content": "Thanks"}],
    },
}  # fmt: skip


@pytest.mark.parametrize("row", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_a_conversation_of_any_form_is_the_same_pair(row):
    outcome = import_rows([row], CleanSettings(), "rows.jsonl")
    Pairs.validate(outcome.kept, lazy=True)
    (pair,) = outcome.kept.to_dicts()
    assert pair["history"] == SAID[:3]
    assert (pair["instruction"], pair["response"]) == ("How heavy is it?", "3 kg")
    assert (pair["origin"], pair["generator"]) == ("rows", "rows.jsonl")
    assert outcome.metrics["turns_cut"] == (2 if len(row.get("messages", [])) == 7 else 0)


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "Sort it.", "input": "b a", "output": "a b"},
        {"Question": "Sort it.", "Input": "b a", "Answer": "a b"},
        {"prompt": "Sort it.", "input": "b a", "completion": "a b"},
    ],
)
def test_one_question_of_any_form_keeps_its_input(row):
    (pair,) = import_rows([row], CleanSettings(), "r").kept.to_dicts()
    assert (pair["instruction"], pair["input"], pair["response"]) == ("Sort it.", "b a", "a b")
    assert pair["history"] == []


def test_calls_of_tools_and_their_results_stay_in_the_text():
    call = {"id": "1", "function": {"name": "weigh", "arguments": '{"part": "P1"}'}}
    row = {
        "messages": [
            {"role": "user", "content": "How heavy is P1?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "3"},
            {"role": "tool", "content": "kg"},
            {"role": "assistant", "content": "3 kg"},
        ]
    }
    turns, _, _ = read_turns(row)
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "assistant"]
    assert turns[1]["content"] == (
        '<tool_call>\n{"name": "weigh", "arguments": {"part": "P1"}}\n</tool_call>'
    )
    assert turns[2]["content"] == (
        "<tool_response>\n3\n</tool_response>\n<tool_response>\nkg\n</tool_response>"
    )


def test_personal_data_goes_and_the_same_value_has_the_same_placeholder():
    row = {"question": "Who is ann@example.org?", "answer": "Write to ann@example.org."}
    (pair,) = import_rows([row], CleanSettings(), "r").kept.to_dicts()
    assert pair["instruction"] == "Who is <EMAIL_1>?" and pair["response"] == "Write to <EMAIL_1>."
    kept = import_rows([row], CleanSettings(redact=()), "r").kept
    assert "ann@example.org" in kept["response"][0]


def test_a_bad_row_is_dropped_with_its_reason_and_a_file_of_them_is_refused():
    good = {"question": "What is P1?", "answer": "A pump."}
    bad = [
        {"question": "What is P1?"},
        {"messages": [{"role": "user", "content": "Hi"}]},
        {"messages": [{"role": "wizard", "content": "Hi"}]},
        {"messages": [*SAID[1:3], SAID[2]]},
        {"conversations": ["Hi"]},
        good | {"history": [["Hi", None]]},
    ]
    outcome = import_rows([good, *bad, *[dict(good, n=n) for n in range(6)]], CleanSettings(), "r")
    assert outcome.balances
    assert outcome.reasons == {"malformed_row": 6, "duplicate_pair": 6}
    said = "\n".join(outcome.dropped["excerpt"])
    for words in ("no answer found", "no answer behind a question", "'wizard'", "two turns of"):
        assert words in said
    with pytest.raises(InputError, match=r"6 of 7 rows are bad \(the first: row 2: no answer"):
        import_rows([good, *bad], CleanSettings(), "r")


def test_files_folders_and_saved_data_sets_are_read(tmp_path: Path):
    rows = [{"question": f"What is P{n}?", "answer": f"Pump {n}"} for n in range(4)]
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, rows[:2])))
    pl.DataFrame(rows[2:]).write_csv(folder / "b.csv")
    assert load_rows(folder, False) == rows
    split = datasets.Dataset.from_list(rows).train_test_split(2, shuffle=False)
    split.save_to_disk(str(tmp_path / "saved"))
    assert load_rows(tmp_path / "saved", False) == rows
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no file with one of"):
        load_rows(tmp_path / "empty", False)
    with pytest.raises(InputError, match=r"hf://nobody/nothing cannot be loaded .*allow_download"):
        load_rows("hf://nobody/nothing", False)


SIGNS = st.characters(codec="utf-8", exclude_characters="\x00\x1e")
TEXT = st.text(SIGNS, max_size=40).map(str.strip).filter(bool)


@pytest.mark.parametrize("form", ["messages", "sharegpt", "alpaca"])
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4), st.none() | TEXT)
def test_what_is_written_is_read_as_the_same_turns(form, talk, system):
    turns = [{"role": "system", "content": system}] if system else []
    for question, answer in talk:
        turns += [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    written = json.loads(json.dumps(DATA_FORMS[form].row(turns, "")))
    found, given_input, _ = read_turns(written)
    assert found == turns and given_input == ""


def test_rows_that_ask_alike_stay_as_long_as_their_answers_differ():
    rows = [
        {"question": f"Is dealer {n} open late on day {n + 7} as well?", "answer": answer}
        for n, answer in enumerate(
            ["Until eight, ask at the desk.", "No, she closes at noon.", "No, she closes at noon."]
        )
    ]
    same = {
        "question": "Is dealer 0 open late on day 7 as well, please?",
        "answer": rows[0]["answer"],
    }
    pairs = import_rows([*rows, same], CleanSettings(redact=()), "r").kept
    nothing = [table(schema, []) for schema in (Pairs, Chunks, SeedTasks, Splits)]
    outcome = screen(
        *nothing, ScreenSettings(), Criteria(("en",)), pairs, SplitSettings(test=0, validation=0)
    )
    assert outcome.reasons == {"low_novelty": 1}
    assert set(outcome.kept["origin"]) == {"rows"} and set(outcome.kept["split"]) == {"train"}
    places = [split_of(f"{n:016x}", SplitSettings(test=0.5, validation=0.25)) for n in range(400)]
    assert 150 < places.count("test") < 250 and 60 < places.count("validation") < 140
