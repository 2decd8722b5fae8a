"""Features of texts: worked values, order, edges."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.outcome import table
from pipeline.drift.features import (
    document_texts,
    exchange_texts,
    features,
    pair_texts,
    words,
)
from schemas.documents import UniqueDocuments
from schemas.drift import DriftFeatures
from schemas.exchanges import Exchanges
from schemas.pairs import Examples


def texts(*contents, kind="document"):
    return pl.DataFrame(
        {"id": [f"{n:03d}" for n in range(len(contents))], "kind": kind, "text": list(contents)},
        schema={"id": pl.String, "kind": pl.String, "text": pl.String},
    )


def measured(text):
    return features(texts(text), lambda value: len(value.split())).row(0, named=True)


def test_the_shape_of_a_text_is_counted_as_stated():
    found = measured("Set 12 °C, set 7.\n```\nset x\n```\n\nDone")
    assert found["characters"] == 37
    assert found["tokens"] == 10
    # set 0 c set 0 set x done: 5 different words of 8.
    assert found["type_token_ratio"] == pytest.approx(5 / 8)
    assert found["digit_share"] == pytest.approx(3 / 37)
    assert found["non_ascii_share"] == pytest.approx(1 / 37)
    assert found["code_share"] == pytest.approx(1 / 3)  # one line of three; fences do not count
    assert found["loss"] is None


def test_repetition_shows_in_the_compression_ratio():
    story = "The pump starts when the tank is full and stops as soon as the filter is dirty."
    assert measured("the pump runs. " * 40)["compression_ratio"] < 0.1
    assert measured(story)["compression_ratio"] > 0.7


def test_the_type_token_ratio_does_not_fall_with_the_length_of_a_text():
    page = " ".join(f"word{number}" for number in range(200))
    assert measured(page)["type_token_ratio"] == measured(page + " word1" * 500)["type_token_ratio"]


def test_an_empty_text_has_no_shares():
    found = measured("")
    assert found["characters"] == 0
    assert [name for name, value in found.items() if value is None] == [
        "category",
        "language",
        "type_token_ratio",
        "compression_ratio",
        "digit_share",
        "non_ascii_share",
        "code_share",
        "loss",
    ]


def test_numbers_are_one_word_so_that_new_numbers_are_no_new_vocabulary():
    assert words("Valve 3 opens at 21 °C") == ["valve", "0", "opens", "at", "0", "c"]


def test_losses_are_joined_by_id():
    rows = features(texts("one two", "three"), len, {"001": 2.5, "000": None, "zzz": 1.0})
    assert rows["loss"].to_list() == [None, 2.5]


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.text(max_size=60), max_size=8), st.randoms(use_true_random=False))
def test_any_texts_in_any_order_give_valid_rows_sorted_by_id(contents, random):
    frame = texts(*contents)
    order = list(range(len(contents)))
    random.shuffle(order)
    rows = features(frame, len)
    DriftFeatures.validate(rows)
    assert rows.equals(features(frame[order] if contents else frame, len))
    assert rows["id"].to_list() == frame["id"].to_list()


def test_documents_and_pairs_become_texts():
    document = {
        "doc_id": "0" * 16,
        "source": "a.md",
        "format": "markdown",
        "title": "A",
        "text": "Some text.",
        "span_start": 0,
        "span_end": 10,
        "language": "en",
        "cluster_id": "1" * 16,
        "cluster_size": 1,
    }
    example = {
        "pair_id": "2" * 16,
        "doc_id": "0" * 16,
        "cluster_id": "1" * 16,
        "split": "train",
        "origin": "gold",
        "status": "gold",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Why?"},
            {"role": "assistant", "content": "Because."},
        ],
    }
    documents = document_texts(table(UniqueDocuments, [document]))
    pairs = pair_texts(table(Examples, [example]))
    assert documents.vstack(pairs).rows() == [
        ("0" * 16, "document", "markdown", "Some text."),
        ("2" * 16, "pair", "gold", "Why?\n\nBecause."),
    ]
    assert pair_texts(table(Examples, [])).schema == documents.schema


def test_an_exchange_without_a_response_is_a_text_of_its_own_category():
    about = {"time": "2026-11-24T10:00:00Z", "rating": None, "file": "a.jsonl", "prompt": "Why?"}
    rows = [
        about | {"exchange_id": "0" * 16, "response": "Because."},
        about | {"exchange_id": "1" * 16, "response": None},
    ]
    found = exchange_texts(table(Exchanges, rows))
    assert found.rows() == [
        ("0" * 16, "exchange", "answered", "Why?\n\nBecause."),
        ("1" * 16, "exchange", "unanswered", "Why?"),
    ]
    measured_rows = features(found, len)
    assert measured_rows["category"].to_list() == ["answered", "unanswered"]
    assert exchange_texts(table(Exchanges, [])).schema == found.schema


def test_the_language_of_a_text_is_told_where_it_can_be():
    german = "Der Ofen ist heiß, und das Brot ist in einer halben Stunde fertig gebacken."
    english = "The oven is hot, and the bread will be baked through in half an hour."
    rows = features(texts(german, english, "12 34 / 56", "kWh"), len)
    assert rows["language"].to_list() == ["de", "en", None, None]
