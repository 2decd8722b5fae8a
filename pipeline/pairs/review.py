"""What the decisions of people settle, and what they tell of the pairs and of the screens.

Whether a batch may be used is judged on the reviewed part of its random sample by Wald's
sequential probability ratio test (1945), truncated with the exact binomial.
"""

from collections.abc import Collection, Mapping, Sequence
from math import log
from typing import Any, Literal, NamedTuple, cast, get_args

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.pairs.harvest import WEAK_SELF_INSTRUCT
from pipeline.pairs.review_sample import Flagged, review_order
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
DECIDED = ("accepted", "edited", *DEFECTS)
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

    The latest decision of each reviewer on a pair counts; a skip takes an earlier one back. A
    reject beside an accept or edit is a disagreement until :func:`ruling` finds it settled. Beside
    an accept, an edit wins; of several edits the latest. A gold pair needs no decision. Decisions
    on ``targeted`` pairs, which were queued for what they are, are no part of the error of the
    batch, which wants a random sample. ``traffic``, pairs of exchanges, is settled like the others,
    and so are ``flagged`` pairs, which the screens dropped, when a person decided on them.

    Returns:
        The usable pairs sorted by ``pair_id``. Dropped: ``rejected`` (value: rejects),
        ``reviewers_disagree`` (value: share that would keep it), ``empty_edit``, and what
        :func:`_unreviewed` says. Metrics: counts, ``sample_*``, ``error_bound``, and the decision
        as ``batch_*`` (0 or 1). ReviewError: a ``decided_at`` is no ISO 8601 time.
    """
    if traffic is not None:
        pairs = cast("DataFrame[ScreenedPairs]", pl.concat([pairs, traffic]))
    current = current_decisions(reviews)
    if flagged is not None:
        decided = [pair_id for pair_id, rows in current.items() if votes_of(rows)]
        own = flagged.filter(pl.col("pair_id").is_in(decided)).select(pairs.columns)
        own = own.join(pairs.select("pair_id"), on="pair_id", how="anti")
        pairs = cast("DataFrame[ScreenedPairs]", pl.concat([pairs, own]))
        targeted = {*targeted, *own["pair_id"]}
    verdicts = {
        row["pair_id"]: _verdict(row, current.get(row["pair_id"], []), settings.adjudicator)
        for row in pairs.iter_rows(named=True)
    }
    sample = [
        verdicts[row["pair_id"]][0]
        for row in review_order(pairs, settings.seed)
        if row["split"] != "test" and row["pair_id"] not in targeted
    ]
    defects = [kind in DEFECTS for kind in sample if kind != "unreviewed"]
    decision = judge_batch(defects, settings.good_error, settings.max_error)
    error = sum(defects) / len(defects) if defects else 0.0
    kept: list[Row] = []
    dropped: list[Drop] = []
    for row in pairs.sort("pair_id").iter_rows(named=True):
        kind, settled = verdicts[row["pair_id"]]
        if kind == "unreviewed":
            settled = _unreviewed(row, settings, decision, error) or settled
        if isinstance(settled, Drop):
            dropped.append(settled)
        else:
            kept.append(row | {"status": kind} | settled)
    kinds = [kind for kind, _ in verdicts.values()]
    known = [rows for pair_id, rows in current.items() if pair_id in verdicts]
    metrics: dict[str, float] = {kind: kinds.count(kind) for kind in (*DECIDED, "unreviewed")} | {
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


def _verdict(row: Row, decisions: Sequence[Row], adjudicator: str) -> tuple[str, Row | Drop]:
    """Return the status of a pair and what changes in it, or why it goes and its drop."""
    pair_id = row["pair_id"]
    votes = votes_of(decisions)
    ruled = ruling(votes, adjudicator)
    rejects = [vote for vote in ruled or votes if vote["verdict"] == "reject"]
    edits = [vote for vote in ruled or () if vote["verdict"] == "edit"]
    reviewer = ", ".join(sorted(vote["reviewer"] for vote in ruled or votes)) or None
    changes: Row = {"original_instruction": None, "original_response": None, "reviewer": reviewer}
    if not votes:
        return "gold" if row["origin"] == "gold" else "unreviewed", changes
    if rejects:
        share = 0.0 if ruled else 1 - len(rejects) / len(votes)
        reason = "rejected" if ruled else "reviewers_disagree"
        why = (filter(None, (", ".join(vote["flags"]), vote["note"])) for vote in rejects)
        excerpt = f"{'; '.join(map(': '.join, why))} | {row['instruction']}"
        return reason, Drop(pair_id, reason, excerpt, share or float(len(rejects)), 1.0)
    if not edits:
        return "accepted", changes
    texts = {name: (edits[-1][f"edited_{name}"] or "").strip() for name in EDITABLE}
    if row["history"]:  # shown before the question, and none of it
        texts["instruction"] = texts["instruction"].rpartition(LAST_TURN)[2]
    if not any(texts.values()):
        return "empty_edit", Drop(pair_id, "empty_edit", row["response"], 0.0, 1.0)
    for name, text in texts.items():
        if text:
            changes |= {f"original_{name}": row[name], name: text}
    return "edited", changes


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
    """Return the upper bound of the error share (Clopper and Pearson 1934); 1 without a review."""
    if defects >= reviewed:
        return 1.0
    from scipy.special import betaincinv

    return float(betaincinv(defects + 1, reviewed - defects, confidence))


class Share(NamedTuple):
    """A share of decided pairs with its 95 % interval (Wilson 1927)."""

    name: str
    hits: int
    of: int
    share: float | None
    low: float | None
    high: float | None


class Quality(NamedTuple):
    """What people think of the pairs and of the screens."""

    audit: list[Share]  # what became of the random sample: unbiased, unlike all decisions
    screens: list[Share]  # precision of each: the share of its drops that people would not accept
    recall: float | None  # of screens that judge a pair alone: share of the unacceptable dropped


def quality(
    pairs: DataFrame[ScreenedPairs],
    flagged: Flagged,
    reviews: DataFrame[Reviews],
    settings: ReviewSettings,
    targeted: Collection[str] = frozenset(),
) -> Quality:
    """Return what decisions that count tell of pairs; ``targeted`` ones are no random sample."""
    settled = settle(pairs, reviews, settings, targeted, flagged.pairs)
    kinds = dict(settled.kept.select("pair_id", "status").iter_rows())
    kinds |= dict(settled.dropped.select("id", "reason").iter_rows())
    kinds = {pair_id: kind for pair_id, kind in kinds.items() if kind in DECIDED}
    sampled = [
        kinds[row["pair_id"]]
        for row in review_order(pairs, settings.seed)
        if row["split"] != "test" and row["pair_id"] in kinds.keys() - targeted
    ]
    audit = [share(kind, sampled.count(kind), len(sampled)) for kind in DECIDED]
    screens = _by_screen(flagged.reasons, kinds)
    bad = sum(row.share or 0 for row in audit[1:]) * pairs.height
    caught = (screens[0].share or 0) * len(flagged.reasons)
    is_known = bool(sampled) and screens[0].of and bad + caught
    return Quality(audit, screens, caught / (bad + caught) if is_known else None)


def _by_screen(reasons: Mapping[str, str], kinds: Mapping[str, Any]) -> list[Share]:
    found: dict[str, list[bool]] = {"all": []}
    for pair_id, reason in sorted(reasons.items(), key=lambda item: item[1]):
        if pair_id in kinds:
            is_bad = kinds[pair_id] != "accepted"
            found["all"].append(is_bad)
            found.setdefault(reason, []).append(is_bad)
    return [share(name, sum(bad), len(bad)) for name, bad in found.items()]


def share(name: str, hits: int, of: int) -> Share:
    """Return a share; without a decision it is unknown."""
    if not of:
        return Share(name, hits, of, None, None, None)
    from scipy.stats import binomtest

    interval = binomtest(hits, of).proportion_ci(method="wilson")
    return Share(name, hits, of, hits / of, float(interval.low), float(interval.high))


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
