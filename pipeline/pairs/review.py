"""Which pairs people see, and what their decisions settle.

The sample is a seeded systematic sample: within each stratum (split, origin, document) the
pairs are ranked by a hash, and the pair of rank r among m gets the key (r + u) / m, u being a
hash of the stratum in [0, 1). The smallest keys come first. Each key is uniform over [0, 1), so
every pair has the same chance, each stratum is represented in proportion to its size, and new
documents only displace pairs at the end of the sample.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.errors import ReviewError
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.pairs.acceptance import Decision, error_bound, judge_batch
from pipeline.settings import ReviewSettings
from schemas.drops import Drops
from schemas.pairs import ScreenedPairs, SettledPairs
from schemas.reviews import Reviews

Row = dict[str, Any]


def sample_for_review(
    pairs: DataFrame[ScreenedPairs],
    reviewed: AbstractSet[str],
    settings: ReviewSettings,
    targeted: AbstractSet[str] = frozenset(),
) -> DataFrame[ScreenedPairs]:
    """Choose the pairs that people should see next, in the order in which to show them.

    Args:
        pairs: screened pairs of all splits; gold pairs are never sampled, a person wrote them.
        reviewed: ids of the pairs that have a decision; they count towards the sample size.
        settings: ``sample_size`` and ``seed`` are used.
        targeted: ids that were queued for what they are (drifted); no part of a random sample.

    Returns:
        Every unreviewed pair of the test split, then as many of train and validation as are
        missing from ``sample_size``; the columns of ScreenedPairs.
    """
    ordered = _review_order(pairs, settings.seed)
    test = [row for row in ordered if row["split"] == "test"]
    rest = [row for row in ordered if row["split"] != "test" and row["pair_id"] not in targeted]
    missing = settings.sample_size - sum(row["pair_id"] in reviewed for row in rest)
    waiting = [row for row in rest if row["pair_id"] not in reviewed]
    chosen = [row for row in test if row["pair_id"] not in reviewed] + waiting[: max(0, missing)]
    return table(ScreenedPairs, chosen)


def settle(
    pairs: DataFrame[ScreenedPairs],
    reviews: DataFrame[Reviews],
    settings: ReviewSettings,
    targeted: AbstractSet[str] = frozenset(),
) -> Outcome[SettledPairs]:
    """Apply the decisions of people to the pairs.

    The latest decision of each reviewer on a pair counts; a skip is an abstention and takes an
    earlier decision of the same reviewer back. Any reject beside an accept or edit is a
    disagreement. Beside an accept, an edit wins; of several edits the latest. A gold pair needs
    no decision.

    Args:
        pairs: screened pairs; gold pairs may be among them.
        reviews: decisions in any order; those on unknown pairs are counted and ignored.
        settings: what training may use (``require``) and the error shares of the test.
        targeted: ids that were queued for what they are; their decisions count for themselves,
            not for the error of the batch, which wants a random sample.

    Returns:
        The usable pairs sorted by ``pair_id``. Dropped: ``rejected`` (value: rejects),
        ``reviewers_disagree`` (value: share that would keep it), ``empty_edit``,
        ``needs_accept`` (test split, and self-instruct pairs unless ``trust_self_instruct``),
        ``not_reviewed`` (``require=all``), ``batch_returned`` and
        ``batch_undecided`` (``require=sampled``; value: rejected share of the sample, threshold:
        ``max_error``). Metrics: counts, ``sample_*``, ``error_bound`` (one-sided 95 %,
        Clopper-Pearson) and the decision as ``batch_accepted``, ``batch_returned`` and
        ``batch_undecided`` (0 or 1).

    Raises:
        ReviewError: a ``decided_at`` is not an ISO 8601 time.
    """
    current = _current_decisions(reviews)
    known = set(pairs["pair_id"])
    verdicts = {
        row["pair_id"]: _verdict(row, current.get(row["pair_id"], []))
        for row in pairs.iter_rows(named=True)
    }
    sample = [
        verdicts[row["pair_id"]].kind
        for row in _review_order(pairs, settings.seed)
        if row["split"] != "test" and row["pair_id"] not in targeted
    ]
    judged = [kind in ("rejected", "reviewers_disagree") for kind in sample if kind != "unreviewed"]
    decision = judge_batch(judged, settings.good_error, settings.max_error)
    error = sum(judged) / len(judged) if judged else 0.0

    kept: list[Row] = []
    dropped: list[Drop] = []
    for row in pairs.sort("pair_id").iter_rows(named=True):
        verdict = verdicts[row["pair_id"]]
        drop = verdict.drop
        if verdict.kind == "unreviewed":
            drop = _unreviewed(row, settings, decision, error)
        if drop is not None:
            dropped.append(drop)
        else:
            kept.append(row | verdict.changes)

    kinds = [verdict.kind for verdict in verdicts.values()]
    metrics: dict[str, float] = {
        kind: kinds.count(kind)
        for kind in ("accepted", "edited", "rejected", "reviewers_disagree", "unreviewed")
    }
    metrics |= {
        "skips": sum(d["verdict"] == "skip" for p, ds in current.items() if p in known for d in ds),
        "unmatched_reviews": reviews.filter(~pl.col("pair_id").is_in(sorted(known))).height,
        "unreviewed_used": sum(row["status"] == "unreviewed" for row in kept),
        "sample_reviewed": len(judged),
        "sample_rejected": sum(judged),
        "sample_error": error,
        "error_bound": error_bound(sum(judged), len(judged)),
        "batch_accepted": decision == "accepted",
        "batch_returned": decision == "returned",
        "batch_undecided": decision == "undecided",
    }
    return Outcome(
        kept=table(SettledPairs, kept),
        dropped=drops(dropped),
        rows_in=pairs.height,
        metrics={name: float(value) for name, value in metrics.items()},
    )


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the decisions on one pair amount to."""

    kind: str
    changes: Row
    drop: Drop | None = None


