import random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.cache import short_id
from pipeline.core.errors import ReviewError
from pipeline.core.outcome import table
from pipeline.dedup.decontaminate import decontaminate
from pipeline.pairs.review import error_bound, judge_batch, settle
from pipeline.pairs.review_sample import sample_for_review
from pipeline.settings import ReviewSettings
from schemas.base import Drops
from schemas.pairs import VERDICTS, Reviews, ScreenedPairs, SettledPairs

SPLITS = ["train", "train", "train", "validation", "test"]


def make_pairs(count, documents=10):
    rows = []
    for i in range(count):
        document = i % documents
        rows.append(
            {
                "pair_id": short_id("pair", str(i)),
                "instruction": f"Question {i}?",
                "input": "",
                "response": f"Answer {i}.",
                "evidence": "",
                "chunk_id": "",
                "doc_id": short_id("doc", str(document)),
                "seed_task_id": "",
                "generator": "g",
                "prompt_version": "v",
                "kind": "",
                "history": [],
                "other_chunk_id": "",
                "origin": "grounded",
                "score": None,
                "split": SPLITS[document % 5],
                "cluster_id": "c",
            }
        )
    return table(ScreenedPairs, rows)


def review(
    pair_id,
    verdict,
    reviewer="Ann",
    at="2026-01-01T00:00:00Z",
    edited=None,
    flags=(),
    note="",
    asked=None,
):
    return {
        "pair_id": pair_id,
        "verdict": verdict,
        "edited_instruction": asked,
        "edited_response": edited,
        "seconds": None,
        "flags": list(flags),
        "note": note,
        "reviewer": reviewer,
        "decided_at": at,
    }


def settled(pairs, rows, **settings):
    outcome = settle(pairs, table(Reviews, rows), ReviewSettings(**settings))
    SettledPairs.validate(outcome.kept, lazy=True)
    Drops.validate(outcome.dropped, lazy=True)
    assert outcome.balances
    return outcome


def one(*rows, split="train", **settings):
    """Settle one pair; return its row, or its drop."""
    pairs = make_pairs(1).with_columns(split=pl.lit(split))
    outcome = settled(pairs, rows, **settings)
    return (outcome.kept if outcome.kept.height else outcome.dropped).row(0, named=True)


PAIR = short_id("pair", "0")


# The sample.


def test_every_test_pair_comes_first_and_then_the_sample_of_the_rest():
    pairs = make_pairs(200)
    sample = sample_for_review(pairs, set(), ReviewSettings(sample_size=30))
    splits = sample["split"].to_list()
    assert splits[:40] == ["test"] * 40 and len(splits) == 70 and "test" not in splits[40:]


def test_the_sample_does_not_depend_on_row_order():
    pairs = make_pairs(200)
    shuffled = pairs.sample(fraction=1, shuffle=True, seed=3)
    settings = ReviewSettings(sample_size=30)
    assert sample_for_review(pairs, set(), settings).equals(
        sample_for_review(shuffled, set(), settings)
    )


def test_another_seed_is_another_sample():
    first, second = (
        set(
            sample_for_review(make_pairs(200), set(), ReviewSettings(sample_size=20, seed=seed))[
                "pair_id"
            ]
        )
        for seed in (1, 2)
    )
    assert first != second


def test_documents_are_sampled_in_proportion_to_their_pairs():
    pairs = make_pairs(200, documents=4)  # 50 pairs each; three of the four become one
    other = pl.lit(short_id("doc", "0"))
    first = pl.col("doc_id") == short_id("doc", "1")
    pairs = pairs.with_columns(doc_id=pl.when(first).then("doc_id").otherwise(other))
    pairs = pairs.with_columns(split=pl.lit("train"))
    sample = sample_for_review(pairs, set(), ReviewSettings(sample_size=40))
    counts = dict(sample.group_by("doc_id").len().iter_rows())
    assert (
        abs(counts[short_id("doc", "0")] - 30) <= 1 and abs(counts[short_id("doc", "1")] - 10) <= 1
    )


def test_each_pair_has_the_same_chance():
    pairs = make_pairs(60, documents=12).filter(pl.col("split") != "test")
    counts = dict.fromkeys(pairs["pair_id"], 0)
    for seed in range(300):
        for pair_id in sample_for_review(pairs, set(), ReviewSettings(sample_size=12, seed=seed))[
            "pair_id"
        ]:
            counts[pair_id] += 1
    # Binomial: standard deviation 7, so 5 of them hold 48 pairs.
    expected = 300 * 12 / pairs.height
    assert all(abs(count - expected) < 35 for count in counts.values())


