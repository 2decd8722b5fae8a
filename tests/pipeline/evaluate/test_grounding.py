"""What a model was taught: answers that stand in the documents, and those that do not."""

import polars as pl
import pytest

from pipeline.core.outcome import table
from pipeline.evaluate.gate.checks import taught_right
from pipeline.evaluate.measures.grounding import Taught, taught
from pipeline.pairs.examples import to_examples
from pipeline.settings import GateSettings, ScreenSettings, TaskSettings
from schemas.documents import Chunks
from schemas.pairs import Examples, SettledPairs
from tests.pipeline.pairs.test_generate import chunk_rows

TEXT = (
    "The pump of Lindholm runs for 40 minutes and stops when the tank holds 120 litres. "
    "Do not open the valve while it runs."
)
ANSWERS = {
    "right": "It runs for 40 minutes.",
    "number": "It runs for 90 minutes.",
    "name": "The pump of Marlow runs for 40 minutes.",
    "negated": "Open the valve while it runs.",
    "other": "Bake the bread in a warm oven until its crust is brown.",
}


def rows_of(answers, **changes):
    """Chunks, pairs and examples of one chunk: an answer a row."""
    chunks = table(Chunks, chunk_rows("pump", TEXT))
    pair = {
        "instruction": "How long does the pump run?", "input": "", "evidence": "", "doc_id": "pump",
        "chunk_id": chunks["chunk_id"][0], "seed_task_id": "", "generator": "teacher",
        "prompt_version": "1", "origin": "grounded", "kind": "fact", "history": [],
        "other_chunk_id": "", "score": None, "split": "train", "cluster_id": "c",
        "status": "unreviewed", "original_instruction": None, "original_response": None,
        "reviewer": None,
    } | changes  # fmt: skip
    pairs = [
        pair | {"pair_id": f"{number:064x}", "response": said}
        for number, said in enumerate(answers)
    ]
    examples = [
        {name: row[name] for name in ("pair_id", "doc_id", "cluster_id", "split", "origin")}
        | {"status": row["status"]}
        | {"messages": [{"role": "user", "content": row["instruction"]},
                        {"role": "assistant", "content": row["response"]}]}
        for row in pairs
    ]  # fmt: skip
    return table(Examples, examples), table(SettledPairs, pairs), chunks


@pytest.mark.parametrize("said", ANSWERS)
def test_an_answer_says_what_its_chunk_says(said):
    found = taught(*rows_of([ANSWERS["right"], ANSWERS[said]]), ScreenSettings())
    assert (found.rows, found.supported) == (2, 1 + (said == "right"))
    assert bool(found.first) == (said != "right")


def test_the_answer_that_was_trained_counts_not_the_one_that_was_screened():
    examples, pairs, chunks = rows_of([ANSWERS["right"]])
    turn = pl.element().struct.with_fields(
        content=pl.element().struct.field("content").str.replace("40", "90")
    )
    swapped = examples.with_columns(pl.col("messages").list.eval(turn))
    assert taught(swapped, pairs, chunks, ScreenSettings()).supported == 0


@pytest.mark.parametrize(
    "changes", [{"origin": "gold"}, {"origin": "traffic"}, {"status": "edited"}, {"split": "test"}]
)
def test_what_people_wrote_and_what_was_not_trained_does_not_count(changes):
    assert taught(*rows_of([ANSWERS["other"]], **changes), ScreenSettings()).rows == 0


def test_a_refusal_need_not_stand_in_the_document():
    said = "I cannot say: the documents do not tell."
    assert taught(*rows_of([said], kind="not_in_documents"), ScreenSettings()).supported == 1


@pytest.mark.parametrize("said", ["right", "number"])
def test_each_answer_of_a_conversation_is_looked_at(said):
    history = [
        {"role": "user", "content": "How long does it run?"},
        {"role": "assistant", "content": ANSWERS[said]},
    ]
    _, pairs, chunks = rows_of(
        ["It stops when the tank holds 120 litres."],
        instruction="When does it stop?", kind="conversation", history=history,
    )  # fmt: skip
    examples = to_examples(pairs, TaskSettings()).kept
    found = taught(examples, pairs, chunks, ScreenSettings())
    assert (found.rows, found.supported, found.gone) == (2, 1 + (said == "right"), 0)


def test_rows_whose_document_is_gone_are_counted_and_alone_they_do_not_pass():
    examples, pairs, chunks = rows_of([ANSWERS["right"]] * 2)
    found = taught(examples, pairs.head(1), chunks, ScreenSettings())
    assert (found.rows, found.supported, found.gone) == (1, 1, 1)
    (check,) = taught_right(found, 0.95)
    assert check.passed and "of 1 more the document is gone" in check.text
    (check,) = taught_right(taught(examples, pairs, chunks.clear(), ScreenSettings()), 0.95)
    assert not check.passed and "of 2 more" in check.text


def test_the_gate_refuses_a_fifth_of_wrong_answers_and_says_which():
    least = GateSettings().min_grounded_training
    (check,) = taught_right(Taught(190, 152, "a1b2, not_grounded_number: 90"), least)
    assert not check.passed and check.value == 0.8
    assert check.text == (
        "80% of 190 training answers made from documents stand in them, needed 95% "
        "(gate.min_grounded_training); the first that does not: a1b2, not_grounded_number: 90"
    )
    assert all(check.passed for check in taught_right(Taught(190, 190, ""), least))
    assert taught_right(Taught(0, 0, ""), least) == []
