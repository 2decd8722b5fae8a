"""Splits are decided by cluster, by hash alone, before any pair exists."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.typing.polars import DataFrame
from polars.testing import assert_frame_equal

from pipeline.core.cache import short_id
from pipeline.core.errors import SettingsError
from pipeline.core.outcome import table
from pipeline.pairs.split import split
from pipeline.settings import SplitSettings
from schemas.documents import Chunks, UniqueDocuments
from schemas.pairs import Splits

NO_CHUNKS = table(Chunks, [])


def documents(numbers: range) -> DataFrame[UniqueDocuments]:
    return table(
        UniqueDocuments,
        (
            {
                "doc_id": short_id("doc", str(n)),
                "source": f"{n}.md",
                "format": "text",
                "title": "",
                "text": "x",
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
    outcome = split(documents(numbers), NO_CHUNKS, SplitSettings(**changed))
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
    chosen = SplitSettings(validation=validation, test=test)
    outcome = split(rows, NO_CHUNKS, chosen)
    Splits.validate(outcome.kept, lazy=True)
    assert outcome.balances
    assert set(outcome.kept["split"]) == {"train", "validation", "test"}
    shuffled = rows.sample(fraction=1, shuffle=True, seed=first)
    assert_frame_equal(outcome.kept, split(shuffled, NO_CHUNKS, chosen).kept)