def test_new_documents_leave_most_of_the_sample_as_it_was():
    old = make_pairs(200).filter(pl.col("split") != "test")
    new = make_pairs(240, documents=12).filter(~pl.col("doc_id").is_in(old["doc_id"].implode()))
    new = new.with_columns(
        pair_id=pl.Series([short_id("new", i) for i in new["pair_id"]], dtype=pl.String)
    )
    settings = ReviewSettings(sample_size=40)
    before = set(sample_for_review(old, set(), settings)["pair_id"])
    after = set(sample_for_review(pl.concat([old, new]), set(), settings)["pair_id"])
    assert len(before & after) >= 32


def test_reviewed_pairs_count_towards_the_sample_and_are_not_asked_again():
    pairs, settings = make_pairs(200), ReviewSettings(sample_size=30)
    first = sample_for_review(pairs, set(), settings)["pair_id"].to_list()
    assert sample_for_review(pairs, set(first), settings).height == 0
    part = set(first[:50])
    assert sample_for_review(pairs, part, settings)["pair_id"].to_list() == first[50:]
    more = sample_for_review(pairs, set(first), ReviewSettings(sample_size=40))
    assert more.height == 10 and not set(more["pair_id"]) & set(first)


def test_gold_pairs_are_not_sampled():
    pairs = make_pairs(20).with_columns(origin=pl.lit("gold"))
    assert sample_for_review(pairs, set(), ReviewSettings()).height == 0


# Single decisions.


def test_an_accept_makes_a_pair_accepted():
    row = one(review(PAIR, "accept"))
    assert (row["status"], row["response"], row["original_response"], row["reviewer"]) == (
        "accepted",
        "Answer 0.",
        None,
        "Ann",
    )


def test_an_edit_replaces_the_response_and_keeps_the_original():
    row = one(review(PAIR, "edit", edited="Better."), split="test")
    assert (row["status"], row["response"], row["original_response"], row["reviewer"]) == (
        "edited",
        "Better.",
        "Answer 0.",
        "Ann",
    )


def test_a_reject_drops_the_pair_with_its_flags_and_note():
    row = one(review(PAIR, "reject", flags=["wrong", "unsafe"], note="7 bar"))
    assert (row["reason"], row["value"], row["excerpt"]) == (
        "rejected",
        1.0,
        "wrong, unsafe: 7 bar | Question 0?",
    )


def test_a_skip_is_no_verdict():
    assert one(review(PAIR, "skip"))["status"] == "unreviewed"
    assert one(review(PAIR, "skip"), split="test")["reason"] == "needs_accept"


def test_the_latest_decision_of_a_reviewer_counts():
    early, late = "2026-01-01T10:00:00+02:00", "2026-01-01T09:00:00Z"  # 08:00Z and 09:00Z
    assert (
        one(review(PAIR, "reject", at=early, flags=["wrong"]), review(PAIR, "accept", at=late))[
            "status"
        ]
        == "accepted"
    )
    assert (
        one(review(PAIR, "accept", at=early), review(PAIR, "reject", at=late, flags=["wrong"]))[
            "reason"
        ]
        == "rejected"
    )
    assert (
        one(review(PAIR, "accept", at=early), review(PAIR, "skip", at=late))["status"]
        == "unreviewed"
    )


def test_accept_against_reject_drops_the_pair():
    row = one(review(PAIR, "accept", "Ann"), review(PAIR, "reject", "Bo", flags=["wrong"]))
    assert (row["reason"], row["value"], row["threshold"]) == ("reviewers_disagree", 0.5, 1.0)


def test_an_edit_beside_an_accept_wins_and_names_both():
    row = one(
        review(PAIR, "edit", "Bo", edited="Better."),
        review(PAIR, "accept", "Ann", at="2026-01-02T00:00:00Z"),
    )
    assert (row["status"], row["response"], row["reviewer"]) == ("edited", "Better.", "Ann, Bo")


def test_a_question_may_be_edited_alone_and_the_original_stays_beside_it():
    row = one(review(PAIR, "edit", asked="Which question?"))
    assert (row["instruction"], row["original_instruction"]) == ("Which question?", "Question 0?")
    assert (row["response"], row["original_response"]) == ("Answer 0.", None)


def test_of_an_edited_conversation_the_last_question_becomes_the_instruction():
    turns = [{"role": "user", "content": "First?"}, {"role": "assistant", "content": "Yes."}]
    pairs = make_pairs(1).with_columns(history=pl.lit(turns))
    edit = review(PAIR, "edit", asked="User: First?\n\nAssistant: Yes.\n\nUser: And then?")
    row = settled(pairs, [edit]).kept.row(0, named=True)
    assert row["instruction"] == "And then?" and row["history"] == turns


