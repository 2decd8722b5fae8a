"""The leak check is tried at each run, and no re-wrapping hides a copy."""

import json
import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import InputError, TrainingError
from pipeline.dedup.decontaminate import check_leaks, decontaminate
from pipeline.dedup.row_copies import (
    COPIES,
    LONG,
    SAMPLE,
    SHORT,
    HeldOut,
    prove,
    rewrapped,
    row,
    stream,
)
from pipeline.pairs.user_files import read_benchmark
from tests.pipeline.pairs.test_leak import GOLD, pair, pairs

ANSWERS = [f"{gold['question']} {gold['answer']}" for gold in GOLD]

WORDS = st.text(st.characters(categories=["L", "N", "P", "M"]), min_size=1, max_size=14)


def test_the_stream_survives_what_a_copy_does_to_a_text():
    plain = stream("The well-known valve re-opens at 4.2 bar, see page 7 & 8.")
    for copy in (
        "THE WELL-\nKNOWN VALVE RE-\n  OPENS AT 4.2 BAR; SEE PAGE 7 &amp; 8",
        "The **well\u2010known** valve re\u00ad-opens\nat 4.2 bar -- see\npage 7 \u200b& 8",
        "the wellknown `valve` reopens at \uff14.\uff12 bar: see page 7, 8!",
    ):
        assert stream(copy) == plain


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, min_size=12, max_size=60), st.randoms(use_true_random=False))
def test_any_re_wrapping_of_any_text_is_found(tokens, draw):
    text = " ".join(tokens)
    one = row("held", "test", (), text)
    if len(one.text) < SHORT:
        return
    check = HeldOut([one, *(row(str(n), "test", (), text) for n, text in enumerate(ANSWERS))])
    lines = "".join(f"{word}{draw.choice([' ', chr(10), '  ', chr(9)])}" for word in tokens)
    for copy in (text, lines, rewrapped(text), f"Before it. {rewrapped(text)} Behind it."):
        found = list(check.hits(row("copy", "train", (), copy)))
        assert any(hit.id == "held" and hit.value > 0.5 for hit in found), copy


def test_the_trial_plants_copies():
    rows = [row(str(number), "test", (), text) for number, text in enumerate(ANSWERS)]
    assert prove(rows, HeldOut(rows)) >= 3 * min(len(rows), SAMPLE) - 6


def test_the_same_words_in_another_order_are_no_leak():
    rows = [row(str(number), "test", (), text) for number, text in enumerate(ANSWERS)]
    check = HeldOut(rows)
    long = [one for one in rows if len(one.text) >= LONG]
    assert len(long) > 10
    for one in long:
        shuffled = random.Random(one.id).sample(one.text, len(one.text))
        assert not list(check.hits(one._replace(id="control", questions=(), text=shuffled)))


def test_a_check_that_is_blind_stops_the_run():
    rows = [row(str(number), "test", (), text) for number, text in enumerate(ANSWERS)]
    with pytest.raises(TrainingError, match=r"a verbatim copy of \d+ was planted and not found"):
        prove(rows, HeldOut(rows[:0]))


def test_each_kind_of_copy_differs_from_the_text():
    assert len({copy(ANSWERS[0]) for copy in COPIES.values()}) == len(COPIES)
    assert "\n" in rewrapped(ANSWERS[0])


def test_rows_of_a_benchmark_are_taken_out_of_train_with_their_names(tmp_path):
    path = tmp_path / "exam.jsonl"
    asked = [
        {"question": gold["question"], "choices": ["none", gold["answer"]], "label": 1}
        for gold in GOLD[:10]
    ]
    path.write_text("\n".join(map(json.dumps, asked)))
    benchmark = read_benchmark(path)
    planted = [pair(gold["question"], "Another answer.", "train") for gold in GOLD[:10]]
    quoted = pair("What is known of it?", f"Well: {rewrapped(ANSWERS[3])}", "train")
    clean = pair("Who built the tower of the town hall?", "A builder from the north.", "train")
    test = pair(GOLD[0]["question"], GOLD[0]["answer"], "test")
    outcome = decontaminate(pairs(*planted, quoted, clean, test), benchmark)
    assert outcome.reasons == {"leaks_into_benchmark": 10, "leaks_into_test": 1}
    assert set(outcome.kept["pair_id"]) == {clean["pair_id"], test["pair_id"]}
    related = set(outcome.dropped["related_id"])
    assert related == {test["pair_id"], *(f"exam.jsonl#{n}" for n in range(2, 11))}
    assert outcome.metrics["planted"] > 0
    assert check_leaks(outcome.kept, benchmark) == []


def test_every_format_of_a_benchmark_gives_the_same_texts(tmp_path):
    rows = [{"question": "What is it?", "answer": "A pump."}, {"question": "Why?", "answer": "So."}]
    frame = pl.DataFrame(rows)
    frame.write_csv(tmp_path / "b.csv")
    frame.write_csv(tmp_path / "b.tsv", separator="\t")
    frame.write_parquet(tmp_path / "b.parquet")
    (tmp_path / "b.json").write_text(json.dumps(rows))
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, rows)))
    expected = [["What is it?", "A pump."], ["Why?", "So."]]
    for name in ("b.csv", "b.tsv", "b.parquet", "b.json", "b.jsonl"):
        found = read_benchmark(tmp_path / name)
        assert [texts for _, texts in found] == expected, name
        assert found[1][0] == f"{name}#2"
    (tmp_path / "b.txt").write_text("One paragraph\nof two lines.\n\nAnother.")
    assert [texts for _, texts in read_benchmark(tmp_path / "b.txt")] == [
        ["One paragraph\nof two lines."],
        ["Another."],
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.jsonl", None, "cannot be read"),
        ("numbers.jsonl", '{"label": 1}', "1 rows and no text"),
        ("broken.json", "{", "cannot be read"),
        ("page.docx", "x", "extension '.docx' is not known"),
        ("latin.txt", b"\xe9t\xe9", "cannot be read"),
    ],
)
def test_a_benchmark_that_cannot_be_read_says_why(tmp_path, name, content, message):
    if content is not None:
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_benchmark(tmp_path / name)


def test_phrases_of_the_product_in_all_rows_cost_no_quadratic_work():
    phrase = " ".join(f"word{number}" for number in range(40))
    draw = random.Random(1)
    rows = [row(str(n), "test", (), f"{phrase} {draw.random()} own{n} end") for n in range(3000)]
    check = HeldOut(rows)
    hits = list(check.hits(row("x", "train", (), f"{phrase} and something else")))
    assert 0 < len(hits) <= 16
