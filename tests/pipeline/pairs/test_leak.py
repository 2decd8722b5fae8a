"""Planted leaks are all found, re-wrapped or not; clean pairs raise no alarm."""

import random
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.typing.polars import DataFrame
from polars.testing import assert_frame_equal

from pipeline.core.cache import short_id
from pipeline.core.outcome import table
from pipeline.dedup.decontaminate import check_leaks, decontaminate
from pipeline.pairs.user_files import read_jsonl
from schemas.base import Drops
from schemas.pairs import SettledPairs
from tests.conftest import ROOT

GOLD = read_jsonl(ROOT / "data/gold/gold.jsonl")


def pair(question: str, answer: str, split: str, doc: str = "", **changed: str) -> dict:
    own = short_id(question, answer, split)
    doc = doc or own
    return {
        "pair_id": own,
        "instruction": question,
        "input": "",
        "response": answer,
        "evidence": "",
        "chunk_id": "",
        "doc_id": short_id(doc),
        "seed_task_id": "",
        "generator": "g",
        "prompt_version": "",
        "kind": "",
        "history": [],
        "other_chunk_id": "",
        "origin": "gold",
        "score": None,
        "split": split,
        "cluster_id": short_id("c", doc),
        "status": "gold",
        "original_instruction": None,
        "original_response": None,
        "reviewer": None,
    } | changed


def pairs(*rows: dict) -> DataFrame[SettledPairs]:
    return table(SettledPairs, rows)


def held_out(split: str = "test") -> list[dict]:
    return [pair(row["question"], row["answer"], split, row["document"]) for row in GOLD]


def rewrapped(text: str, width: int) -> str:
    """The same words on other lines, in capitals, with other punctuation."""
    return textwrap.fill(text, width).upper().replace(",", " --").rstrip(".?")


@pytest.mark.parametrize(
    "copy",
    [
        lambda row: pair(row["question"], row["answer"], "train"),
        lambda row: pair(rewrapped(row["question"], 20), rewrapped(row["answer"], 17), "train"),
        lambda row: pair(
            "Repeat what the expert said on this.",
            f"Well: {row['question']} {rewrapped(row['answer'], 25)} That is all.",
            "train",
        ),
    ],
    ids=["verbatim", "re-wrapped", "inside another answer"],
)
def test_every_planted_leak_of_the_gold_set_is_found(copy):
    tests = held_out()
    planted = [copy(row) for row in GOLD]
    found = check_leaks(pairs(*tests, *planted))
    assert {leak.pair_id for leak in found} == {row["pair_id"] for row in planted}
    by_copy = {row["pair_id"]: test["pair_id"] for row, test in zip(planted, tests, strict=True)}
    assert all(leak.test_pair_id == by_copy[leak.pair_id] for leak in found if leak.value == 1.0)


def test_a_copied_answer_below_another_question_is_found():
    answer = (
        "Hold the reset key for five seconds until the lamp turns green, then wait for the "
        "restart of the controller and enter the code again."
    )
    found = check_leaks(
        pairs(
            pair("How is the controller reset?", answer, "test"),
            pair("What must be done when the lamp stays red?", rewrapped(answer, 30), "train"),
        )
    )
    assert [(leak.kind, leak.split) for leak in found] == [("text", "test")]
    assert found[0].value > found[0].threshold == 0.5


def test_product_phrases_in_common_are_no_leak():
    phrase = "the Fernwick FW-200 greenhouse controller with firmware 4.2.1 or later and an FW-G1"
    found = check_leaks(
        pairs(
            pair(
                f"How many zones does {phrase} gateway support?",
                "Up to 24 zones can be set up, each with its own probe, valves, and limits "
                "as long as the licence covers them and the bus is not full.",
                "test",
            ),
            pair(
                f"Which cable does {phrase} need?",
                "A shielded cable with four cores of 0.5 mm.",
                "train",
            ),
        )
    )
    assert found == []