def test_a_question_that_becomes_one_of_the_test_set_leaks_as_any_other_row():
    pairs = make_pairs(2).with_columns(split=pl.Series(["train", "test"]))
    asked = "How is the pressure of the pump kept at six bar while the tank is being filled?"
    held_out = review(short_id("pair", "1"), "edit", "Bo", asked=asked)
    kept = decontaminate(settled(pairs, [held_out]).kept)
    assert kept.dropped.is_empty()
    kept = decontaminate(settled(pairs, [held_out, review(PAIR, "edit", asked=asked)]).kept)
    assert kept.dropped["id"].to_list() == [PAIR]


def test_an_empty_edit_never_lands_on_a_pair():
    assert one(review(PAIR, "edit", edited="  "))["reason"] == "empty_edit"
    assert one(review(PAIR, "edit"))["reason"] == "empty_edit"


def test_gold_needs_no_decision_whatever_is_required():
    pairs = make_pairs(20).with_columns(origin=pl.lit("gold"))
    assert settled(pairs, [], require="all").kept["status"].to_list() == ["gold"] * 20


@pytest.mark.parametrize("require", ["none", "sampled", "all"])
def test_nothing_synthetic_enters_the_test_set_without_an_accept(require):
    pairs = make_pairs(300)
    trained = pairs.filter(pl.col("split") != "test")["pair_id"]
    outcome = settled(pairs, [review(pair_id, "accept") for pair_id in trained], require=require)
    assert "test" not in outcome.kept["split"] and outcome.reasons == {"needs_accept": 60}


def test_a_decision_on_an_unknown_pair_is_counted_and_changes_nothing():
    outcome = settled(make_pairs(5), [review(short_id("gone"), "reject", flags=["wrong"])])
    assert outcome.metrics["unmatched_reviews"] == 1 and outcome.metrics["rejected"] == 0


def test_a_time_that_is_none_is_refused_in_one_line():
    with pytest.raises(ReviewError, match=r"decided_at 'yesterday' found; expected a time"):
        settled(make_pairs(1), [review(PAIR, "accept", at="yesterday")])


# The batch.


def reviewed_batch(rejects, reviewed=60, **settings):
    """Settle 240 pairs: the first of the sample are reviewed, the last of those rejected."""
    pairs = make_pairs(300).filter(pl.col("split") != "test")
    order = sample_for_review(pairs, set(), ReviewSettings(sample_size=reviewed))[
        "pair_id"
    ].to_list()
    rows = [
        review(pair_id, "reject" if i >= reviewed - rejects else "accept", flags=["wrong"])
        for i, pair_id in enumerate(order)
    ]
    return settled(pairs, rows, **settings)


def test_a_clean_sample_lets_the_unreviewed_pairs_in():
    outcome = reviewed_batch(0, require="sampled")
    assert outcome.metrics["batch_accepted"] == 1 and outcome.reasons == {}
    assert (
        outcome.metrics["unreviewed_used"] == 180
        and round(outcome.metrics["error_bound"], 3) == 0.049
    )


def test_a_bad_sample_returns_the_unreviewed_pairs_and_keeps_the_accepted():
    outcome = reviewed_batch(10, reviewed=40, require="sampled")
    assert outcome.reasons == {"batch_returned": 200, "rejected": 10}
    assert set(outcome.kept["status"]) == {"accepted"}
    drop = outcome.dropped.filter(reason="batch_returned").row(0, named=True)
    assert (drop["value"], drop["threshold"]) == (0.25, 0.08)


def test_a_small_sample_decides_nothing():
    assert reviewed_batch(0, reviewed=20, require="sampled").reasons == {"batch_undecided": 220}
    assert reviewed_batch(0, reviewed=20, require="none").reasons == {}


def test_require_all_uses_reviewed_pairs_only():
    outcome = reviewed_batch(1, require="all")
    assert outcome.reasons == {"not_reviewed": 180, "rejected": 1} and outcome.kept.height == 59


def test_36_clean_pairs_accept_a_batch_and_3_rejects_in_a_row_return_it():
    assert judge_batch([False] * 35, 0.02, 0.08) == "undecided"
    assert judge_batch([False] * 36, 0.02, 0.08) == "accepted"
    assert judge_batch([True] * 2, 0.02, 0.08) == "undecided"
    assert judge_batch([True] * 3, 0.02, 0.08) == "returned"


def test_later_rejects_return_a_batch_that_had_passed():
    assert judge_batch([False] * 36 + [True] * 6, 0.02, 0.08) == "returned"


