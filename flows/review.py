"""The human step: queue a sample, pull decisions, settle the pairs."""

import polars as pl

from annotation.queue import FileQueue, PushResult, ReviewQueue
from flows.context import Run
from flows.curate import Corpus
from flows.steps import Stage, run_stage
from pipeline.cache import digest
from pipeline.dataset.review import sample_for_review, settle
from pipeline.outcome import Outcome
from pipeline.settings import ReviewSettings
from pipeline.store import Dataset, Store
from schemas.chunks import Chunks
from schemas.pairs import ScreenedPairs, SettledPairs
from schemas.reviews import Reviews

REVIEW = Stage("review", 1, "reviews")
SETTLE = Stage("settle", 1, "settled_pairs")


def review_pairs(run: Run, corpus: Corpus, screened: Dataset) -> Dataset:
    """Queue what should be reviewed, apply what was decided, and return the settled pairs."""
    queue = run.queue = FileQueue(run.home / "reviews")
    pulled = queue.pull()
    reviews = run_stage(
        run,
        REVIEW,
        Reviews,
        lambda: Outcome(
            kept=pulled.reviews,
            dropped=pulled.bounced,
            rows_in=pulled.reviews.height + pulled.bounced.height,
        ),
        settings={},
        keys={"decisions": digest([pulled.reviews.to_dicts(), pulled.bounced.to_dicts()])},
    )
    pushed = push_sample(run.store, queue, screened, corpus.chunks, run.settings.review)
    run.event("QUEUE", "review", new=pushed.new, already=pushed.already)
    return run_stage(
        run,
        SETTLE,
        SettledPairs,
        lambda pairs, reviews: settle(pairs, reviews, run.settings.review),
        settings=run.settings.review,
        tables={"pairs": (screened, ScreenedPairs), "reviews": (reviews, Reviews)},
    )


def push_sample(
    store: Store,
    queue: ReviewQueue,
    screened: Dataset,
    chunks: Dataset,
    settings: ReviewSettings,
) -> PushResult:
    """Queue the pairs that people should see next; pairs that are queued stay as they are."""
    decided = queue.pull().reviews.filter(pl.col("verdict") != "skip")
    reviewed = set(decided["pair_id"])
    sample = sample_for_review(store.read(screened, ScreenedPairs), reviewed, settings)
    return queue.push(sample, store.read(chunks, Chunks))
