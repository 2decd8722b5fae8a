"""What the decisions of people settle.

Whether a batch may be used is judged on the reviewed part of its random sample by Wald's
sequential probability ratio test (1945), truncated with the exact binomial.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any, Literal, cast, get_args

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.pairs.harvest import WEAK_SELF_INSTRUCT
from pipeline.pairs.review_sample import review_order
from pipeline.pairs.reviewers import current_decisions, ruling, votes_of
from pipeline.settings import ReviewSettings
from schemas.base import Drops
from schemas.pairs import Reviews, ScreenedPairs, SettledPairs

ALPHA = 0.05  # risk of returning a batch whose error is `good_error`
BETA = 0.10  # risk of accepting a batch whose error is `max_error`
TRUNCATED_AT = 150
"""Reviews after which the exact binomial decides; with 2 % against 8 % the test stops before
105 reviews in 9 of 10 good batches."""
LAST_TURN = "\n\nUser: "
"""Stands before the last question of a conversation, where its turns are shown as one text."""
DEFECTS = ("rejected", "reviewers_disagree")
EDITABLE = ("instruction", "response")
Decision = Literal["accepted", "returned", "undecided"]
Row = dict[str, Any]


def settle(
    pairs: DataFrame[ScreenedPairs],
    reviews: DataFrame[Reviews],
    settings: ReviewSettings,
    targeted: Collection[str] = frozenset(),
    flagged: DataFrame[ScreenedPairs] | None = None,
    traffic: DataFrame[ScreenedPairs] | None = None,
) -> Outcome[SettledPairs]:
    """Apply the decisions of people to the pairs.

    The latest decision of each reviewer on a pair counts; a skip is an abstention and takes an
    earlier decision of the same reviewer back. A reject beside an accept or edit is a
    disagreement until :func:`ruling` finds it settled. Beside an accept, an edit wins; of several
    edits the latest. A gold pair needs no decision. Decisions on unknown pairs are counted and
    ignored; those on ``targeted`` pairs, which were queued for what they are, count for themselves,
    not for the error of the batch, which wants a random sample. ``traffic``, pairs of exchanges,
    is settled like the others, and so are ``flagged`` pairs, which the screens dropped, when a
    person decided on them.

    Returns:
        The usable pairs sorted by ``pair_id``. Dropped: ``rejected`` (value: rejects),
        ``reviewers_disagree`` (value: share that would keep it), ``empty_edit``, and what
        :func:`_unreviewed` says. Metrics: counts, ``sample_*``, ``error_bound``, and the decision
        as ``batch_*`` (0 or 1).

    Raises:
        ReviewError: a ``decided_at`` is not an ISO 8601 time.
    """
    if traffic is not None:
        pairs = cast("DataFrame[ScreenedPairs]", pl.concat([pairs, traffic]))
    current = current_decisions(reviews)
    if flagged is not None:
        pairs, taken_back = _with_taken_back(pairs, flagged, current)
        targeted = {*targeted, *taken_back}
    verdicts = {
        row["pair_id"]: _verdict(row, current.get(row["pair_id"], []), settings.adjudicator)
        for row in pairs.iter_rows(named=True)
    }
    sample = [
        verdicts[row["pair_id"]].kind
        for row in review_order(pairs, settings.seed)
        if row["split"] != "test" and row["pair_id"] not in targeted
    ]
    defects = [kind in DEFECTS for kind in sample if kind != "unreviewed"]
    decision = judge_batch(defects, settings.good_error, settings.max_error)
    error = sum(defects) / len(defects) if defects else 0.0

    kept: list[Row] = []
    dropped: list[Drop] = []
    for row in pairs.sort("pair_id").iter_rows(named=True):
        verdict = verdicts[row["pair_id"]]
        unreviewed = verdict.kind == "unreviewed"
        drop = _unreviewed(row, settings, decision, error) if unreviewed else verdict.drop
        if drop is None:
            kept.append(row | {"status": verdict.kind} | verdict.changes)
        else:
            dropped.append(drop)

    kinds = [verdict.kind for verdict in verdicts.values()]
    known = [rows for pair_id, rows in current.items() if pair_id in verdicts]
    counted = ("accepted", "edited", *DEFECTS, "unreviewed")
    metrics: dict[str, float] = {kind: kinds.count(kind) for kind in counted} | {
        "skips": sum(len(rows) - len(votes_of(rows)) for rows in known),
        "unmatched_reviews": sum(pair_id not in verdicts for pair_id in reviews["pair_id"]),
        "unreviewed_used": sum(row["status"] == "unreviewed" for row in kept),
        "sample_reviewed": len(defects),
        "sample_rejected": sum(defects),
        "sample_error": error,
        "error_bound": error_bound(sum(defects), len(defects)),
        **{f"batch_{name}": decision == name for name in get_args(Decision)},
    }
    floats = {name: float(value) for name, value in metrics.items()}
    return Outcome(table(SettledPairs, kept), drops(dropped), pairs.height, metrics=floats)


def _with_taken_back(
    pairs: DataFrame[ScreenedPairs],
    flagged: DataFrame[ScreenedPairs],
    current: Mapping[str, Sequence[Row]],
) -> tuple[DataFrame[ScreenedPairs], set[str]]:
    """Return the pairs with those flagged ones that a person decided on, and the ids of these."""
    decided = [pair_id for pair_id, rows in current.items() if votes_of(rows)]
    own = flagged.filter(pl.col("pair_id").is_in(decided))
    own = own.join(pairs.select("pair_id"), on="pair_id", how="anti").select(pairs.columns)
    return cast("DataFrame[ScreenedPairs]", pl.concat([pairs, own])), set(own["pair_id"])


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the decisions on one pair amount to."""

    kind: str  # status of the pair that stays, or the reason for which it goes
    changes: Row = field(default_factory=dict)
    drop: Drop | None = None


