"""Shares that decisions tell of the pairs and of the screens."""

import polars as pl
import pytest

from pipeline.core.outcome import table
from pipeline.pairs.review import quality, share
from pipeline.pairs.review_sample import Flagged
from pipeline.settings import ReviewSettings
from schemas.pairs import Reviews
from tests.pipeline.pairs.test_review import make_pairs, review


def test_audit_precision_and_recall_come_from_decisions_on_a_random_sample():
    pairs = make_pairs(30).with_columns(split=pl.lit("train"))
    passed, dropped = pairs.head(20), pairs.tail(10)
    ids, lost = passed["pair_id"].to_list(), dropped["pair_id"].to_list()
    rows = [review(key, "accept") for key in ids[:8]]
    rows += [review(ids[8], "edit", edited="x"), review(ids[9], "reject", flags=["wrong"])]
    rows += [review(ids[10], "reject", flags=["wrong"])]  # it was chosen for what it is
    rows += [review(key, "reject", flags=["wrong"]) for key in lost[:3]]
    rows += [review(lost[5], "accept"), review(lost[6], "skip")]
    flagged = Flagged(dropped, dict.fromkeys(lost[:5], "odd") | dict.fromkeys(lost[5:], "even"))

    reviews = table(Reviews, rows)
    found = quality(passed, flagged, reviews, ReviewSettings(), frozenset({ids[10]}))
    assert {row.name: (row.hits, row.of) for row in found.audit} == {
        "accepted": (8, 10), "edited": (1, 10), "rejected": (1, 10), "reviewers_disagree": (0, 10),
    }  # fmt: skip
    screens = {row.name: (row.hits, row.of) for row in found.screens}
    assert screens == {"all": (3, 4), "even": (0, 1), "odd": (3, 3)}
    # 0.75 of 10 dropped pairs are bad, and 0.2 of 20 that passed.
    assert found.recall == pytest.approx(7.5 / 11.5)
    nothing = quality(passed, flagged, table(Reviews, []), ReviewSettings())
    assert nothing.recall is None and nothing.audit[0].share is None


def test_the_interval_is_wilsons():
    """Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263 and 0 of 20."""
    found = share("a", 81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    found = share("a", 0, 20)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0, 0.1611)