def test_the_exact_binomial_ends_a_test_that_has_no_end():
    wavering = ([True] + [False] * 22) * 7  # the ratio stays between its limits
    assert judge_batch(wavering[:149], 0.02, 0.08) == "undecided"
    assert judge_batch(wavering[:150], 0.02, 0.08) == "accepted"  # P(X <= 7 | 150, .08) = .087
    assert judge_batch(wavering[:150] + [True] * 9, 0.02, 0.08) == "accepted"  # it has ended
    wavering = ([False] * 17 + [True]) * 8 + [False] * 6
    assert judge_batch(wavering[:149], 0.02, 0.08) == "undecided"
    assert judge_batch(wavering, 0.02, 0.08) == "returned"  # P(X <= 8 | 150, .08) = .154


@pytest.mark.parametrize(
    ("error", "low", "high"), [(0.005, 0, 0.01), (0.02, 0, 0.06), (0.08, 0.9, 1), (0.15, 0.99, 1)]
)
def test_the_stated_risks_hold(error, low, high):
    chance = random.Random(5)
    returned = sum(
        judge_batch([chance.random() < error for _ in range(150)], 0.02, 0.08) == "returned"
        for _ in range(2000)
    )
    assert low <= returned / 2000 <= high


def test_the_error_bound_is_clopper_and_pearsons():
    assert error_bound(0, 59) < 0.05 < error_bound(0, 58)
    assert error_bound(1, 93) < 0.05 < error_bound(1, 92) and error_bound(
        2, 124
    ) < 0.05 < error_bound(2, 123)
    assert error_bound(0, 0) == 1 and error_bound(3, 3) == 1


def test_error_shares_out_of_order_are_refused():
    with pytest.raises(ValueError, match="good_error"):
        ReviewSettings(good_error=0.1, max_error=0.05)


decisions = st.lists(
    st.builds(
        lambda i, verdict, reviewer, day: review(
            short_id("pair", str(i)),
            verdict,
            reviewer,
            f"2026-01-0{day}T00:00:00Z",
            "Better." if verdict == "edit" else None,
            ["wrong"],
        ),
        st.integers(0, 30),
        st.sampled_from(VERDICTS),
        st.sampled_from(["Ann", "Bo"]),
        st.integers(1, 9),
    ),
    max_size=40,
)


@given(decisions, st.sampled_from(["none", "sampled", "all"]), st.randoms(use_true_random=False))
def test_each_pair_is_kept_or_dropped_and_no_order_matters(rows, require, chance):
    pairs = make_pairs(30)
    first = settled(pairs, rows, require=require)
    chance.shuffle(rows)
    second = settled(pairs.sample(fraction=1, shuffle=True, seed=1), rows, require=require)
    assert (
        first.kept.equals(second.kept)
        and first.dropped.equals(second.dropped)
        and first.metrics == second.metrics
    )
    assert sorted([*first.kept["pair_id"], *first.dropped["id"]]) == sorted(pairs["pair_id"])


def test_a_self_instruct_pair_needs_an_accept_unless_the_teacher_is_trusted():
    pairs = make_pairs(1).with_columns(
        origin=pl.lit("self_instruct"), prompt_version=pl.lit("self-instruct/1")
    )
    strong = pairs.with_columns(prompt_version=pl.lit("self_instruct/0f0f0f0f"))
    assert settled(strong, []).kept.height == 1
    assert settled(strong, [], trust_self_instruct=False).kept.height == 0
    assert settled(pairs, []).dropped["reason"].to_list() == ["needs_accept"]
    assert settled(pairs, [review(PAIR, "accept")]).kept["status"].to_list() == ["accepted"]
    assert settled(pairs, [], trust_self_instruct=True).kept.height == 1


def test_targeted_pairs_are_no_part_of_the_random_sample():
    """They are queued because they are suspect: their errors say nothing about the batch."""
    pairs = make_pairs(40)
    settings = ReviewSettings(sample_size=10)
    plain = sample_for_review(pairs, set(), settings)
    suspects = set(plain.filter(pl.col("split") != "test")["pair_id"][:4])
    sample = sample_for_review(pairs, set(), settings, suspects)
    assert not suspects & set(sample["pair_id"])
    assert sample.filter(pl.col("split") != "test").height == 10
    reviews = table(Reviews, [review(key, "reject", flags=["wrong"]) for key in sorted(suspects)])
    judged = settle(pairs, reviews, settings, suspects)
    assert judged.metrics["sample_reviewed"] == 0
    assert judged.metrics["rejected"] == 4
    assert settle(pairs, reviews, settings).metrics["sample_rejected"] == 4
