"""What stands in the prompt of the retrieval arms, and what an answer is held against."""

import polars as pl
import pytest

from pipeline.core.cache import short_id
from pipeline.core.outcome import table
from pipeline.evaluate.answers.prompts import split_thoughts, with_passage, with_thinking
from pipeline.evaluate.answers.retrieval import (
    behind_passages,
    find_chunks,
    find_passages,
    passages_of,
)
from pipeline.evaluate.measures.grounding import grounded, source_texts
from pipeline.settings import ScreenSettings
from schemas.documents import Chunks
from schemas.pairs import SettledPairs, Splits
from tests.pipeline.evaluate.conftest import QUESTIONS, examples

PLANET, LEGS = QUESTIONS[0][0], QUESTIONS[1][0]


def chunk(text, question="", start=0, title=""):
    return {
        "chunk_id": short_id("chunk", text), "doc_id": short_id("doc", question), "title": title,
        "section": "", "start": start, "end": start + len(text), "text": text, "tokens": 9,
    }  # fmt: skip


def splits_of(rows):
    return table(
        Splits,
        [
            {"doc_id": doc, "chunk_id": key, "unit_id": "0" * 16, "cluster_id": "0" * 16,
             "split": split}
            for split, doc, key in rows
        ],
    )  # fmt: skip


def split_of(question):
    """The document of a question is a test document."""
    return splits_of([("test", short_id("doc", question), "")])


CHUNKS = table(
    Chunks,
    [
        chunk("Mercury is the planet that is closest to the Sun.", PLANET, 0),
        chunk("Venus comes second.", PLANET, 60),
        chunk("A spider has eight legs and up to 8 eyes.", LEGS),
        chunk("Bread is made of flour and water."),
    ],
)


def retrieve(rows, chunks, count):
    return passages_of(find_chunks(rows, chunks, count), chunks)


def behind(rows, chunks, splits, count, share):
    return behind_passages(rows, chunks, find_passages(rows, chunks, splits, count, share))


def test_the_chunk_that_shares_the_rare_words_is_found():
    found = retrieve(examples(QUESTIONS, "test"), CHUNKS, 1)
    assert "closest to the Sun" in found[short_id(PLANET)].text
    assert found[short_id(PLANET)].doc_ids == (short_id("doc", PLANET),)
    assert "eight legs" in found[short_id(LEGS)].text
    assert found[short_id("What is seven times eight?")].chunk_ids == (CHUNKS["chunk_id"][2],)


def test_a_question_without_a_word_in_common_gets_no_passage():
    asked = examples([("Quo vadis?", "Romam.")], "test")
    assert retrieve(asked, CHUNKS, 3)[asked["pair_id"][0]] == ("", (), ())
    assert retrieve(asked, CHUNKS[:0], 3)[asked["pair_id"][0]] == ("", (), ())
    only_stop_words = examples([("Is it not?", "No.")], "test")
    assert retrieve(only_stop_words, CHUNKS, 3)[only_stop_words["pair_id"][0]].text == ""


def test_order_changes_nothing_and_equal_chunks_go_by_id():
    twins = table(
        Chunks, [chunk(f"Mercury is the closest planet.{' ' * n}", str(n)) for n in range(4)]
    )
    asked = examples(QUESTIONS, "test")
    first = retrieve(asked, twins, 2)
    assert first == retrieve(asked, twins.sample(fraction=1, shuffle=True, seed=3), 2)
    assert first[short_id(PLANET)].chunk_ids == tuple(sorted(twins["chunk_id"])[:2])


