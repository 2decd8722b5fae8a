"""Whose decisions count, and what pairs still lack: conflicts, overlap, gold items, held back."""

import polars as pl
import pytest

from pipeline.core.cache import short_id
from pipeline.core.outcome import Drop, drops, table
from pipeline.pairs.review import settle
from pipeline.pairs.review_sample import GoldItem, flagged_pairs, gold_items, is_overlap
from pipeline.pairs.reviewers import Policy
from pipeline.settings import ReviewSettings
from schemas.pairs import GoldRows, Pairs, Reviews, Splits
from tests.pipeline.pairs.test_review import make_pairs, review, settled

P = [short_id("pair", str(i)) for i in range(200)]
ALONE = ReviewSettings(overlap=0)


def decided(*rows):
    return table(Reviews, rows)


def reject(pair_id, reviewer, at="2026-01-01T00:00:00Z"):
    return review(pair_id, "reject", reviewer, at=at, flags=["wrong"])


def test_a_pair_lacks_as_many_decisions_as_people_should_take():
    rows = decided(review(P[0], "accept"), review(P[1], "skip"))
    assert Policy(ALONE).missing(rows, P[:3]) == {P[0]: 0, P[1]: 1, P[2]: 1}
    assert Policy(ALONE, people=2).missing(rows, P[:3]) == {P[0]: 1, P[1]: 2, P[2]: 2}


def test_a_tenth_of_the_pairs_is_asked_of_two_once_two_people_review():
    settings = ReviewSettings()
    overlap = {pair_id for pair_id in P if is_overlap(pair_id, settings)}
    assert 10 <= len(overlap) <= 32  # binomial: 20, standard deviation 4
    one = decided(*(review(pair_id, "accept") for pair_id in P))
    assert set(Policy(settings).missing(one, P).values()) == {0}
    two = decided(*one.to_dicts(), review(P[0], "accept", "Bo"))
    lacking = Policy(settings).missing(two, P)
    assert {pair_id for pair_id, count in lacking.items() if count} == overlap - {P[0]}


def test_people_who_disagree_need_a_third_and_the_majority_decides():
    split = [review(P[0], "accept", "Ann"), reject(P[0], "Bo")]
    policy = Policy(ALONE)
    assert policy.missing(decided(*split), P[:1]) == {P[0]: 1}
    assert policy.open_to("Cy", decided(*split), P[:1]) == {P[0]}
    assert policy.open_to("Ann", decided(*split), P[:1]) == set()
    assert policy.disputed(decided(*split)) == {P[0]}
    outcome = settled(make_pairs(1), split, overlap=0)
    assert outcome.dropped["reason"].to_list() == ["reviewers_disagree"]

    edit = [*split, review(P[0], "edit", "Cy", edited="Better.")]
    assert policy.missing(decided(*edit), P[:1]) == {P[0]: 0}
    row = settled(make_pairs(1), edit).kept.row(0, named=True)
    assert (row["status"], row["response"], row["reviewer"]) == ("edited", "Better.", "Ann, Cy")
    outcome = settled(make_pairs(1), [*split, reject(P[0], "Cy")])
    assert outcome.dropped["reason"].to_list() == ["rejected"]


def test_with_an_adjudicator_nobody_else_settles_a_disagreement():
    policy = Policy(ReviewSettings(overlap=0, adjudicator="Zoe"))
    rows = [review(P[0], "accept", "Ann"), reject(P[0], "Bo"), review(P[0], "accept", "Cy")]
    assert policy.open_to("Dee", decided(*rows), P[:2]) == {P[1]}
    assert policy.open_to("Zoe", decided(*rows), P[:2]) == {P[0], P[1]}
    assert settled(make_pairs(1), rows, adjudicator="Zoe").kept.is_empty()
    rows.append(reject(P[0], "Zoe"))
    assert policy.missing(decided(*rows), P[:1]) == {P[0]: 0}
    outcome = settled(make_pairs(1), rows, adjudicator="Zoe")
    assert outcome.dropped["reason"].to_list() == ["rejected"]


GOLD = {
    key: GoldItem(key, short_id("source", key), expected, ("Max",))
    for key, expected in zip(P[100:106], ["keep", "reject"] * 3, strict=True)
}
RIGHT = [review(key, "accept" if item.expected == "keep" else "reject", "Ann", flags=["wrong"])
         for key, item in GOLD.items()]  # fmt: skip
WRONG = [review(key, "accept", "Bo") for key in GOLD]


def test_gold_answers_tell_of_the_reviewer_and_never_of_a_pair():
    rows = decided(*RIGHT, *WRONG, review(P[0], "accept", "Bo"), *WRONG[:1])
    rows = decided(*rows.to_dicts(), review(P[100], "reject", "Max"))
    policy = Policy(ALONE, gold=GOLD)
    found = {row.reviewer: (row.gold_right, row.gold_answered) for row in policy.reviewers(rows)}
    assert found == {"Ann": (6, 6), "Bo": (4, 7), "Max": (0, 0)}  # a maker is not tested
    counting, others = policy.counting(rows)
    assert counting["pair_id"].to_list() == [P[0]]
    assert {drop.reason for drop in others} == {"gold_item"}


