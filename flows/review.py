"""The human step: queue a sample, pull decisions, settle the pairs."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil
from random import Random
from typing import Any

import polars as pl
from prefect import flow
from prefect.artifacts import create_table_artifact

from annotation.decisions import BOUNCES, Decision
from annotation.items import to_items
from annotation.queue import Pulled, PushResult, journal, read_policy, target, targeted
from annotation.queue_files import FileQueue
from annotation.queues import open_queue
from flows.curate import Corpus
from flows.engine.context import Run, say, say_once
from flows.traffic import traffic, why_chosen, with_traffic
from pipeline.core.cache import digest
from pipeline.core.errors import InputError, MissingDataset, ReviewError
from pipeline.core.home import Home
from pipeline.core.journal import append, write_time
from pipeline.core.outcome import drops, table
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.pairs.review import REVIEW, SETTLE
from pipeline.pairs.review_sample import (
    DOUBTS,
    Material,
    gold_items,
    sample_for_review,
    similar_pairs,
)
from pipeline.pairs.reviewers import Policy
from pipeline.settings import Settings
from schemas.documents import Chunks
from schemas.pairs import ScreenedPairs

Rows = list[dict[str, Any]]
CHOSEN = "its document has drifted from what was trained on, or somebody asked for a second look"


@flow(name="review", timeout_seconds=900)
def sync_reviews(settings: Settings) -> dict[str, int]:
    """Pull decisions and queue what should be reviewed next; nothing is trained or settled.

    Returns counts: decisions, bounced, new, already; empty before the first pairs. A ReviewError
    where the server could not be asked: the next sync catches up.
    """
    queue = open_queue(settings)
    try:
        home = Home.at(settings.paths.home)
        screened, chunks = home.dataset("screened_pairs"), home.dataset("chunks")
    except (InputError, MissingDataset):
        say("review: no pairs yet; they come with `tuneloop synthesize`, every night or by hand")
        return {}
    pulled = take_in(queue)
    pushed = push_next(queue, pulled, screened, chunks, settings)
    counts = {"decisions": pulled.reviews.height, "bounced": pulled.bounced.height}
    counts |= {"new": pushed.new, "already": pushed.already}
    about = "The review queue: pairs by where they stand."
    create_table_artifact(key="reviews", table=[queue.status()], description=about)
    say("review: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    if pushed.missed:
        raise ReviewError(pushed.missed)
    return counts


def review_pairs(run: Run, corpus: Corpus, screened: Dataset) -> Dataset:
    """Queue what should be reviewed, apply what was decided, and return the settled pairs.

    A review server that is down stops nothing: the decisions pulled before count.
    """
    queue = open_queue(run.settings)
    pulled = take_in(queue)
    settled = settle_pairs(run, screened, pulled)
    pushed = push_next(queue, pulled, screened, corpus.chunks, run.settings)
    if pushed.missed and not pulled.missed:
        say(f"review: {pushed.missed}")
    run.event("QUEUE", "review", new=pushed.new, already=pushed.already)
    return settled


def take_in(queue: FileQueue) -> Pulled:
    """Pull the decisions, and say what a person should know about them."""
    pulled = queue.pull()
    if pulled.missed:
        say(f"review: {pulled.missed}; going on with what was pulled before")
    for note in pulled.notes:
        say(f"review: {note}")
    return pulled


def settle_pairs(run: Run, screened: Dataset, pulled: Pulled) -> Dataset:
    """Apply the decisions that count to screened pairs, flagged ones and those of exchanges."""
    counting, others = read_policy(run.settings).counting(pulled.reviews)
    bounced = pl.concat([pulled.bounced, drops(others)])
    decided = Given(counting, digest([counting.to_dicts(), bounced.to_dicts()]))
    reviews = run(REVIEW, reviews=decided, bounced=Given(bounced))
    chosen = targeted(run.home, say_once)
    noted = Given(chosen, digest(sorted(chosen)) if chosen else None)
    material = Material.of(run.home, screened, run.settings.review.seed)
    flagged = material.flagged.pairs.filter(pl.col("pair_id").is_in(counting["pair_id"].to_list()))
    doubted = Given(flagged, digest(sorted(flagged["pair_id"])) if flagged.height else None)
    given: dict[str, Any] = {"targeted": noted, "flagged": doubted, "traffic": traffic(run)}
    return run(SETTLE, pairs=screened, reviews=reviews, **given)


def push_next(
    queue: FileQueue, pulled: Pulled, screened: Dataset, chunks: Dataset, settings: Settings
) -> PushResult:
    """Queue the pairs that people should see next; pairs that are queued stay as they are."""
    home = Home.at(settings.paths.home)
    material = Material.of(settings.paths.home, screened, settings.review.seed)
    texts = home.store.read(chunks, Chunks)
    pairs = with_traffic(home, material.pairs, texts)
    counting, _ = queue.policy.counting(pulled.reviews)
    decided = set(counting.filter(pl.col("verdict") != "skip")["pair_id"])
    lacking = queue.policy.missing(pulled.reviews, decided)
    again = {pair_id for pair_id, count in lacking.items() if count}
    chosen = targeted(settings.paths.home, say_once)
    sample = sample_for_review(pairs, decided, settings.review, chosen)
    flagged, reasons = material.flagged
    room = max(0, settings.review.fix_size - len(decided & reasons.keys()))
    doubted = flagged.filter(~pl.col("pair_id").is_in(list(decided))).head(room)
    noted = pl.col("pair_id").is_in(sorted(chosen - decided | again))
    asked = (pl.col("origin") == "traffic") & ~pl.col("pair_id").is_in(sorted(decided))
    rows = pl.concat([pl.concat([pairs, flagged]).filter(noted | asked), sample, doubted])
    queued = rows.unique("pair_id", maintain_order=True).to_dicts()
    hints = dict.fromkeys(chosen, CHOSEN) | {key: DOUBTS[reason] for key, reason in reasons.items()}
    hints |= why_chosen(settings.paths.home)
    share = ceil(settings.review.gold * (len(queued) + len(decided)))
    queued = _with_gold(queued, queue.policy, pulled, material, share, settings)
    return queue.push(to_items(table(ScreenedPairs, queued), texts, hints))


def _with_gold(
    rows: Rows, policy: Policy, pulled: Pulled, material: Material, share: int, settings: Settings
) -> Rows:
    """Put gold items among the rows, up to their share of the queue, and note the new ones."""
    agreed = policy.agreed(pulled.reviews)
    known = gold_items(agreed, material.pairs, material.gold, settings.review.seed)
    shown = {item.source for item in policy.gold.values()}
    new = [entry for entry in known if entry[0].source not in shown]
    new = new[: max(0, share - len(policy.gold))]
    noted = journal(settings.paths.home, "gold_items")
    append(noted, [item._asdict() for item, _ in new])
    # Perhaps of a push that was killed.
    waiting = policy.gold.keys() - set(pulled.reviews["pair_id"])
    again = [entry for entry in known if entry[0].pair_id in waiting]
    draw = Random(settings.review.seed)
    for _, row in again + new:
        rows.insert(draw.randrange(len(rows) + 1), row)
    return rows


def similar_to(pair_id: str, count: int, settings: Settings) -> pl.DataFrame:
    """Return the screened pairs that are like one, itself first."""
    home = Home.at(settings.paths.home)
    pairs = home.store.read(home.dataset("screened_pairs"), ScreenedPairs)
    return similar_pairs(pairs, pair_id, count)


def decide_together(
    pairs: pl.DataFrame, like: str, settings: Settings, reviewer: str, flags: Sequence[str]
) -> None:
    """Reject pairs in a reviewer's name, or ask people again; ReviewError for an unknown flag."""
    rejection = Decision("", "reject", "", tuple(flags), f"like {like}", reviewer)
    reason = rejection.bounce_reason({}) if reviewer else None
    if reason is not None:
        raise ReviewError(f"review like: {reason}; {BOUNCES[reason]}")
    home, ids = Home.at(settings.paths.home), pairs["pair_id"].to_list()
    rows = table(ScreenedPairs, pairs.select(ScreenedPairs.columns()).to_dicts())
    target(settings.paths.home, ids, f"like-{like}")
    if not reviewer:
        at, noted = write_time(datetime.now(UTC)), journal(settings.paths.home, "asked_again")
        append(noted, [{"pair_id": pair_id, "at": at} for pair_id in ids])
    queue = open_queue(settings)
    queue.pull()
    chunks = home.store.read(home.dataset("chunks"), Chunks)
    queue.push(to_items(rows, chunks, dict.fromkeys(ids, CHOSEN)))
    if reviewer:
        for pair_id in ids:
            queue.decide(replace(rejection, pair_id=pair_id))
        queue.pull()