def test_a_source_is_the_chunk_of_the_pair_or_else_the_whole_document():
    asked = examples(QUESTIONS[:3], "test")
    made = {short_id(LEGS): CHUNKS["chunk_id"][3]}  # of another document
    pairs = table(
        SettledPairs,
        [
            {"pair_id": pair, "instruction": "", "input": "", "response": "", "evidence": "",
             "chunk_id": made.get(pair, ""), "doc_id": "", "seed_task_id": "", "generator": "",
             "prompt_version": "", "kind": "", "history": [], "other_chunk_id": "",
             "origin": "gold", "score": None, "split": "test",
             "cluster_id": "", "status": "gold",
             "original_instruction": None, "original_response": None, "reviewer": None}
            for pair in asked["pair_id"]
        ],
    )  # fmt: skip
    found = source_texts(asked, pairs, CHUNKS)
    assert found == {
        short_id(LEGS): "Bread is made of flour and water.",
        short_id(PLANET): "Mercury is the planet that is closest to the Sun.\nVenus comes second.",
    }  # nothing is known of the third document


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("A spider has eight legs.", 1.0),
        ("A spider has 8 legs.", 1.0),
        ("A spider has six legs.", 0.0),  # a number that stands nowhere
        ('It has "many hairy" legs and eyes.', 0.0),  # a quote that nobody wrote
        ("Butterflies drink nectar from blue flowers.", 0.0),  # other words
        ("Yes.", None),
        ("It is so.", None),  # no content word: nothing was claimed
        ("", None),
    ],
)
def test_an_answer_is_grounded_when_its_numbers_quotes_and_words_are(answer, expected):
    source = "A spider has eight legs and up to 8 eyes."
    assert grounded(answer, LEGS, source, ScreenSettings()) == expected


def test_without_a_source_nothing_can_be_said():
    assert grounded("A spider has eight legs.", LEGS, "", ScreenSettings()) is None


@pytest.mark.parametrize(
    ("text", "thoughts", "answer"),
    [
        ("Spiders are arachnids.\nAnswer: Eight legs.", "Spiders are arachnids.", "Eight legs."),
        ("First, count. The answer: eight.", "", "First, count. The answer: eight."),
        ("**Final answer:** eight", "", "eight"),
        ("Answer: six. No.\nAnswer: eight", "Answer: six. No.", "eight"),
        ("Count them. Answer: eight", "Count them.", "eight"),
        ("Eight legs.", "", "Eight legs."),
        ("", "", ""),
    ],
)
def test_the_answer_stands_behind_the_last_marker(text, thoughts, answer):
    assert split_thoughts(text) == (thoughts, answer)
    assert "Answer:" in with_thinking("Why?")


def test_training_questions_stand_behind_the_passages_of_their_documents_and_test_ones_do_not():
    rows = examples(QUESTIONS[:1], "train").vstack(examples(QUESTIONS[1:], "test"))
    found = behind(rows, CHUNKS, split_of(LEGS), 1, 1.0).filter(pair_id=short_id(PLANET))
    question, answer = found["messages"][0]
    assert question["content"] == with_passage(PLANET, CHUNKS["text"][0])
    assert answer["content"] == QUESTIONS[0][1]
    everything = behind(rows, CHUNKS, split_of(LEGS), 4, 1.0)
    assert "spider" not in everything.filter(split="train")["messages"][0][0]["content"]
    assert everything.filter(split="test").equals(rows.filter(split="test"))


def test_the_share_of_questions_behind_passages_is_the_same_in_each_run():
    pairs = [(f"Which planet is number {n}?", "Mercury.") for n in range(200)]
    rows = examples(pairs, "train").with_columns(doc_id=pl.lit(short_id("doc", PLANET)))
    found = behind(rows, CHUNKS, split_of(LEGS), 1, 0.4)
    told = [turns[0]["content"].startswith("Mercury") for turns in found["messages"]]
    assert 60 <= sum(told) <= 100
    assert behind(rows, CHUNKS, split_of(LEGS), 1, 0.0).equals(rows)
    assert behind(rows, CHUNKS[:0], split_of(LEGS), 1, 1.0).equals(rows)  # no chunks


def test_no_passage_is_of_the_test_split_or_repeats_a_test_row():
    text = "The relay of the pump closes after forty seconds when the tank is full of rain water."
    rows = examples([("When does the relay of the pump close?", "After 40 s.")], "train").vstack(
        examples([("What of the relay?", text)], "test")
    )
    one = table(Chunks, [chunk("Of the relay and the pump.", PLANET), chunk(text, PLANET, 60)])
    (own,) = one.filter(text=text)["chunk_id"]
    of_test = splits_of([("test", short_id("doc", PLANET), own),
                         ("train", short_id("doc", PLANET), one["chunk_id"][0])])  # fmt: skip
    (turn, _) = behind(rows, one, of_test, 2, 1.0).filter(split="train")["messages"][0]
    assert "Of the relay and the pump." in turn["content"] and text not in turn["content"]
    all_train = splits_of([("train", short_id("doc", PLANET), "")])
    assert behind(rows, one, all_train, 2, 1.0).equals(rows)  # it would tell the answer