@pytest.mark.parametrize(("least", "held"), [(0.0, False), (0.5, False), (0.51, True)])
def test_a_reviewer_below_the_least_accuracy_is_held_back_and_the_pair_asked_again(least, held):
    rows = decided(*RIGHT, *WRONG, review(P[0], "accept", "Bo"))
    policy = Policy(ReviewSettings(overlap=0, min_gold_accuracy=least), gold=GOLD)
    counting, others = policy.counting(rows)
    assert counting["pair_id"].to_list() == ([] if held else [P[0]])
    assert policy.missing(rows, P[:1]) == {P[0]: int(held)}
    assert policy.open_to("Bo", rows, P[:1]) == set()
    assert policy.open_to("Ann", rows, P[:1]) == ({P[0]} if held else set())
    told = [(drop.id, drop.value, drop.threshold) for drop in others if drop.reason == "held_back"]
    assert told == ([(P[0], 0.5, least)] if held else [])


def test_four_gold_answers_hold_nobody_back():
    policy = Policy(ReviewSettings(min_gold_accuracy=1), gold=GOLD)
    assert not any(row.held_back for row in policy.reviewers(decided(*WRONG[:4])))


def test_what_was_decided_before_a_pair_was_asked_again_does_not_count():
    rows = decided(review(P[0], "accept", "Ann"), review(P[1], "accept", "Ann"))
    policy = Policy(ALONE, asked_again={P[0]: "2026-01-02T00:00:00Z"})
    assert policy.missing(rows, P[:2]) == {P[0]: 1, P[1]: 0}
    assert policy.open_to("Ann", rows, P[:2]) == {P[0]}
    later = decided(review(P[0], "accept", "Ann", at="2026-01-03T00:00:00Z"))
    assert policy.missing(later, P[:1]) == {P[0]: 0}


def test_share_of_edits_and_median_time_are_of_the_pairs_alone():
    rows = [review(P[i], "edit", edited="x") | {"seconds": float(i)} for i in range(3)]
    rows += [review(P[3], "accept"), review(P[4], "skip") | {"seconds": 99.0}]
    (ann,) = Policy(ALONE).reviewers(decided(*rows))
    assert (ann.decisions, ann.edit_share, ann.median_seconds) == (4, 0.75, 1.0)


def test_gold_items_come_from_agreed_pairs_and_from_the_file_of_the_user():
    both = [review(P[0], "accept", "Ann"), review(P[0], "accept", "Bo"), reject(P[1], "Ann")]
    both += [reject(P[1], "Bo"), review(P[2], "accept"), review(P[3], "edit", edited="x")]
    both += [review(P[3], "accept", "Bo")]
    rows = [
        {"pair_id": short_id(str(i)), "question": f"Q{i}?", "input": "", "answer": f"A{i}",
         "doc_id": short_id("doc", str(i)), "chunk_id": short_id("chunk", str(i))}
        for i in range(40)
    ]  # fmt: skip
    agreed = Policy(ALONE).agreed(decided(*both))
    found = gold_items(agreed, make_pairs(5), table(GoldRows, rows), 7)
    made = {item.source: (item, row) for item, row in found}
    assert len(made) == 42 and {row["pair_id"] for _, row in found}.isdisjoint(P)
    assert [made[key][0].expected for key in P[:2]] == ["keep", "reject"]
    assert made[P[0]][0].makers == ("Ann", "Bo")
    assert made[P[0]][1]["response"] == "Answer 0."
    wrong = 0
    for row in rows:
        item, shown = made[row["pair_id"]]
        assert (item.expected == "keep") == (shown["response"] == row["answer"])
        assert shown["chunk_id"] == row["chunk_id"]
        wrong += item.expected == "reject"
    assert 10 <= wrong <= 30
    assert found == gold_items(agreed, make_pairs(5), table(GoldRows, rows[::-1]), 7)


def test_what_a_screen_dropped_may_be_taken_back_by_a_person():
    pairs = make_pairs(12).with_columns(split=pl.lit("train"))
    candidates = pairs.select(Pairs.columns())
    lost = [("not_grounded_number", 5), ("near_duplicate_question", 6), ("refers_to_text", 7)]
    ledger = drops(Drop(P[i], reason) for reason, i in lost)
    place = {"chunk_id": "", "unit_id": "0" * 16, "cluster_id": "f" * 16, "split": "validation"}
    splits = table(Splits, [place | {"doc_id": key} for key in set(pairs["doc_id"])])
    flagged = flagged_pairs(candidates, ledger, splits, 7)
    # A near duplicate can be judged beside the other pair only.
    assert flagged.reasons == {P[5]: "not_grounded_number", P[7]: "refers_to_text"}
    assert flagged.pairs["split"].to_list() == ["validation"] * 2

    passed = pairs.filter(~pl.col("pair_id").is_in([P[5], P[6], P[7]]))
    rows = decided(review(P[5], "accept"), review(P[7], "skip"))
    outcome = settle(passed, rows, ReviewSettings(), flagged=flagged.pairs)
    status = dict(outcome.kept.select("pair_id", "status").iter_rows())
    assert status[P[5]] == "accepted" and P[7] not in status and outcome.balances
    assert outcome.metrics["sample_reviewed"] == 0  # it was not chosen by chance