def test_the_gold_questions_of_different_documents_are_no_leaks():
    documents = sorted({row["document"] for row in GOLD})
    where = {name: "test" if number % 3 == 0 else "train" for number, name in enumerate(documents)}
    rows = [pair(r["question"], r["answer"], where[r["document"]], r["document"]) for r in GOLD]
    found = check_leaks(pairs(*rows))
    # None when this was written; a fact that two documents state may come to be one.
    assert len({leak.pair_id for leak in found}) <= 0.02 * len(rows)
    assert all(leak.kind in {"question", "text"} for leak in found)


def test_short_rows_leak_only_when_they_are_equal():
    test = pair("Which alarm?", "Alarm A17.", "test")
    assert check_leaks(pairs(test, pair("Which alarm?", "Alarm A18.", "train"))) == []
    assert check_leaks(pairs(test, pair("Why?", "Alarm A17.", "train"))) == []
    equal = check_leaks(pairs(pair("Why?", "No.", "test"), pair("why", "no", "train")))
    assert [leak.kind for leak in equal] == ["text"]


def test_an_equal_question_with_another_answer_is_a_leak():
    found = check_leaks(
        pairs(
            pair("How is the pump reset?", "Hold the key.", "test"),
            pair("how is the PUMP reset", "Nobody knows that at all.", "train"),
        )
    )
    assert [leak.kind for leak in found] == ["question"]


def test_a_cluster_in_two_splits_is_a_leak():
    one = pair("What is alpha?", "First of them.", "test", doc="d")
    other = pair("Where is omega?", "Last of all.", "train", doc="d")
    assert [leak.kind for leak in check_leaks(pairs(one, other))] == ["cluster"]
    own = other | {"doc_id": "", "cluster_id": other["pair_id"]}
    assert check_leaks(pairs(one | {"doc_id": ""}, own)) == []


def test_validation_must_not_give_away_test_but_may_share_with_itself():
    text = ("What does the lamp mean?", "It is on while the pump runs.")
    assert check_leaks(pairs(pair(*text, "validation"), pair("Another one?", "No.", "test"))) == []
    found = check_leaks(pairs(pair(*text, "validation"), pair(*text, "test")))
    assert {leak.split for leak in found} == {"test"}


def test_decontaminate_leaves_no_leak_and_names_what_leaked_where():
    tests, checks = held_out()[:20], held_out("validation")[20:40]
    planted = [pair(r["question"], rewrapped(r["answer"], 20), "train") for r in GOLD[:40]]
    clean = pair("Who built the tower of the town hall?", "A builder from the north.", "train")
    rows = pairs(*tests, *checks, *planted, clean)
    outcome = decontaminate(rows)
    Drops.validate(outcome.dropped, lazy=True)
    assert outcome.balances
    assert outcome.reasons == {"leaks_into_test": 20, "leaks_into_validation": 20}
    assert clean["pair_id"] in set(outcome.kept["pair_id"])
    assert set(outcome.dropped["id"]) == {row["pair_id"] for row in planted}
    assert check_leaks(outcome.kept) == []
    assert decontaminate(outcome.kept).dropped.height == 0


def test_decontaminate_does_not_hide_a_cluster_in_two_splits():
    one = pair("What is alpha?", "First of them.", "test", doc="d")
    other = pair("Where is omega?", "Last of all.", "train", doc="d")
    outcome = decontaminate(pairs(one, other))
    assert outcome.dropped.height == 0
    assert check_leaks(outcome.kept)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 12), st.sampled_from(["train", "validation", "test"]), st.booleans()
        ),
        max_size=20,
        unique=True,
    ),
    st.integers(0, 99),
)
def test_counts_balance_and_the_order_of_the_rows_changes_nothing(shapes, seed):
    rows = []
    for number, where, other in shapes:
        answer = rewrapped(GOLD[number]["answer"], 20) if other else GOLD[number]["answer"]
        rows.append(pair(GOLD[number]["question"], answer, where))
    outcome = decontaminate(pairs(*rows))
    assert outcome.balances
    random.Random(seed).shuffle(rows)
    again = decontaminate(pairs(*rows))
    assert_frame_equal(outcome.kept, again.kept)
    assert_frame_equal(outcome.dropped, again.dropped)
    assert check_leaks(outcome.kept) == []
