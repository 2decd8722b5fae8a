"""Splits are decided by cluster, by hash alone, before any pair exists."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.typing.polars import DataFrame
from polars.testing import assert_frame_equal

from pipeline.core.cache import short_id
from pipeline.core.errors import SettingsError
from pipeline.core.outcome import Outcome, table
from pipeline.pairs.split import split
from pipeline.settings import SplitSettings
from schemas.documents import Chunks, UniqueDocuments
from schemas.pairs import GoldRows, Splits

NO_CHUNKS = table(Chunks, [])


def own_words(n: int) -> str:
    """A text that shares nothing with another one."""
    return " ".join(f"w{n}x{word}" for word in range(12))


def documents(
    numbers: Iterable[int], texts: Mapping[int, str] = MappingProxyType({})
) -> DataFrame[UniqueDocuments]:
    return table(
        UniqueDocuments,
        (
            {
                "doc_id": short_id("doc", str(n)),
                "source": f"{n}.md",
                "format": "text",
                "title": "",
                "text": texts.get(n) or own_words(n),
                "span_start": 0,
                "span_end": 1,
                "language": "en",
                "cluster_id": short_id(f"{n}.md"),
                "cluster_size": 1,
            }
            for n in numbers
        ),
    )


def assigned(numbers: range, **changed: object) -> dict[str, str]:
    outcome = split(documents(numbers), NO_CHUNKS, SplitSettings(unit="document", **changed))
    return dict(outcome.kept.select("cluster_id", "split").iter_rows())


def test_shares_are_those_asked_for():
    outcome = split(documents(range(4000)), NO_CHUNKS, SplitSettings(validation=0.1, test=0.15))
    # three standard deviations of a binomial share of 4,000
    assert outcome.metrics["test"] == pytest.approx(600, abs=3 * (4000 * 0.15 * 0.85) ** 0.5)
    assert outcome.metrics["validation"] == pytest.approx(400, abs=3 * (4000 * 0.1 * 0.9) ** 0.5)
    assert outcome.metrics["moved"] == 0
    assert outcome.balances


def test_documents_added_later_move_nothing():
    before, after = assigned(range(200)), assigned(range(900))
    assert {cluster: after[cluster] for cluster in before} == before


def test_another_salt_is_another_assignment():
    assert assigned(range(200)) != assigned(range(200), salt="other")


def test_the_split_depends_on_the_cluster_and_not_on_the_text():
    rows = documents(range(50))
    edited = rows.with_columns(doc_id=rows["doc_id"].reverse())
    one, other = (split(r, NO_CHUNKS, SplitSettings()).kept for r in (rows, edited))
    assert dict(one.select("cluster_id", "split").iter_rows()) == dict(
        other.select("cluster_id", "split").iter_rows()
    )


def test_shares_that_leave_no_train_are_refused():
    with pytest.raises(SettingsError, match=r"split\.validation"):
        split(documents(range(9)), NO_CHUNKS, SplitSettings(validation=0.5, test=0.5))


def test_a_split_with_a_share_of_zero_stays_empty():
    assert set(assigned(range(60), validation=0.0).values()) == {"train", "test"}


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(3, 40),
    st.sampled_from([0.01, 0.15, 0.45]),
    st.sampled_from([0.01, 0.1, 0.45]),
)
def test_every_split_has_a_cluster_and_the_order_of_the_input_changes_nothing(
    first, number, test, validation
):
    rows = documents(range(first, first + number))
    chosen = SplitSettings(unit="document", validation=validation, test=test)
    outcome = split(rows, NO_CHUNKS, chosen)
    Splits.validate(outcome.kept, lazy=True)
    assert outcome.balances
    assert set(outcome.kept["split"]) == {"train", "validation", "test"}
    shuffled = rows.sample(fraction=1, shuffle=True, seed=first)
    assert_frame_equal(outcome.kept, split(shuffled, NO_CHUNKS, chosen).kept)


def gold(rows: Mapping[int, int], alone: int = 0) -> DataFrame[GoldRows]:
    """So many gold rows of each document, and some without a document."""
    numbered = [(short_id("doc", str(n)), m) for n, count in rows.items() for m in range(count)]
    numbered += [("", m) for m in range(alone)]
    empty = {"question": "Why?", "input": "", "answer": "Rain.", "chunk_id": ""}
    return table(
        GoldRows,
        (
            empty | {"pair_id": short_id("gold", doc_id, str(m)), "doc_id": doc_id}
            for doc_id, m in numbered
        ),
    )


def where(outcome: Outcome[Splits]) -> dict[str, str]:
    return dict(outcome.kept.select("unit_id", "split").iter_rows())


def unit(n: int) -> str:
    return short_id(f"{n}.md")


def test_gold_rows_make_the_test_set():
    rows = gold(dict.fromkeys(range(20), 3))
    outcome = split(documents(range(216)), NO_CHUNKS, SplitSettings(), rows)
    without = split(documents(range(216)), NO_CHUNKS, SplitSettings())
    assert without.metrics["gold_test"] == 0
    assert outcome.metrics["gold_test"] >= 30
    assert outcome.metrics["gold_documents"] >= 10
    assert outcome.metrics["gold_validation"] >= 9  # half of those that are left
    assert outcome.metrics["gold_train"] >= 9
    before, after = where(without), where(outcome)
    moved = {key for key in before if before[key] != after[key]}
    assert moved <= {unit(n) for n in range(20)}
    assert {before[key] for key in moved} == {"train"}


def test_how_many_gold_rows_of_how_many_documents_is_a_setting():
    rows = gold(dict.fromkeys(range(40), 5))
    few, many = (
        split(documents(range(100)), NO_CHUNKS, SplitSettings(**wanted), rows).metrics
        for wanted in (
            {"gold_rows": 0, "gold_documents": 0},
            {"gold_rows": 80, "gold_documents": 10},
        )
    )
    assert few["gold_test"] < 60
    assert 80 <= many["gold_test"] < 85


def test_gold_rows_never_take_more_than_a_third_for_test():
    rows = gold(dict.fromkeys(range(12), 1))
    settings = SplitSettings(unit="document")
    outcome = split(documents(range(12)), NO_CHUNKS, settings, rows)
    assert outcome.metrics["test"] == 4
    assert outcome.metrics["train"] >= 4


@pytest.mark.parametrize("salt", "abcdefgh")
def test_in_a_small_corpus_documents_without_gold_rows_make_room_for_those_with(salt):
    rows = gold(dict.fromkeys(range(3), 2))
    chosen = SplitSettings(unit="document", salt=salt)
    outcome = split(documents(range(9)), NO_CHUNKS, chosen, rows)
    assert outcome.metrics["test"] == 3
    assert outcome.metrics["gold_test"] == 6
    assert outcome.metrics["train"] >= 4


def test_gold_rows_without_a_document_are_split_like_documents():
    outcome = split(documents(range(60)), NO_CHUNKS, SplitSettings(), gold({}, alone=60))
    alone = outcome.kept.filter(doc_id="")
    assert alone.height == alone["chunk_id"].n_unique() == 60
    assert 30 <= alone.filter(split="test").height < 45
    assert outcome.metrics["test"] + outcome.metrics["train"] + outcome.metrics["validation"] == 60


COMMON = " ".join(f"common{word}" for word in range(12))


def test_documents_that_share_a_quarter_are_in_one_split():
    rows = documents(range(300), {n: f"{own_words(n)} {COMMON}" for n in (3, 140, 299)})
    outcome = split(rows, NO_CHUNKS, SplitSettings())
    family = outcome.kept.filter(outcome.kept["unit_id"].is_in([unit(n) for n in (3, 140, 299)]))
    assert family["cluster_id"].n_unique() == family["split"].n_unique() == 1
    assert outcome.metrics["families"] == 298
    assert outcome.metrics["largest_family"] == 3
    assert outcome.metrics["closest"] == 0


def test_what_is_shared_across_splits_is_measured():
    passage = " ".join(f"p{word}" for word in range(8))  # four shingles of sixteen or more
    rows = documents(
        range(100), {n: f"{own_words(n)} {own_words(n + 500)} {passage}" for n in (1, 2)}
    )
    closest = {
        salt: split(rows, NO_CHUNKS, SplitSettings(salt=salt)).metrics["closest"]
        for salt in "abcdefgh"
    }
    assert set(closest.values()) == {0.0, 4 / 28}


def test_a_family_that_would_be_most_of_the_test_split_goes_to_train():
    texts = {n: f"{own_words(n)} {COMMON}" for n in range(20)}
    for salt in "abcdef":
        outcome = split(documents(range(60), texts), NO_CHUNKS, SplitSettings(salt=salt))
        assert {where(outcome)[unit(n)] for n in range(20)} == {"train"}


def test_what_was_assigned_before_stays_and_gold_rows_move_nothing_of_it():
    first = split(documents(range(80)), NO_CHUNKS, SplitSettings())
    rows = gold(dict.fromkeys(range(60, 100), 3))
    later = split(documents(range(120)), NO_CHUNKS, SplitSettings(), rows, first.kept)
    before, after = where(first), where(later)
    assert {key: after[key] for key in before} == before
    assert later.metrics["gold_test"] >= 30


def test_what_a_new_document_ties_to_a_train_document_leaves_the_test_split():
    texts = {n: " ".join(f"own{n}a{word}" for word in range(12)) for n in range(90)}
    first = split(documents(range(80), texts), NO_CHUNKS, SplitSettings())
    before = where(first)
    test, train = (
        next(n for n in range(80) if before[unit(n)] == name) for name in ("test", "train")
    )
    texts[80] = f"{texts[test]} {texts[train]}"
    later = split(documents(range(81), texts), NO_CHUNKS, SplitSettings(), None, first.kept)
    after = where(later)
    assert {after[unit(n)] for n in (test, train, 80)} == {"train"}
    assert {key for key in before if before[key] != after[key]} == {unit(test)}


def test_a_corpus_that_was_split_by_document_goes_on_so_when_it_shrinks():
    first = split(documents(range(60)), NO_CHUNKS, SplitSettings())
    later = split(documents(range(30)), NO_CHUNKS, SplitSettings(), None, first.kept)
    assert later.metrics["sections"] == 0


@pytest.mark.parametrize("number", [18, 30, 60])
def test_the_test_split_has_six_families_where_a_third_of_the_corpus_is_so_many(number):
    for salt in "abcdefgh":
        chosen = SplitSettings(unit="document", salt=salt)
        outcome = split(documents(range(number)), NO_CHUNKS, chosen)
        assert outcome.metrics["test"] >= 6
        assert outcome.metrics["test"] <= max(6, 0.35 * number)


def test_a_smaller_corpus_gives_a_third_to_test():
    chosen = SplitSettings(unit="document")
    assert split(documents(range(9)), NO_CHUNKS, chosen).metrics["test"] == 3
