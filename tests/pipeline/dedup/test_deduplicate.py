"""One document of every cluster stays, whatever the order of the input."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipeline.core.cache import short_id
from pipeline.core.errors import InputError
from pipeline.dedup.deduplicate import deduplicate
from pipeline.settings import DedupSettings
from schemas.base import Drops
from schemas.documents import UniqueDocuments
from tests.pipeline.dedup.corpus import corpus, edited, prose

DEFAULT = DedupSettings()


def test_exact_copies_lose_against_the_smallest_id_whatever_their_case_and_white_space():
    documents = corpus(
        {"a.md": "Hold the key.\n\nThen wait.", "b.md": "hold  THE key. then wait. "}
    )
    outcome = deduplicate(documents, DEFAULT)
    longest = max(documents.to_dicts(), key=lambda row: len(row["text"]))
    assert outcome.kept["doc_id"].to_list() == [longest["doc_id"]]
    assert outcome.kept["cluster_size"].to_list() == [2]
    assert outcome.reasons == {"exact_duplicate": 1}
    assert outcome.dropped["related_id"].to_list() == [longest["doc_id"]]


def test_planted_near_duplicates_are_found_and_unrelated_texts_are_never_merged():
    texts = {f"{n}.md": prose(n) for n in range(300)}
    texts |= {f"copy-{n}.md": edited(prose(n), changes=2) for n in range(40)}
    texts |= {f"other-{n}.md": edited(prose(n), changes=30) for n in range(40, 80)}
    outcome = deduplicate(corpus(texts), DEFAULT)
    assert outcome.balances
    assert outcome.reasons == {"near_duplicate": 40}
    assert outcome.kept.filter(pl.col("cluster_size") == 2).height == 40
    source = dict(corpus(texts).select("doc_id", "source").iter_rows())
    for row in outcome.dropped.iter_rows(named=True):
        one, other = source[row["id"]], source[row["related_id"]]
        assert one.removeprefix("copy-") == other.removeprefix("copy-")
        assert 0.8 <= row["value"] < 1.0
        assert row["threshold"] == 0.8
    assert outcome.metrics["near"] == 40
    assert outcome.metrics["largest_cluster"] == 2


def test_tables_follow_their_schemas():
    texts = {"a.md": prose(1), "b.md": prose(1).upper(), "c.md": edited(prose(1), 1), "d.md": "?"}
    outcome = deduplicate(corpus(texts), DEFAULT)
    UniqueDocuments.validate(outcome.kept, lazy=True)
    Drops.validate(outcome.dropped, lazy=True)
    assert outcome.reasons == {"exact_duplicate": 1, "near_duplicate": 1}


def test_the_preferred_source_survives_then_the_longest_then_the_smallest_id():
    long, short = prose(5, 150), prose(5, 150).rsplit(" ", 4)[0]
    documents = corpus({"forum/a.md": long, "manual/a.md": short})
    by_length = deduplicate(documents, DEFAULT).kept["source"].to_list()
    preferred = DedupSettings(preferred_sources=("manual/*",))
    assert by_length == ["forum/a.md"]
    kept = deduplicate(documents, preferred).kept
    assert kept["source"].to_list() == ["manual/a.md"]
    assert kept["cluster_id"].to_list() == [short_id("manual/a.md")]


def test_documents_linked_only_through_a_third_one_are_one_cluster_and_say_how_alike_they_are():
    first = prose(9, 200)
    second = edited(first, 3, seed=1)
    third = edited(second, 3, seed=2)
    outcome = deduplicate(corpus({"1": first, "2": second, "3": third}), DEFAULT)
    assert outcome.kept["cluster_size"].to_list() == [3]
    assert sorted(outcome.dropped["value"].round(2)) == [0.76, 0.88]


def test_a_threshold_above_the_similarity_keeps_both():
    documents = corpus({"a.md": prose(3), "b.md": edited(prose(3), changes=2)})
    assert deduplicate(documents, DedupSettings(threshold=0.95, containment=0)).kept.height == 2


def test_a_cluster_of_a_template_stops_with_examples_and_a_way_out():
    texts = {f"page-{n:02}.html": edited(prose(1, 200), 1, seed=n) for n in range(40)}
    with pytest.raises(InputError, match=r"more than 20 .*page-\d\d.html.*max_cluster_share"):
        deduplicate(corpus(texts), DEFAULT)
    assert deduplicate(corpus(texts), DedupSettings(max_cluster_share=1.0)).kept.height == 1


def test_many_exact_copies_of_one_text_are_no_alarm():
    outcome = deduplicate(corpus({f"{n}.md": prose(1) for n in range(30)}), DEFAULT)
    assert outcome.reasons == {"exact_duplicate": 29}


def test_two_documents_of_one_source_are_refused():
    documents = corpus({"a.md": prose(1), "b.md": prose(2)}).with_columns(source=pl.lit("a.md"))
    with pytest.raises(InputError, match=r"a\.md is the source of two documents"):
        deduplicate(documents, DEFAULT)


def test_no_documents_give_no_documents():
    outcome = deduplicate(corpus({}), DEFAULT)
    assert outcome.balances
    assert outcome.kept.height == 0


SHAPES = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([0, 0, 1, 2, 40]), st.booleans()), max_size=14
)


@settings(max_examples=30, deadline=None)
@given(SHAPES, st.randoms(use_true_random=False))
def test_counts_balance_and_the_order_of_the_input_changes_nothing(shapes, random):
    texts = {}
    for number, (seed, changes, upper) in enumerate(shapes):
        text = edited(prose(seed), changes, seed=number)
        texts[f"{number}.md"] = text.upper() if upper else text
    documents = corpus(texts)
    outcome = deduplicate(documents, DEFAULT)
    assert outcome.balances
    assert outcome.kept["cluster_size"].sum() == documents.height
    assert set(outcome.dropped["related_id"]) <= set(outcome.kept["doc_id"])
    order = documents.sample(fraction=1, shuffle=True, seed=random.randrange(1000))
    shuffled = deduplicate(order, DEFAULT)
    assert_frame_equal(outcome.kept, shuffled.kept)
    assert_frame_equal(outcome.dropped, shuffled.dropped)
    again = deduplicate(outcome.kept.drop("cluster_id", "cluster_size"), DEFAULT)
    assert again.dropped.height == 0