def _verdict(row: Row, decisions: Sequence[Row], adjudicator: str) -> _Verdict:
    pair_id = row["pair_id"]
    votes = votes_of(decisions)
    ruled = ruling(votes, adjudicator)
    rejects = [vote for vote in ruled or votes if vote["verdict"] == "reject"]
    edits = [vote for vote in ruled or () if vote["verdict"] == "edit"]
    reviewer = ", ".join(sorted(vote["reviewer"] for vote in ruled or votes)) or None
    changes: Row = {"original_instruction": None, "original_response": None, "reviewer": reviewer}
    if not votes:
        return _Verdict("gold" if row["origin"] == "gold" else "unreviewed", changes)
    if rejects:
        share = 0.0 if ruled else 1 - len(rejects) / len(votes)
        reason = "rejected" if ruled else "reviewers_disagree"
        why = (filter(None, (", ".join(vote["flags"]), vote["note"])) for vote in rejects)
        excerpt = f"{'; '.join(map(': '.join, why))} | {row['instruction']}"
        drop = Drop(pair_id, reason, excerpt, share or float(len(rejects)), 1.0)
        return _Verdict(reason, drop=drop)
    if not edits:
        return _Verdict("accepted", changes)
    texts = {name: (edits[-1][f"edited_{name}"] or "").strip() for name in EDITABLE}
    if row["history"]:  # shown before the question, and none of it
        texts["instruction"] = texts["instruction"].rpartition(LAST_TURN)[2]
    if not any(texts.values()):
        return _Verdict("empty_edit", drop=Drop(pair_id, "empty_edit", row["response"], 0.0, 1.0))
    for name, text in texts.items():
        if text:
            changes |= {f"original_{name}": row[name], name: text}
    return _Verdict("edited", changes)


def _unreviewed(
    row: Row, settings: ReviewSettings, decision: Decision, error: float
) -> Drop | None:
    """Return why a pair that nobody decided on cannot be used, or None."""
    pair_id, question = row["pair_id"], row["instruction"]
    strong, trusted = row["prompt_version"] != WEAK_SELF_INSTRUCT, settings.trust_self_instruct
    unfounded = row["origin"] == "self_instruct" and not (strong if trusted == "auto" else trusted)
    if row["split"] == "test" or row["origin"] == "traffic" or unfounded:
        return Drop(pair_id, "needs_accept", question, 0.0, 1.0)
    if settings.require == "all":
        return Drop(pair_id, "not_reviewed", question, 0.0, 1.0)
    if settings.require == "sampled" and decision != "accepted":
        return Drop(pair_id, f"batch_{decision}", question, error, settings.max_error)
    return None


def judge_batch(defects: Sequence[bool], good_error: float, max_error: float) -> Decision:
    """Accept or return a batch by the sequential probability ratio test on its sample.

    The batch is returned once the ratio passes the upper limit, even after the lower one: people
    who reviewed on have seen more, and by Wald's inequality a good batch still meets that fate
    with a chance of ALPHA / (1 - BETA) = 5.6 % at most. After TRUNCATED_AT decisions the batch is
    accepted if so few defects have a chance of BETA or less at ``max_error`` (p1; p0 is
    ``good_error``). ``defects`` are in the order of the sample.
    """
    returned_at, accepted_at = log((1 - BETA) / ALPHA), log(BETA / (1 - ALPHA))
    defect, clean = log(max_error / good_error), log((1 - max_error) / (1 - good_error))
    ratio, accepted = 0.0, False
    for bad in defects[:TRUNCATED_AT]:
        ratio += defect if bad else clean
        if ratio >= returned_at:
            return "returned"
        accepted = accepted or ratio <= accepted_at
    if accepted:
        return "accepted"
    if len(defects) < TRUNCATED_AT:
        return "undecided"
    from scipy.special import bdtr

    chance = bdtr(sum(defects[:TRUNCATED_AT]), TRUNCATED_AT, max_error)
    return "accepted" if chance <= BETA else "returned"


def error_bound(defects: int, reviewed: int, confidence: float = 0.95) -> float:
    """Return the one-sided upper bound of the error share (Clopper and Pearson 1934).

    59 clean pairs bound it below 5 %; without a review it is 1.
    """
    if defects >= reviewed:
        return 1.0
    from scipy.special import betaincinv

    return float(betaincinv(defects + 1, reviewed - defects, confidence))


def decisions(reviews: DataFrame[Reviews], bounced: DataFrame[Drops]) -> Outcome[Reviews]:
    """Take the decisions that count into the store; the others are dropped, with the reason."""
    return Outcome(kept=reviews, dropped=bounced, rows_in=reviews.height + bounced.height)


REVIEW = Stage("review", decisions, Reviews, dataset="reviews")
SETTLE = Stage(
    "settle",
    settle,
    SettledPairs,
    {"pairs": ScreenedPairs, "reviews": Reviews, "traffic": ScreenedPairs},
    section="review",
    dataset="settled_pairs",
)
