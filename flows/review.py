"""The human step: queue a sample, pull decisions, settle the pairs."""

from pathlib import Path
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame
from prefect import flow
from prefect.artifacts import create_table_artifact

from annotation.queue import Pulled, PushResult, ReviewQueue
from annotation.queues import open_queue
from flows.curate import Corpus
from flows.engine.context import Run, say, say_once
from flows.engine.stage_runner import run_stage
from flows.traffic import traffic, with_traffic
from pipeline.core.cache import digest
from pipeline.core.errors import InputError, MissingDataset, ReviewError
from pipeline.core.home import Home
from pipeline.core.journal import append, read_rows
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.pairs.review import REVIEW, SETTLE, sample_for_review
from pipeline.settings import Settings
from schemas.documents import Chunks
from schemas.pairs import ScreenedPairs


@flow(name="review", timeout_seconds=900)
def sync_reviews(settings: Settings) -> dict[str, int]:
    """Pull decisions and queue what should be reviewed next; nothing is trained or settled.

    A sync that fails loses nothing: the next one pulls what this one would have pulled.

    Returns:
        Counts: decisions, bounced, new, already; empty before the first pairs.

    Raises:
        ReviewError: the server could not be asked; what is in the files was taken in.
    """
    home = settings.paths.home
    queue = open_queue(settings)
    try:
        there = Home.at(home)
        screened, chunks = there.dataset("screened_pairs"), there.dataset("chunks")
    except (InputError, MissingDataset):
        say("review: no pairs yet; they come with `tuneloop synthesize`, every night or by hand")
        return {}
    pulled = take_in(queue)
    pairs = cast("DataFrame[ScreenedPairs]", there.store.read(screened, ScreenedPairs))
    texts = cast("DataFrame[Chunks]", there.store.read(chunks, Chunks))
    pushed = push_next(queue, pulled, pairs, texts, settings)
    status = queue.status()
    counts = {
        "decisions": pulled.reviews.height,
        "bounced": pulled.bounced.height,
        "new": pushed.new,
        "already": pushed.already,
    }
    create_table_artifact(
        key="reviews",
        table=[{name: getattr(status, name) for name in status.__slots__}],
        description="The review queue: pairs by where they stand.",
    )
    say("review: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    if pushed.missed:
        raise ReviewError(pushed.missed)
    return counts


def review_pairs(run: Run, corpus: Corpus, screened: Dataset) -> Dataset:
    """Queue what should be reviewed, apply what was decided, and return the settled pairs.

    A review server that is down stops nothing: the decisions pulled before count, and the next
    sync catches up.
    """
    queue = open_queue(run.settings)
    pulled = take_in(queue)
    settled = settle_pairs(run, screened, pulled)
    pairs = run.store.read(screened, ScreenedPairs)
    chunks = run.store.read(corpus.chunks, Chunks)
    pushed = push_next(queue, pulled, pairs, chunks, run.settings)
    if pushed.missed and not pulled.missed:
        say(f"review: {pushed.missed}")
    run.event("QUEUE", "review", new=pushed.new, already=pushed.already)
    return settled


def take_in(queue: ReviewQueue) -> Pulled:
    """Pull the decisions, and say what a person should know about them."""
    pulled = queue.pull()
    if pulled.missed:
        say(f"review: {pulled.missed}; going on with what was pulled before")
    for note in pulled.notes:
        say(f"review: {note}")
    return pulled


def settle_pairs(run: Run, screened: Dataset, pulled: Pulled) -> Dataset:
    """Apply decisions to the screened pairs and to those of exchanges."""
    pulled_rows = [pulled.reviews.to_dicts(), pulled.bounced.to_dicts()]
    reviews = run_stage(
        run,
        REVIEW,
        reviews=Given(pulled.reviews, digest(pulled_rows)),
        bounced=Given(pulled.bounced),
    )
    chosen = targeted(run.home)
    wanted = Given(chosen, digest(sorted(chosen)) if chosen else None)
    return run_stage(
        run, SETTLE, pairs=screened, reviews=reviews, targeted=wanted, traffic=traffic(run)
    )


def push_next(
    queue: ReviewQueue,
    pulled: Pulled,
    pairs: DataFrame[ScreenedPairs],
    chunks: DataFrame[Chunks],
    settings: Settings,
) -> PushResult:
    """Queue the pairs that people should see next; pairs that are queued stay as they are."""
    pairs = with_traffic(Home.at(settings.paths.home), pairs, chunks)
    decided = set(pulled.reviews.filter(pl.col("verdict") != "skip")["pair_id"])
    chosen = targeted(settings.paths.home)
    sample = sample_for_review(pairs, decided, settings.review, chosen)
    asked = pl.col("pair_id").is_in(sorted(chosen)) | (pl.col("origin") == "traffic")
    wanted = pairs.filter(asked & ~pl.col("pair_id").is_in(sorted(decided)))
    both = pl.concat([wanted, sample]).unique("pair_id", maintain_order=True)
    return queue.push(cast("DataFrame[ScreenedPairs]", both), chunks)


def target(home: Path, pair_ids: list[str], evidence_id: str) -> None:
    """Note pairs that people should see for what they are: those of drifted documents."""
    known = targeted(home)
    rows = [{"pair_id": key, "evidence_id": evidence_id} for key in pair_ids if key not in known]
    append(home / "reviews" / "targeted.jsonl", rows)


def targeted(home: Path) -> frozenset[str]:
    """Return the ids of all pairs noted by :func:`target`."""
    rows = read_rows(home / "reviews" / "targeted.jsonl", say_once)
    return frozenset(str(row["pair_id"]) for row in rows if "pair_id" in row)