def _verdict(row: Row, decisions: Sequence[Row]) -> _Verdict:
    votes = [decision for decision in decisions if decision["verdict"] != "skip"]
    if not votes:
        status = "gold" if row["origin"] == "gold" else "unreviewed"
        return _Verdict(status, {"status": status, "original_response": None, "reviewer": None})
    rejects = [vote for vote in votes if vote["verdict"] == "reject"]
    edits = [vote for vote in votes if vote["verdict"] == "edit"]
    reviewer = ", ".join(sorted(vote["reviewer"] for vote in votes))
    if rejects:
        said = "; ".join(_words(vote) for vote in rejects)
        share = 1 - len(rejects) / len(votes)
        drop = Drop(
            row["pair_id"], "reviewers_disagree", f"{said} | {row['instruction']}", share, 1.0
        )
        if not share:
            drop = Drop(
                row["pair_id"],
                "rejected",
                f"{said} | {row['instruction']}",
                float(len(rejects)),
                1.0,
            )
        return _Verdict(drop.reason, {}, drop)
    if not edits:
        return _Verdict(
            "accepted", {"status": "accepted", "original_response": None, "reviewer": reviewer}
        )
    response = (edits[-1]["edited_response"] or "").strip()
    if not response:
        return _Verdict(
            "empty_edit", {}, Drop(row["pair_id"], "empty_edit", row["response"], 0.0, 1.0)
        )
    return _Verdict(
        "edited",
        {
            "status": "edited",
            "original_response": row["response"],
            "response": response,
            "reviewer": reviewer,
        },
    )


def _words(vote: Row) -> str:
    return ": ".join(part for part in (", ".join(vote["flags"]), vote["note"]) if part)


def _unreviewed(
    row: Row, settings: ReviewSettings, decision: Decision, error: float
) -> Drop | None:
    """Return why a pair that nobody decided on cannot be used, or None."""
    pair_id, question = row["pair_id"], row["instruction"]
    unfounded = row["origin"] == "self_instruct" and not settings.trust_self_instruct
    if row["split"] == "test" or unfounded:
        return Drop(pair_id, "needs_accept", question, 0.0, 1.0)
    if settings.require == "all":
        return Drop(pair_id, "not_reviewed", question, 0.0, 1.0)
    if settings.require == "sampled" and decision != "accepted":
        return Drop(pair_id, f"batch_{decision}", question, error, settings.max_error)
    return None


def _current_decisions(reviews: DataFrame[Reviews]) -> dict[str, list[Row]]:
    """Return the latest decision of each reviewer by pair, oldest first."""
    latest: dict[tuple[str, str], tuple[datetime, str, Row]] = {}
    for row in reviews.iter_rows(named=True):
        # Equal times are told apart by the content, never by the order of the rows.
        content = "\0".join(str(row[name]) for name in ("verdict", "edited_response", "note"))
        entry = (_time(row), content, row)
        key = (row["pair_id"], row["reviewer"])
        if key not in latest or latest[key][:2] < entry[:2]:
            latest[key] = entry
    current: dict[str, list[Row]] = {}
    for (pair_id, _), entry in sorted(latest.items(), key=lambda item: (item[1][:2], item[0])):
        current.setdefault(pair_id, []).append(entry[2])
    return current


def _time(row: Row) -> datetime:
    try:
        time = datetime.fromisoformat(row["decided_at"])
    except ValueError:
        raise ReviewError(
            f"review of {row['pair_id']} by {row['reviewer']}: decided_at {row['decided_at']!r} "
            "found; expected a time such as 2026-01-31T12:00:00Z; mend it in the reviews"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _review_order(pairs: DataFrame[ScreenedPairs], seed: int) -> list[Row]:
    """Return the pairs without gold by their systematic key (see the head of the module)."""
    strata: dict[tuple[str, ...], list[tuple[str, Row]]] = {}
    for row in pairs.iter_rows(named=True):
        if row["origin"] != "gold":
            key = (row["split"], row["origin"], row["doc_id"])
            strata.setdefault(key, []).append((short_id(str(seed), row["pair_id"]), row))
    keyed: list[tuple[float, str, Row]] = []
    for stratum, members in strata.items():
        offset = int(short_id(str(seed), *stratum), 16) / 16**16
        for rank, (mark, row) in enumerate(sorted(members, key=lambda member: member[0])):
            keyed.append(((rank + offset) / len(members), mark, row))
    return [row for _, _, row in sorted(keyed, key=lambda entry: entry[:2])]


def decisions(reviews: DataFrame[Reviews], bounced: DataFrame[Drops]) -> Outcome[Reviews]:
    """Take the decisions that were pulled into the store; those that count nothing are dropped."""
    return Outcome(kept=reviews, dropped=bounced, rows_in=reviews.height + bounced.height)


REVIEW = Stage("review", decisions, Reviews, dataset="reviews")
SETTLE = Stage(
    "settle",
    settle,
    SettledPairs,
    {"pairs": ScreenedPairs, "reviews": Reviews},
    section="review",
    dataset="settled_pairs",
)
